-- The event store: the only truth of the system. Everything else can be rebuilt from `events`.

-- One row: how far the log goes. It is locked last in an append, so positions are given out in commit order without a hole.
CREATE TABLE event_log (
    only_row       boolean PRIMARY KEY DEFAULT true CONSTRAINT event_log_one_row CHECK (only_row),
    position       bigint  NOT NULL DEFAULT 0,
    -- Identity of this log. A cursor or a Kafka record of another log is recognised by it.
    epoch          uuid    NOT NULL DEFAULT gen_random_uuid(),
    -- Events in one partition of `events`.
    partition_size bigint  NOT NULL DEFAULT 10000000
) WITH (fillfactor = 10);   -- updated by every append: leaves room for in-page updates
INSERT INTO event_log DEFAULT VALUES;

-- The head of every stream. Its row lock is what makes the expected version hold across processes.
CREATE TABLE streams (
    stream_id uuid   NOT NULL,
    category  text   NOT NULL,
    version   bigint NOT NULL,
    CONSTRAINT streams_key PRIMARY KEY (stream_id, category)
) WITH (fillfactor = 70);

-- What was appended under which idempotency key. A repeated key is answered from here.
CREATE TABLE append_keys (
    -- Compared byte by byte: the rules of a language cost more than the rest of the look-up.
    key           text   COLLATE "C" NOT NULL CONSTRAINT append_keys_key PRIMARY KEY,
    stream_id     uuid   NOT NULL,
    category      text   NOT NULL,
    version       bigint NOT NULL,   -- of the last event
    position      bigint NOT NULL    -- of the last event
);

CREATE TABLE events (
    position       bigint      NOT NULL,
    id             uuid        NOT NULL,
    stream_id      uuid        NOT NULL,
    category       text        NOT NULL,
    version        bigint      NOT NULL,
    type           text        NOT NULL,
    schema_version smallint    NOT NULL,
    occurred_at    timestamptz NOT NULL,
    recorded_at    timestamptz NOT NULL,
    actor          text        NOT NULL,
    correlation_id uuid        NOT NULL,
    causation_id   uuid,
    trace          text,
    payload        json        NOT NULL   -- json, not jsonb: kept to the byte
) PARTITION BY RANGE (position);

-- Makes the partition that holds `at`, if it is not there. ATTACH takes a weaker lock than PARTITION OF, so readers and
-- writers go on. Unique indexes are made on each partition, because one over all would have to contain `position`.
CREATE FUNCTION ensure_event_partition(at bigint) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    size  bigint := (SELECT partition_size FROM event_log);
    first bigint := (greatest(at, 1) - 1) / size * size + 1;
    name  text   := 'events_p' || ((first - 1) / size);
BEGIN
    -- One maker at a time; the number is arbitrary and only used here.
    PERFORM pg_advisory_xact_lock(7301001);
    IF to_regclass('public.' || name) IS NOT NULL THEN
        RETURN;
    END IF;
    EXECUTE format('CREATE TABLE public.%I (LIKE public.events INCLUDING DEFAULTS)', name);
    EXECUTE format('ALTER TABLE public.%I ADD CONSTRAINT %I PRIMARY KEY (position)', name, name || '_position');
    EXECUTE format('CREATE UNIQUE INDEX %I ON public.%I (stream_id, category, version)', name || '_stream', name);
    EXECUTE format('ALTER TABLE public.%I ADD CONSTRAINT %I CHECK (position >= %s AND position < %s)',
                   name, name || '_range', first, first + size);
    EXECUTE format('ALTER TABLE public.events ATTACH PARTITION public.%I FOR VALUES FROM (%s) TO (%s)',
                   name, first, first + size);
    -- The partition's bounds say the same from here on, and rows are not checked twice.
    EXECUTE format('ALTER TABLE public.%I DROP CONSTRAINT %I', name, name || '_range');
    EXECUTE format('CREATE TRIGGER events_never_truncated BEFORE TRUNCATE ON public.%I
                    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()', name);
END $$;

-- Events are facts: they are neither edited nor deleted, by nobody.
CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'events are never changed: % refused', TG_OP USING ERRCODE = 'VE001';
END $$;
CREATE TRIGGER events_never_changed BEFORE UPDATE OR DELETE ON events FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER events_never_truncated BEFORE TRUNCATE ON events FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
SELECT ensure_event_partition(1);

-- Appends are made in two ways. Nearly always every expected version holds and every key is new: one statement (see
-- `every_one`, and commands/src/event_store/statement.rs) does that, and is rolled back by anything else. Then the batch
-- goes to `append_batch`, which finds out what is wrong with which append and takes the others.

-- Rolls the statement back unless as many rows were written as there were to be. Codes: VE002 the log did not write what
-- it is about to acknowledge, VE003 a stream is not at the version that was expected.
CREATE FUNCTION every_one(wanted bigint, written bigint, code text) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    IF written = wanted THEN
        RETURN true;
    END IF;
    RAISE EXCEPTION 'of % rows % were written', wanted, written USING ERRCODE = code;
END $$;

-- Appends a batch in one round trip and, run by itself, in one transaction. Requests are given as parallel arrays, and so
-- are their events, which name their request by index (from 1) and come in the order of the requests.
-- The caller never puts one stream or one key into a batch twice.
--
-- verdict: 0 appended, 1 expected version does not match (version = the actual one), 2 the key was applied before.
-- expected: NULL takes any version, 0 a stream that does not exist yet.
CREATE FUNCTION append_batch(
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
    written   integer;
    moment    timestamptz;
BEGIN
    -- 1. Stream heads, locked in one order everywhere, so that two batches can't wait for each other.
    INSERT INTO streams AS s (stream_id, category, version)
        SELECT r.stream, r.category, 0 FROM unnest(r_stream, r_category) AS r (stream, category)
        ORDER BY 1, 2
        ON CONFLICT ON CONSTRAINT streams_key DO NOTHING;
    PERFORM FROM streams s JOIN unnest(r_stream, r_category) AS r (stream, category)
        ON s.stream_id = r.stream AND s.category = r.category
        ORDER BY s.stream_id, s.category FOR UPDATE OF s;

    -- 2. Verdicts, by a statement with a snapshot taken after the locks: it sees what those before us committed.
    SELECT array_agg(CASE WHEN k.key IS NOT NULL THEN 2
                          WHEN r.expected IS NOT NULL AND r.expected <> s.version THEN 1
                          ELSE 0 END::smallint ORDER BY r.ordinal),
           array_agg(s.version ORDER BY r.ordinal)
      INTO verdicts, heads
      FROM unnest(r_key, r_stream, r_category, r_expected) WITH ORDINALITY AS r (key, stream, category, expected, ordinal)
      JOIN streams s ON s.stream_id = r.stream AND s.category = r.category
      LEFT JOIN append_keys k ON k.key = r.key;

    SELECT coalesce(sum(r.n), 0),
           array_agg(r.before ORDER BY r.ordinal)
      INTO total, firsts
      FROM (SELECT ordinal, CASE WHEN verdicts[ordinal] = 0 THEN n ELSE 0 END AS n,
                   sum(CASE WHEN verdicts[ordinal] = 0 THEN n ELSE 0 END) OVER (ORDER BY ordinal)
                     - CASE WHEN verdicts[ordinal] = 0 THEN n ELSE 0 END AS before
              FROM unnest(r_count) WITH ORDINALITY AS c (n, ordinal)) r;

    IF total > 0 THEN
        UPDATE streams s SET version = s.version + r.n
          FROM unnest(r_stream, r_category, r_count, verdicts) AS r (stream, category, n, verdict)
         WHERE r.verdict = 0 AND s.stream_id = r.stream AND s.category = r.category;

        -- 3. The counter, last: from here to the commit this batch is alone.
        UPDATE event_log SET position = event_log.position + total RETURNING event_log.position - total INTO head;
        moment := clock_timestamp();

        INSERT INTO append_keys (key, stream_id, category, version, position)
            SELECT r.key, r.stream, r.category, heads[r.ordinal] + r.n, head + firsts[r.ordinal] + r.n
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
               CASE verdicts[r.ordinal] WHEN 0 THEN head + firsts[r.ordinal] + r.n WHEN 1 THEN NULL
                    ELSE (SELECT k.position FROM append_keys k WHERE k.key = r.key) END
          FROM unnest(r_key, r_count) WITH ORDINALITY AS r (key, n, ordinal)
         ORDER BY r.ordinal;
END $$;
