-- $1: rows as a JSON array.
INSERT INTO agents AS stored
SELECT * FROM jsonb_populate_recordset(NULL::agents, $1)
ON CONFLICT ON CONSTRAINT agents_key DO UPDATE SET
    name = EXCLUDED.name,
    team = EXCLUDED.team,
    capacity = EXCLUDED.capacity,
    presence = EXCLUDED.presence,
    presence_reason = EXCLUDED.presence_reason,
    presence_since = EXCLUDED.presence_since,
    activity = EXCLUDED.activity,
    activity_since = EXCLUDED.activity_since,
    version = EXCLUDED.version,
    position = EXCLUDED.position
