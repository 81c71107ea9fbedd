-- $1: rows as a JSON array. What is told once, when the call is initiated, is not written again.
INSERT INTO calls AS stored
SELECT * FROM jsonb_populate_recordset(NULL::calls, $1)
ON CONFLICT ON CONSTRAINT calls_key DO UPDATE SET
    state = EXCLUDED.state,
    state_since = EXCLUDED.state_since,
    wrap_up_open = EXCLUDED.wrap_up_open,
    queue = EXCLUDED.queue,
    agent_id = EXCLUDED.agent_id,
    first_queued_at = EXCLUDED.first_queued_at,
    waiting_since = EXCLUDED.waiting_since,
    answered_at = EXCLUDED.answered_at,
    ended_at = EXCLUDED.ended_at,
    ended_by = EXCLUDED.ended_by,
    end_reason = EXCLUDED.end_reason,
    failure = EXCLUDED.failure,
    wait_ms = EXCLUDED.wait_ms,
    wait_total_ms = EXCLUDED.wait_total_ms,
    talk_ms = EXCLUDED.talk_ms,
    hold_ms = EXCLUDED.hold_ms,
    wrap_up_ms = EXCLUDED.wrap_up_ms,
    transfers = EXCLUDED.transfers,
    customer_muted = EXCLUDED.customer_muted,
    agent_muted = EXCLUDED.agent_muted,
    recording = EXCLUDED.recording,
    recording_id = EXCLUDED.recording_id,
    disposition = EXCLUDED.disposition,
    version = EXCLUDED.version,
    position = EXCLUDED.position
