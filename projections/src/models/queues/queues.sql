-- Queues, and every wait of every call in one of them.

CREATE TABLE queues (
    queue_id           uuid    NOT NULL,   -- derived from the name
    name               text    NOT NULL,
    waiting            integer NOT NULL,   -- now
    oldest_enqueued_at timestamptz,        -- of those who wait now
    position           bigint  NOT NULL,   -- last event taken in
    CONSTRAINT queues_key PRIMARY KEY (queue_id),
    CONSTRAINT queues_name UNIQUE (name)
);

CREATE TABLE queue_entries (
    call_id     uuid        NOT NULL,
    entry       integer     NOT NULL,   -- number of the wait within the call, from 1
    queue       text        NOT NULL,
    priority    smallint    NOT NULL,   -- higher is served first
    enqueued_at timestamptz NOT NULL,   -- an offer that is declined or expires leaves it as it is
    left_at     timestamptz,            -- null: waits
    outcome     text,
    agent_id    uuid,                   -- who answered
    wait_ms     bigint,
    offers      integer     NOT NULL,   -- phones that rang, whatever came of it
    declined    integer     NOT NULL,
    expired     integer     NOT NULL,
    withdrawn   integer     NOT NULL,   -- the call ended while it rang
    position    bigint      NOT NULL,
    CONSTRAINT queue_entries_key PRIMARY KEY (call_id, entry),
    CONSTRAINT queue_entries_outcome CHECK (outcome IN ('answered', 'abandoned', 'flow_out', 'ended', 'failed')),
    CONSTRAINT queue_entries_left CHECK ((left_at IS NULL) = (outcome IS NULL))
);
-- Who waits, in the order of being served.
CREATE INDEX queue_entries_waiting ON queue_entries (queue, priority DESC, enqueued_at, call_id) WHERE left_at IS NULL;
