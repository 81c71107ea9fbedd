//! The text of the statements that append where everything is as expected.

use std::sync::Arc;

use sqlx::AssertSqlSafe;

/// Statements that write events to one table.
pub(in crate::event_store) struct Texts {
    partition: Option<i64>,
    one_to_stream: Arc<str>,
    one_to_new_stream: Arc<str>,
    all_to_streams: Arc<str>,
    all_to_new_streams: Arc<str>,
}

impl Texts {
    /// Straight into a partition, by its number: a lone append would take a tenth longer for finding out where to put its
    /// event. `None`: by way of the table of all partitions.
    pub(in crate::event_store) fn to(partition: Option<i64>) -> Self {
        let table = partition.map_or_else(|| "events".to_owned(), |number| format!("events_p{number}"));
        // The only name in them that varies, and made of a number.
        let text = |text: &str| text.replace("INTO events ", &format!("INTO {table} ")).into();
        Self {
            partition,
            one_to_stream: text(ONE_TO_STREAM),
            one_to_new_stream: text(ONE_TO_NEW_STREAM),
            all_to_streams: text(ALL_TO_STREAMS),
            all_to_new_streams: text(ALL_TO_NEW_STREAMS),
        }
    }

    /// The partition that they write to.
    pub(in crate::event_store) fn partition(&self) -> Option<i64> {
        self.partition
    }

    /// For a single event.
    pub(super) fn one(&self, to_new_stream: bool) -> AssertSqlSafe<Arc<str>> {
        AssertSqlSafe(Arc::clone(if to_new_stream { &self.one_to_new_stream } else { &self.one_to_stream }))
    }

    /// For a batch.
    pub(super) fn all(&self, some_to_new_streams: bool) -> AssertSqlSafe<Arc<str>> {
        AssertSqlSafe(Arc::clone(if some_to_new_streams { &self.all_to_new_streams } else { &self.all_to_streams }))
    }
}

/// The statement that takes the whole batch or nothing. It has the order of locks of `append_batch`: stream heads, sorted
/// by the caller; then the counter, and from there to the commit this batch is alone.
macro_rules! all {
    ($heads:literal, $count:literal) => {
        concat!(
            "WITH ",
            $heads,
            ", log AS (
                UPDATE event_log SET position = position + $1 WHERE only_row AND every_one($2, ",
            $count,
            ", 'VE003')
                RETURNING position - $1 AS before, clock_timestamp() AS moment
            ), keys AS (
                INSERT INTO append_keys (key, stream_id, category, version, position)
                SELECT k.key, k.stream, k.category, k.version, log.before + k.last
                FROM log, (SELECT unnest($3::text[]) AS key, unnest($4::uuid[]) AS stream, unnest($5::text[]) AS category,
                                  unnest($7::bigint[]) AS version, unnest($8::bigint[]) AS last) AS k
            ), written AS (
                INSERT INTO events (position, id, stream_id, category, version, type, schema_version, occurred_at,
                                    recorded_at, actor, correlation_id, causation_id, trace, payload)
                SELECT log.before + e.ordinal, e.id, e.stream, e.category, e.version, e.type, e.schema, e.occurred,
                       log.moment, e.actor, e.correlation, e.causation, e.trace, e.payload::json
                FROM log, (SELECT generate_series(1, $1) AS ordinal, unnest($9::uuid[]) AS id,
                                  unnest($10::uuid[]) AS stream, unnest($11::text[]) AS category,
                                  unnest($12::bigint[]) AS version, unnest($13::text[]) AS type,
                                  unnest($14::smallint[]) AS schema, unnest($15::timestamptz[]) AS occurred,
                                  unnest($16::text[]) AS actor, unnest($17::uuid[]) AS correlation,
                                  unnest($18::uuid[]) AS causation, unnest($19::text[]) AS trace,
                                  unnest($20::text[]) AS payload) AS e
                RETURNING 1
            )
            SELECT before FROM log WHERE every_one($1, (SELECT count(*) FROM written), 'VE002')"
        )
    };
}

/// Of streams that are all there.
const ALL_TO_STREAMS: &str = all!(
    "moved AS (
        UPDATE streams AS s SET version = r.version
        FROM (SELECT unnest($4::uuid[]) AS stream, unnest($5::text[]) AS category, unnest($6::bigint[]) AS expected,
                     unnest($7::bigint[]) AS version) AS r
        WHERE s.stream_id = r.stream AND s.category = r.category AND s.version = r.expected
        RETURNING 1
    )",
    "(SELECT count(*) FROM moved)"
);

/// Of streams of which some are new.
const ALL_TO_NEW_STREAMS: &str = all!(
    "moved AS (
        UPDATE streams AS s SET version = r.version
        FROM (SELECT unnest($4::uuid[]) AS stream, unnest($5::text[]) AS category, unnest($6::bigint[]) AS expected,
                     unnest($7::bigint[]) AS version) AS r
        WHERE r.expected > 0 AND s.stream_id = r.stream AND s.category = r.category AND s.version = r.expected
        RETURNING 1
    ), opened AS (
        INSERT INTO streams (stream_id, category, version)
        SELECT r.stream, r.category, r.version
        FROM (SELECT unnest($4::uuid[]) AS stream, unnest($5::text[]) AS category, unnest($6::bigint[]) AS expected,
                     unnest($7::bigint[]) AS version) AS r
        WHERE r.expected = 0
        RETURNING 1
    )",
    "(SELECT count(*) FROM moved) + (SELECT count(*) FROM opened)"
);

/// What an idle system does: a single event, without the arrays that cost more than the event. Writes nothing if the stream
/// is not as expected.
macro_rules! one {
    ($head:literal) => {
        concat!(
            "WITH head AS (",
            $head,
            " RETURNING 1), log AS (
                UPDATE event_log SET position = position + 1 WHERE only_row AND EXISTS (SELECT FROM head)
                RETURNING position, clock_timestamp() AS moment
            ), keys AS (
                INSERT INTO append_keys (key, stream_id, category, version, position)
                SELECT $1, $2, $3, $4 + 1, log.position FROM log
            )
            INSERT INTO events (position, id, stream_id, category, version, type, schema_version, occurred_at,
                                recorded_at, actor, correlation_id, causation_id, trace, payload)
            SELECT log.position, $5, $2, $3, $4 + 1, $6, $7, $8, log.moment, $9, $10, $11, $12, $13::json FROM log
            RETURNING position"
        )
    };
}

const ONE_TO_STREAM: &str =
    one!("UPDATE streams SET version = $4 + 1 WHERE stream_id = $2 AND category = $3 AND version = $4");
const ONE_TO_NEW_STREAM: &str = one!("INSERT INTO streams (stream_id, category, version) VALUES ($2, $3, $4 + 1)");
