-- $1: rows as a JSON array. Legs that did not change are left alone.
INSERT INTO call_legs AS stored
SELECT * FROM jsonb_populate_recordset(NULL::call_legs, $1)
ON CONFLICT ON CONSTRAINT call_legs_key DO UPDATE SET
    answered_at = EXCLUDED.answered_at,
    took_over_at = EXCLUDED.took_over_at,
    ended_at = EXCLUDED.ended_at,
    outcome = EXCLUDED.outcome,
    decline_reason = EXCLUDED.decline_reason,
    wrap_up_started_at = EXCLUDED.wrap_up_started_at,
    wrap_up_completed_at = EXCLUDED.wrap_up_completed_at,
    state = EXCLUDED.state,
    state_since = EXCLUDED.state_since,
    ring_ms = EXCLUDED.ring_ms,
    talk_ms = EXCLUDED.talk_ms,
    hold_ms = EXCLUDED.hold_ms,
    hold_count = EXCLUDED.hold_count,
    consult_ms = EXCLUDED.consult_ms,
    wrap_up_ms = EXCLUDED.wrap_up_ms,
    customer_muted = EXCLUDED.customer_muted,
    agent_muted = EXCLUDED.agent_muted,
    disposition = EXCLUDED.disposition,
    notes = EXCLUDED.notes
WHERE stored IS DISTINCT FROM EXCLUDED
