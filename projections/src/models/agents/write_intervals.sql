-- $1: rows as a JSON array: intervals that began or ended.
INSERT INTO agent_intervals AS stored
SELECT * FROM jsonb_populate_recordset(NULL::agent_intervals, $1)
ON CONFLICT ON CONSTRAINT agent_intervals_key DO UPDATE SET
    ended_at = EXCLUDED.ended_at,
    ended_position = EXCLUDED.ended_position
