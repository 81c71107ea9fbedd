-- What questions about calls and legs are answered by.
-- Pages of the list, newest first.
CREATE INDEX calls_initiated ON calls (initiated_at DESC, call_id DESC);
CREATE INDEX calls_queue ON calls (queue, initiated_at DESC, call_id DESC);
-- What goes on now is a small part of all calls.
CREATE INDEX calls_live ON calls (initiated_at DESC, call_id DESC) WHERE state NOT IN ('ended', 'abandoned', 'failed');
-- What changed after a position.
CREATE INDEX calls_position ON calls (position);
-- Calls of an agent.
CREATE INDEX call_legs_agent ON call_legs (agent_id, call_id);
