-- Calls and their legs, one row each, for as long as the log tells of them.
-- Times are when things happened. Durations are milliseconds of finished stretches; of the present one, `state_since` tells.

CREATE TABLE calls (
    call_id         uuid        NOT NULL,
    direction       text        NOT NULL,
    channel         text        NOT NULL,
    from_number     text        NOT NULL,   -- personal
    to_number       text        NOT NULL,   -- personal
    customer_name   text,                   -- personal
    language        text,                   -- BCP 47
    state           text        NOT NULL,
    state_since     timestamptz NOT NULL,
    wrap_up_open    boolean     NOT NULL,   -- an agent works after the conversation; may hold when the call is over
    queue           text,                   -- last entered
    agent_id        uuid,                   -- has the customer, or had it last
    initiated_at    timestamptz NOT NULL,
    first_queued_at timestamptz,
    waiting_since   timestamptz,            -- set while the caller waits in `queue`
    answered_at     timestamptz,            -- first answer
    ended_at        timestamptz,
    ended_by        text,
    end_reason      text,                   -- null if abandoned or failed
    failure         text,
    wait_ms         bigint,                 -- of the first answer, in the queue it was answered from
    wait_total_ms   bigint      NOT NULL,   -- all waits in all queues
    talk_ms         bigint      NOT NULL,   -- agent and customer, neither held nor consulting
    hold_ms         bigint      NOT NULL,
    wrap_up_ms      bigint      NOT NULL,
    transfers       integer     NOT NULL,
    customer_muted  boolean     NOT NULL,
    agent_muted     boolean     NOT NULL,
    recording       text        NOT NULL,
    recording_id    uuid,                   -- the last one
    disposition     text,                   -- of the wrap-up completed last
    version         bigint      NOT NULL,   -- of the call's stream
    position        bigint      NOT NULL,   -- last event taken in
    CONSTRAINT calls_key PRIMARY KEY (call_id),
    CONSTRAINT calls_state CHECK (state IN ('initiated', 'waiting', 'offered', 'connected', 'on_hold', 'transferring',
                                            'ended', 'abandoned', 'failed')),
    CONSTRAINT calls_waiting_in_a_queue CHECK (waiting_since IS NULL OR queue IS NOT NULL)
);

-- One row: one offer to one agent and what became of it.
CREATE TABLE call_legs (
    call_id              uuid        NOT NULL,
    leg                  integer     NOT NULL,
    agent_id             uuid        NOT NULL,
    kind                 text        NOT NULL,
    consulted_by         integer,                -- leg of the colleague who asked
    queue                text,                   -- the caller waited in it when this leg was offered
    enqueued_at          timestamptz,            -- begin of that wait
    offered_at           timestamptz NOT NULL,
    ring_timeout_ms      bigint      NOT NULL,
    answered_at          timestamptz,
    took_over_at         timestamptz,            -- the customer was passed on to this consult leg
    ended_at             timestamptz,            -- of ringing or conversation; wrap-up comes after it
    outcome              text,
    decline_reason       text,
    wrap_up_started_at   timestamptz,
    wrap_up_completed_at timestamptz,
    state                text        NOT NULL,
    state_since          timestamptz NOT NULL,
    ring_ms              bigint      NOT NULL,
    talk_ms              bigint      NOT NULL,   -- with the customer, not held
    hold_ms              bigint      NOT NULL,
    hold_count           integer     NOT NULL,
    consult_ms           bigint      NOT NULL,   -- with the colleague who asked
    wrap_up_ms           bigint      NOT NULL,
    customer_muted       boolean     NOT NULL,
    agent_muted          boolean     NOT NULL,
    disposition          text,
    notes                text,                   -- personal
    CONSTRAINT call_legs_key PRIMARY KEY (call_id, leg),
    CONSTRAINT call_legs_kind CHECK (kind IN ('primary', 'consult')),
    CONSTRAINT call_legs_state CHECK (state IN ('ringing', 'consulting', 'connected', 'on_hold', 'wrap_up', 'closed')),
    CONSTRAINT call_legs_outcome CHECK (outcome IN ('declined', 'expired', 'withdrawn', 'completed', 'failed',
                                                    'transferred_blind', 'transferred_consult', 'consult_cancelled'))
);
