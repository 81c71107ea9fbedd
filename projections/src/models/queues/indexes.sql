-- What questions about queues are answered by. Those that `apply` asks have theirs with the tables.
CREATE INDEX queues_position ON queues (position);
-- The history of a queue, newest first.
CREATE INDEX queue_entries_history ON queue_entries (queue, enqueued_at DESC, call_id DESC, entry DESC);
