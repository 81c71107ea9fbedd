-- People who use the system. Not events: a password hash is no fact of the call centre, and must be replaceable.
CREATE TABLE users (
    id            uuid NOT NULL CONSTRAINT users_id PRIMARY KEY,
    email         text NOT NULL CONSTRAINT users_email UNIQUE,   -- lower case
    name          text NOT NULL,
    role          text NOT NULL CONSTRAINT users_role CHECK (role IN ('AGENT', 'SUPERVISOR', 'ADMIN')),
    -- Further permissions beside the role's.
    permissions   text[] NOT NULL DEFAULT '{}',
    -- The agent this person is; what `:own` in a permission means.
    agent_id      uuid CONSTRAINT users_agent UNIQUE,
    password_hash text NOT NULL,   -- argon2id, PHC string
    -- Part of every token; raised to make all earlier tokens of this person worthless.
    token_version integer NOT NULL DEFAULT 1,
    disabled_at   timestamptz,
    created_at    timestamptz NOT NULL DEFAULT now()
);

-- Keys this installation made for itself, for where none are configured.
CREATE TABLE secrets (
    name       text  NOT NULL CONSTRAINT secrets_name PRIMARY KEY,
    value      bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);
