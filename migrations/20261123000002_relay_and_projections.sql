-- Progress of everything that follows the log.

-- Who may do a thing that only one process may do at a time. Times are the database's clock.
CREATE TABLE leases (
    name       text        NOT NULL CONSTRAINT leases_key PRIMARY KEY,
    holder     uuid        NOT NULL,
    -- Raised whenever the holder changes; what a former holder writes is recognised by it.
    epoch      bigint      NOT NULL,
    expires_at timestamptz NOT NULL
);

-- How far each topic is published. `previous` holds, for each partition, the position last sent to it.
CREATE TABLE relay_checkpoints (
    topic      text     NOT NULL CONSTRAINT relay_checkpoints_key PRIMARY KEY,
    position   bigint   NOT NULL,
    previous   bigint[] NOT NULL,
    epoch      bigint   NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT now()
);

-- Read models that are served live in `read`; a rebuild works in a schema of its own.
CREATE SCHEMA read;

-- How far each read model is. Moves in the same transaction as its rows, by compare-and-set.
CREATE TABLE projections (
    name       text    NOT NULL CONSTRAINT projections_key PRIMARY KEY,
    version    integer NOT NULL,
    position   bigint  NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT now()
);

-- What changed in which read model, for those who watch. Written in the transaction of the change, pruned by position.
CREATE TABLE changes (
    projection text   NOT NULL,
    position   bigint NOT NULL,
    key        uuid   NOT NULL,
    CONSTRAINT changes_key PRIMARY KEY (projection, position, key)
);

-- Events that a read model could not take. The first one parks its key; those that follow of the same key wait behind it.
CREATE TABLE parked_events (
    projection text   NOT NULL,
    position   bigint NOT NULL,
    key        uuid   NOT NULL,
    error      text   NOT NULL,
    attempts   integer NOT NULL DEFAULT 1,
    parked_at  timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT parked_events_key PRIMARY KEY (projection, position)
);
CREATE INDEX parked_events_by_key ON parked_events (projection, key);
