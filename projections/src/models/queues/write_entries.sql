-- $1: rows as a JSON array.
INSERT INTO queue_entries AS stored
SELECT * FROM jsonb_populate_recordset(NULL::queue_entries, $1)
ON CONFLICT ON CONSTRAINT queue_entries_key DO UPDATE SET
    left_at = EXCLUDED.left_at,
    outcome = EXCLUDED.outcome,
    agent_id = EXCLUDED.agent_id,
    wait_ms = EXCLUDED.wait_ms,
    offers = EXCLUDED.offers,
    declined = EXCLUDED.declined,
    expired = EXCLUDED.expired,
    withdrawn = EXCLUDED.withdrawn,
    position = EXCLUDED.position
