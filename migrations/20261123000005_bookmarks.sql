-- How far reactions have followed the log.
CREATE TABLE bookmarks (
    name       text   NOT NULL CONSTRAINT bookmarks_key PRIMARY KEY,
    position   bigint NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT now()
);
