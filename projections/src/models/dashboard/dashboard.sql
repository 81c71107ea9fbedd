-- The dashboard: counters for each day and queue, and the small tables that tell what goes on now.

-- A count belongs to the day, in the configured time zone, on which it happened. Sums only: whatever is divided is divided
-- when asked.
CREATE TABLE dashboard_days (
    day                    date   NOT NULL,
    queue                  text   NOT NULL,   -- '': conversations that came from no queue
    offered                bigint NOT NULL,   -- waits that began; a call that is queued again counts again
    answered               bigint NOT NULL,   -- waits that an answer ended, on the day of the answer
    answered_in_threshold  bigint NOT NULL,   -- of those, within the threshold of the service level
    abandoned              bigint NOT NULL,   -- waits that the caller ended, short ones among them
    abandoned_short        bigint NOT NULL,
    abandoned_in_threshold bigint NOT NULL,
    flow_outs              bigint NOT NULL,   -- waits that ended in another queue
    ended_waiting          bigint NOT NULL,   -- waits that ended with the call, by a rule or a fault
    wait_ms_sum            bigint NOT NULL,   -- of the answered waits
    wait_ms_max            bigint NOT NULL,   -- of the answered waits
    handled                bigint NOT NULL,   -- legs that had the customer, on the day their wrap-up was completed
    talk_ms_sum            bigint NOT NULL,   -- of the handled legs, as the others below
    hold_ms_sum            bigint NOT NULL,
    consult_ms_sum         bigint NOT NULL,
    wrap_up_ms_sum         bigint NOT NULL,
    position               bigint NOT NULL,   -- last event counted
    CONSTRAINT dashboard_days_key PRIMARY KEY (day, queue)
);
CREATE INDEX dashboard_days_position ON dashboard_days (position);

-- Calls that wait or have a leg that is not closed.
CREATE TABLE dashboard_calls (
    call_id     uuid   NOT NULL,
    queue       text,          -- null: does not wait
    enqueued_at timestamptz,
    position    bigint NOT NULL,
    CONSTRAINT dashboard_calls_key PRIMARY KEY (call_id),
    CONSTRAINT dashboard_calls_waiting CHECK ((queue IS NULL) = (enqueued_at IS NULL))
);

-- Legs that are not closed.
CREATE TABLE dashboard_legs (
    call_id      uuid        NOT NULL,
    leg          integer     NOT NULL,
    agent_id     uuid        NOT NULL,
    queue        text,                   -- the caller waited in it when the leg was offered
    consult      boolean     NOT NULL,
    had_customer boolean     NOT NULL,
    state        text        NOT NULL,
    state_since  timestamptz NOT NULL,
    ring_ms      bigint      NOT NULL,
    talk_ms      bigint      NOT NULL,
    hold_ms      bigint      NOT NULL,
    hold_count   integer     NOT NULL,
    consult_ms   bigint      NOT NULL,
    wrap_up_ms   bigint      NOT NULL,
    CONSTRAINT dashboard_legs_key PRIMARY KEY (call_id, leg)
);
CREATE INDEX dashboard_legs_agent ON dashboard_legs (agent_id);

-- Every agent's presence.
CREATE TABLE dashboard_agents (
    agent_id uuid   NOT NULL,
    presence text,          -- null: signed out
    position bigint NOT NULL,
    CONSTRAINT dashboard_agents_key PRIMARY KEY (agent_id)
);
