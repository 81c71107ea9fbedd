-- The head of a stream is its last event, and no row of its own that every append has to write anew.
--
-- An append is given the version it expects. Where the partition that takes it holds exactly that version of the stream, the
-- partition's unique index over streams and versions decides whether it still is the last one. What a partition can't tell is what
-- earlier ones hold, so for each stream there is a row that says where to look; it is written when the stream begins, and when its
-- first event gets into another partition.

ALTER TABLE streams RENAME TO stream_partitions;
ALTER TABLE stream_partitions RENAME CONSTRAINT streams_key TO stream_partitions_key;
ALTER TABLE stream_partitions ALTER version SET DEFAULT 0;
-- No later partition holds an event of the stream. Number of the partition of `events`, from 0.
ALTER TABLE stream_partitions ADD COLUMN partition bigint;
UPDATE stream_partitions SET partition = (SELECT greatest(position - 1, 0) / partition_size FROM event_log);
ALTER TABLE stream_partitions ALTER partition SET NOT NULL;
COMMENT ON COLUMN stream_partitions.version IS 'of the last event that is not in `partition`';

-- Heads, for whoever asks for the version of a stream.
CREATE VIEW streams AS
SELECT s.stream_id, s.category,
       greatest(s.version, (SELECT max(e.version) FROM events e
                            WHERE e.stream_id = s.stream_id AND e.category = s.category
                              AND e.position > s.partition * (SELECT partition_size FROM event_log)
                              AND e.position <= (s.partition + 1) * (SELECT partition_size FROM event_log))) AS version
  FROM stream_partitions s;

-- The release before this one writes heads itself, in the statement for batches in which everything is as expected. It is told
-- that it is not (VE003), and gives its batch to `append_batch`.
CREATE FUNCTION heads_are_events() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the head of a stream is its last event' USING ERRCODE = 'VE003';
END $$;
CREATE TRIGGER streams_never_written INSTEAD OF INSERT OR UPDATE OR DELETE ON streams
    FOR EACH ROW EXECUTE FUNCTION heads_are_events();

-- As before, but for two things. The counter is locked first: from there on this batch is alone with the log, and sees everything
-- that was committed before it. And heads are read, not written.
CREATE OR REPLACE FUNCTION append_batch(
    r_key text[], r_stream uuid[], r_category text[], r_expected bigint[], r_count integer[],
    e_request integer[], e_id uuid[], e_type text[], e_schema smallint[], e_occurred timestamptz[], e_actor text[],
    e_correlation uuid[], e_causation uuid[], e_trace text[], e_payload text[]
) RETURNS TABLE (request integer, verdict smallint, version bigint, "position" bigint)
LANGUAGE plpgsql
-- Every statement below is a handful of look-ups by key. The planner, who knows neither the length of an array nor how fast
-- these tables grow between two ANALYZEs, would at times read whole tables instead, or compile what runs for microseconds.
SET jit = off SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off
AS $$
#variable_conflict use_column
DECLARE
    verdicts  smallint[];
    heads     bigint[];
    firsts    bigint[];   -- position before the first event of each request
    total     integer;
    head      bigint;
    size      bigint;     -- of a partition
    written   integer;
    moment    timestamptz;
BEGIN
    -- 1. The only lock of an append.
    SELECT l.position, l.partition_size INTO head, size FROM event_log l FOR UPDATE;

    -- 2. Verdicts, by a statement with a snapshot taken after the lock.
    SELECT array_agg(CASE WHEN k.key IS NOT NULL THEN 2
                          WHEN r.expected IS NOT NULL AND r.expected <> coalesce(s.version, 0) THEN 1
                          ELSE 0 END::smallint ORDER BY r.ordinal),
           array_agg(coalesce(s.version, 0) ORDER BY r.ordinal)
      INTO verdicts, heads
      FROM unnest(r_key, r_stream, r_category, r_expected) WITH ORDINALITY AS r (key, stream, category, expected, ordinal)
      LEFT JOIN streams s ON s.stream_id = r.stream AND s.category = r.category
      LEFT JOIN append_keys k ON k.key = r.key;

    SELECT coalesce(sum(r.n), 0),
           array_agg(head + r.before ORDER BY r.ordinal)
      INTO total, firsts
      FROM (SELECT ordinal, CASE WHEN verdicts[ordinal] = 0 THEN n ELSE 0 END AS n,
                   sum(CASE WHEN verdicts[ordinal] = 0 THEN n ELSE 0 END) OVER (ORDER BY ordinal)
                     - CASE WHEN verdicts[ordinal] = 0 THEN n ELSE 0 END AS before
              FROM unnest(r_count) WITH ORDINALITY AS c (n, ordinal)) r;

    IF total > 0 THEN
        UPDATE event_log SET position = head + total WHERE only_row;
        moment := clock_timestamp();

        -- 3. Where to look for the head of each stream from now on: in the partition of its last event.
        INSERT INTO stream_partitions AS s (stream_id, category, version, partition)
            SELECT r.stream, r.category,
                   heads[r.ordinal] + greatest((firsts[r.ordinal] + r.n - 1) / size * size - firsts[r.ordinal], 0),
                   (firsts[r.ordinal] + r.n - 1) / size
              FROM unnest(r_stream, r_category, r_count) WITH ORDINALITY AS r (stream, category, n, ordinal)
             WHERE verdicts[r.ordinal] = 0
            ON CONFLICT ON CONSTRAINT stream_partitions_key
            DO UPDATE SET version = EXCLUDED.version, partition = EXCLUDED.partition
             WHERE s.partition < EXCLUDED.partition;

        INSERT INTO append_keys (key, stream_id, category, version, position)
            SELECT r.key, r.stream, r.category, heads[r.ordinal] + r.n, firsts[r.ordinal] + r.n
              FROM unnest(r_key, r_stream, r_category, r_count) WITH ORDINALITY AS r (key, stream, category, n, ordinal)
             WHERE verdicts[r.ordinal] = 0;

        -- 4. The events. Their number is checked: a log that drops what it acknowledged is no log.
        INSERT INTO events (position, id, stream_id, category, version, type, schema_version, occurred_at, recorded_at,
                            actor, correlation_id, causation_id, trace, payload)
            SELECT head + row_number() OVER (ORDER BY e.ordinal), e.id, r_stream[e.request], r_category[e.request],
                   heads[e.request] + row_number() OVER (PARTITION BY e.request ORDER BY e.ordinal),
                   e.type, e.schema, e.occurred, moment, e.actor, e.correlation, e.causation, e.trace, e.payload::json
              FROM unnest(e_request, e_id, e_type, e_schema, e_occurred, e_actor, e_correlation, e_causation, e_trace,
                          e_payload) WITH ORDINALITY
                   AS e (request, id, type, schema, occurred, actor, correlation, causation, trace, payload, ordinal)
             WHERE verdicts[e.request] = 0;
        GET DIAGNOSTICS written = ROW_COUNT;
        IF written <> total THEN
            RAISE EXCEPTION 'append of % events wrote %', total, written USING ERRCODE = 'VE002';
        END IF;
    END IF;

    -- A sub-select is run only where its case holds, which is rare.
    RETURN QUERY
        SELECT r.ordinal::integer, verdicts[r.ordinal],
               CASE verdicts[r.ordinal] WHEN 0 THEN heads[r.ordinal] + r.n WHEN 1 THEN heads[r.ordinal]
                    ELSE (SELECT k.version FROM append_keys k WHERE k.key = r.key) END,
               CASE verdicts[r.ordinal] WHEN 0 THEN firsts[r.ordinal] + r.n WHEN 1 THEN NULL
                    ELSE (SELECT k.position FROM append_keys k WHERE k.key = r.key) END
          FROM unnest(r_key, r_count) WITH ORDINALITY AS r (key, n, ordinal)
         ORDER BY r.ordinal;
END $$;

-- Batches may be written at the same time, each for the place in the log that it will have, and committed one after the other. This is
-- the last thing before the commit. It waits for the batch before, which holds a lock until it is committed or has come to nothing,
-- locks the counter, and makes sure that the log ends where this batch begins. VE004: it does not. A counter that somebody else
-- holds is not waited for (55P03): who holds it may be waiting for what was written here.
CREATE FUNCTION take_place(before bigint, first bigint, last bigint) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    head     bigint;
    deadline timestamptz := clock_timestamp() + interval '20 ms';
BEGIN
    LOOP
        PERFORM pg_advisory_lock_shared(before), pg_advisory_unlock_shared(before);
        SELECT position INTO head FROM event_log;
        EXIT WHEN head >= first OR clock_timestamp() >= deadline;
        -- It was sent before this one and has not even begun; or has come to nothing, so this is not waited for any longer.
        PERFORM pg_sleep(0.001);
    END LOOP;
    SELECT position INTO head FROM event_log FOR UPDATE NOWAIT;
    IF head <> first THEN
        RAISE EXCEPTION 'the log ends at %, and not at %', head, first USING ERRCODE = 'VE004';
    END IF;
    UPDATE event_log SET position = last WHERE only_row;
    RETURN true;
END $$;
