//! The text of the statements that append where everything is as expected.
//!
//! They lock the counter before they write anything, and are alone with the log from there to the commit; only what is written for a
//! place takes the counter last. They go straight into a partition, by its number: a lone append would take a tenth longer
//! for finding out where to put its event.

use std::sync::Arc;

use sqlx::AssertSqlSafe;

/// Statements that write events to one partition.
pub(in crate::event_store) struct Texts {
    partition: i64,
    one: Arc<str>,
    one_looked_up: Arc<str>,
    one_to_new_stream: Arc<str>,
    all: Arc<str>,
    all_placed: Arc<str>,
    all_single: Arc<str>,
    all_single_placed: Arc<str>,
}

/// What is known of the stream of a lone append.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Head {
    /// The partition holds the expected version.
    Known,
    /// Whether it does has to be looked up.
    Unknown,
    /// There is no stream.
    New,
}

impl Texts {
    pub(in crate::event_store) fn to(partition: i64) -> Self {
        // The only name in them that varies, and made of a number.
        let text = |text: &str| text.replace("events_p#", &format!("events_p{partition}")).into();
        Self {
            partition,
            one: text(ONE),
            one_looked_up: text(ONE_LOOKED_UP),
            one_to_new_stream: text(ONE_TO_NEW_STREAM),
            all: text(ALL),
            all_placed: text(ALL_PLACED),
            all_single: text(&single(ALL)),
            all_single_placed: text(&single(ALL_PLACED)),
        }
    }

    /// The partition that they write to.
    pub(in crate::event_store) fn partition(&self) -> i64 {
        self.partition
    }

    /// For a single event.
    pub(super) fn one(&self, head: Head) -> AssertSqlSafe<Arc<str>> {
        AssertSqlSafe(Arc::clone(match head {
            Head::Known => &self.one,
            Head::Unknown => &self.one_looked_up,
            Head::New => &self.one_to_new_stream,
        }))
    }

    /// For a batch; `placed`: after a position that is given. `single`: each append is of one event; parameters $6 and $8 to $10 count
    /// for nothing then.
    pub(super) fn all(&self, placed: bool, single: bool) -> AssertSqlSafe<Arc<str>> {
        AssertSqlSafe(Arc::clone(match (single, placed) {
            (false, false) => &self.all,
            (false, true) => &self.all_placed,
            (true, false) => &self.all_single,
            (true, true) => &self.all_single_placed,
        }))
    }
}

/// Takes the whole batch or nothing. $19 to $21: streams of which the partition is to hold a version. $22, $23: streams that are
/// to begin, in partition $24. Events are written first: whoever else writes them in the same place waits there and holds nothing.
///
/// Lists end early where the rest says nothing new, and are NULL from there on: a list of categories, types, schema versions and actors
/// has one element where it is the same for all, one of correlations none where they are the streams, and one of causations and traces
/// none where there are none. Each list costs the server as much for an element as a column of the event.
///
/// `every_one` is called only to refuse, so that no batch begins a function of plpgsql for a comparison.
macro_rules! all {
    ($log:literal, $returning:literal, $then:literal) => {
        concat!(
            "WITH log AS (",
            $log,
            " (cardinality($19::uuid[]) = 0 OR every_one(cardinality($19::uuid[]), (
                SELECT count(*)
                FROM (SELECT unnest($19::uuid[]) AS stream, unnest($20::text[]) AS category,
                             unnest($21::bigint[]) AS version) AS r
                WHERE EXISTS (SELECT FROM events_p# e
                              WHERE e.stream_id = r.stream AND e.category = r.category AND e.version = r.version)), 'VE003'))",
            $returning,
            "), opened AS (
                INSERT INTO stream_partitions (stream_id, category, partition)
                SELECT r.stream, r.category, $24
                FROM log, (SELECT unnest($22::uuid[]) AS stream, unnest($23::text[]) AS category) AS r
                RETURNING 1
            ), keys AS (
                INSERT INTO append_keys (key, stream_id, category, version, position)
                SELECT k.key, k.stream, coalesce(k.category, ($4::text[])[1]), k.version, log.before + k.last
                FROM log, (SELECT unnest($2::text[]) AS key, unnest($3::uuid[]) AS stream, unnest($4::text[]) AS category,
                                  unnest($5::bigint[]) AS version, unnest($6::bigint[]) AS last) AS k
                RETURNING 1
            ), written AS (
                INSERT INTO events_p# (position, id, stream_id, category, version, type, schema_version, occurred_at,
                                       recorded_at, actor, correlation_id, causation_id, trace, payload)
                SELECT log.before + e.ordinal, e.id, e.stream, coalesce(e.category, ($9::text[])[1]), e.version,
                       coalesce(e.type, ($11::text[])[1]), coalesce(e.schema, ($12::smallint[])[1]), e.occurred,
                       log.moment, coalesce(e.actor, ($14::text[])[1]), coalesce(e.correlation, e.stream),
                       e.causation, e.trace, e.payload::json
                FROM log, (SELECT generate_series(1, $1) AS ordinal, unnest($7::uuid[]) AS id,
                                  unnest($8::uuid[]) AS stream, unnest($9::text[]) AS category,
                                  unnest($10::bigint[]) AS version, unnest($11::text[]) AS type,
                                  unnest($12::smallint[]) AS schema, unnest($13::timestamptz[]) AS occurred,
                                  unnest($14::text[]) AS actor, unnest($15::uuid[]) AS correlation,
                                  unnest($16::uuid[]) AS causation, unnest($17::text[]) AS trace,
                                  unnest($18::text[]) AS payload) AS e
                RETURNING 1
            )
            SELECT log.before, log.moment FROM log, (SELECT count(*) AS events FROM written) AS w
            WHERE CASE WHEN w.events = $1 OR every_one($1, w.events, 'VE002') THEN ",
            $then,
            " END"
        )
    };
}

const ALL: &str = all!(
    "UPDATE event_log SET position = position + $1 WHERE only_row AND",
    " RETURNING position - $1 AS before, clock_timestamp() AS moment",
    "true"
);

/// After position $25, where the log has to end when everything else is written. Lock $26 is held until this is committed or has come
/// to nothing; what comes before in the log holds the one before.
const ALL_PLACED: &str = all!(
    "SELECT $25::bigint AS before, clock_timestamp() AS moment, pg_advisory_xact_lock($26::bigint) WHERE",
    "",
    "(SELECT count(*) FROM keys) + (SELECT count(*) FROM opened) > 0 AND take_place($26 - 1, $25, $25 + $1)"
);

/// The same where each append is of one event: its stream, category and version are the append's, and it is as far from the first
/// as the append is. A list costs the server as much as a column of the event.
fn single(text: &str) -> String {
    text.replace("unnest($6::bigint[])", "generate_series(1, $1)")
        .replace("$8::uuid[]", "$3::uuid[]")
        .replace("$9::text[]", "$4::text[]")
        .replace("$10::bigint[]", "$5::bigint[]")
}

/// What an idle system does: a single event, without the arrays that cost more than the event. Writes nothing if the stream
/// is not as expected.
macro_rules! one {
    ($condition:literal, $opened:literal) => {
        concat!(
            "WITH log AS (
                UPDATE event_log SET position = position + 1 WHERE only_row ",
            $condition,
            " RETURNING position, clock_timestamp() AS moment
            ), ",
            $opened,
            "keys AS (
                INSERT INTO append_keys (key, stream_id, category, version, position)
                SELECT $1, $2, $3, $4 + 1, log.position FROM log
            )
            INSERT INTO events_p# (position, id, stream_id, category, version, type, schema_version, occurred_at,
                                   recorded_at, actor, correlation_id, causation_id, trace, payload)
            SELECT log.position, $5, $2, $3, $4 + 1, $6, $7, $8, log.moment, $9, $10, $11, $12, $13::json FROM log
            RETURNING position, recorded_at"
        )
    };
}

const ONE: &str = one!("", "");
const ONE_LOOKED_UP: &str =
    one!("AND EXISTS (SELECT FROM events_p# e WHERE e.stream_id = $2 AND e.category = $3 AND e.version = $4)", "");
const ONE_TO_NEW_STREAM: &str = one!(
    "",
    "opened AS (INSERT INTO stream_partitions (stream_id, category, partition) SELECT $2, $3, $14 FROM log), "
);
