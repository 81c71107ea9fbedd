-- What questions about agents are answered by. Those that `apply` asks have theirs with the tables.
CREATE INDEX agents_name ON agents (name, agent_id);
CREATE INDEX agents_team ON agents (team, name, agent_id);
CREATE INDEX agents_position ON agents (position);
-- Who can do something, best first.
CREATE INDEX agent_capabilities_name ON agent_capabilities (name, level DESC);
-- The floor at an instant.
CREATE INDEX agent_intervals_at ON agent_intervals USING gist (tstzrange(began_at, ended_at));
-- An agent's day.
CREATE INDEX agent_intervals_began ON agent_intervals (agent_id, began_at);
