-- Agents: who they are, what they do now, and the intervals of what they did.

CREATE TABLE agents (
    agent_id        uuid     NOT NULL,
    name            text     NOT NULL,   -- personal
    team            text,
    capacity        smallint NOT NULL,   -- conversations at once
    presence        text,                -- null: signed out
    presence_reason text,
    presence_since  timestamptz,         -- null: never signed in
    activity        text     NOT NULL,   -- the tile: on contact > after-contact work > ringing > presence
    activity_since  timestamptz,         -- null: never signed in
    version         bigint   NOT NULL,   -- of the agent's own stream
    position        bigint   NOT NULL,   -- last event taken in, of the agent or of one of its calls
    CONSTRAINT agents_key PRIMARY KEY (agent_id)
);

CREATE TABLE agent_capabilities (
    agent_id uuid     NOT NULL,
    name     text     NOT NULL,
    level    smallint NOT NULL,   -- 1 learning ... 10 expert
    CONSTRAINT agent_capabilities_key PRIMARY KEY (agent_id, name)
);

-- Contacts that agents have now: legs that are not closed. A leg that closes leaves.
CREATE TABLE agent_contacts (
    agent_id    uuid        NOT NULL,
    call_id     uuid        NOT NULL,
    leg         integer     NOT NULL,
    state       text        NOT NULL,
    state_since timestamptz NOT NULL,
    consult     boolean     NOT NULL,   -- opened by a colleague who asked
    began_at    timestamptz NOT NULL,   -- began to ring
    position    bigint      NOT NULL,
    CONSTRAINT agent_contacts_key PRIMARY KEY (call_id, leg),
    CONSTRAINT agent_contacts_state CHECK (state IN ('ringing', 'consulting', 'connected', 'on_hold', 'wrap_up'))
);
CREATE INDEX agent_contacts_agent ON agent_contacts (agent_id);

-- From when to when something was so. An interval never ends before it begins.
CREATE TABLE agent_intervals (
    agent_id       uuid        NOT NULL,
    dimension      text        NOT NULL,   -- presence and activity: without gap or overlap; contact: one line for each leg
    began_position bigint      NOT NULL,
    began_at       timestamptz NOT NULL,
    ended_at       timestamptz,            -- exclusive; null: still so
    ended_position bigint,
    state          text        NOT NULL,
    reason         text,                   -- on presence
    call_id        uuid,                   -- on contact
    leg            integer,                -- on contact
    CONSTRAINT agent_intervals_key PRIMARY KEY (agent_id, dimension, began_position),
    CONSTRAINT agent_intervals_dimension CHECK (dimension IN ('presence', 'contact', 'activity')),
    CONSTRAINT agent_intervals_forward CHECK (ended_at >= began_at)
);
-- What is still so, to end it.
CREATE INDEX agent_intervals_open ON agent_intervals (agent_id) WHERE ended_at IS NULL;
