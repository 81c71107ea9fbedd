-- What a projector changed in one transaction is one row, and not one for each key: keys take a third of the space and no index.

CREATE TABLE change_sets (
    projection text   NOT NULL,
    position   bigint NOT NULL,   -- of the last event that changed one of them
    keys       uuid[] NOT NULL,
    CONSTRAINT change_sets_key PRIMARY KEY (projection, position)
);
INSERT INTO change_sets SELECT projection, position, array_agg(key) FROM changes GROUP BY projection, position;
DROP TABLE changes;

-- For the release before this one, whose processes may be the last to be replaced.
CREATE VIEW changes AS SELECT projection, position, key FROM change_sets, unnest(keys) AS key;
CREATE FUNCTION change_told() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO public.change_sets AS c VALUES (NEW.projection, NEW.position, ARRAY[NEW.key])
        ON CONFLICT ON CONSTRAINT change_sets_key DO UPDATE SET keys = c.keys || EXCLUDED.keys;
    RETURN NEW;
END $$;
CREATE TRIGGER changes_are_sets INSTEAD OF INSERT ON changes FOR EACH ROW EXECUTE FUNCTION change_told();
