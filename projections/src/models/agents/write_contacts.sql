-- $1: rows as a JSON array.
INSERT INTO agent_contacts AS stored
SELECT * FROM jsonb_populate_recordset(NULL::agent_contacts, $1)
ON CONFLICT ON CONSTRAINT agent_contacts_key DO UPDATE SET
    state = EXCLUDED.state,
    state_since = EXCLUDED.state_since,
    position = EXCLUDED.position
