//! The statements that append, each one round trip: in a transaction of its own, since a statement outside `BEGIN` commits
//! by itself, or in one that is committed later.

mod text;

use chrono::{DateTime, Utc};
use domain::{Position, Version};
use sqlx::PgConnection;
use uuid::Uuid;

use super::queue::Pending;
use super::{Append, Expected};
pub(super) use text::Texts;

/// What became of one append of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is in the log.
    Appended { version: Version, position: Position },
    /// The stream is at another version.
    Conflict { actual: Version },
    /// An earlier append under the same key is in the log.
    AlreadyApplied { version: Version, position: Position },
}

impl Verdict {
    /// Where the append's last event is, if it is in the log.
    pub(super) fn position(&self) -> Option<Position> {
        match self {
            Self::Appended { position, .. } | Self::AlreadyApplied { position, .. } => Some(*position),
            Self::Conflict { .. } => None,
        }
    }
}

/// For a connection that appends. Its statements are look-ups by key: the planner, who knows neither the length of an array
/// nor how fast these tables grow between two ANALYZEs, would at times read whole tables instead, or plan each anew.
pub(super) const SETTINGS: &str = "SET plan_cache_mode = force_generic_plan; SET enable_seqscan = off; \
                                   SET enable_hashjoin = off; SET enable_mergejoin = off; \
                                   SET enable_material = off; SET jit = off";

/// SQLSTATE of a stream that is not at the expected version; raised by `every_one` in the migration `event_store`.
const NOT_AS_EXPECTED: &str = "VE003";
/// SQLSTATE of a key, or a new stream, that is there already.
const UNIQUE_VIOLATION: &str = "23505";
/// SQLSTATE of a position that the partition does not take, which was given out for the last one of it was another process's.
const OTHER_PARTITION: &str = "23514";
/// SQLSTATE of a partition that is not there.
const NO_TABLE: &str = "42P01";

/// The transaction that a statement is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Transaction {
    /// It commits by itself.
    OfItsOwn,
    /// It was begun before, and is committed later.
    Open,
}

/// Appends a batch, in which no stream and no key is twice.
pub(super) async fn append(
    connection: &mut PgConnection,
    batch: &[Pending],
    transaction: Transaction,
    texts: &Texts,
) -> Result<Vec<Verdict>, sqlx::Error> {
    let appended = match (Requests::of(batch), batch) {
        (Some(_), [Pending { append, .. }]) if append.events.len() == 1 => append_one(connection, append, texts).await,
        (Some(requests), _) => append_all(connection, requests, batch, texts).await.map(Some),
        (None, _) => Ok(None),
    };
    match appended {
        Ok(Some(verdicts)) => return Ok(verdicts),
        Ok(None) => {}
        Err(error) if is_unexpected(&error) => {
            tracing::debug!(%error, appends = batch.len(), "not all as expected; looking at each append");
            if transaction == Transaction::Open {
                sqlx::raw_sql("ROLLBACK AND CHAIN").execute(&mut *connection).await?;
            }
        }
        Err(error) => return Err(error),
    }
    append_each(connection, batch).await
}

fn is_unexpected(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
    matches!(code.as_deref(), Some(NOT_AS_EXPECTED | UNIQUE_VIOLATION | OTHER_PARTITION | NO_TABLE))
}

/// Appends of which each names the version that it expects: everything but the position is known beforehand.
struct Requests {
    expected: Vec<Version>,
    /// Version of the stream afterwards.
    versions: Vec<Version>,
    /// Events of the batch up to and with this append's.
    ends: Vec<i64>,
}

impl Requests {
    /// `None`: there is one that takes any version.
    fn of(batch: &[Pending]) -> Option<Self> {
        let none = || Vec::with_capacity(batch.len());
        let mut requests = Self { expected: none(), versions: none(), ends: none() };
        let mut end = 0;
        for Pending { append, .. } in batch {
            let Expected::Exact(expected) = append.expected else {
                return None;
            };
            let count = i64::try_from(append.events.len()).unwrap_or(i64::MAX);
            end += count;
            requests.expected.push(expected);
            requests.versions.push(expected + count);
            requests.ends.push(end);
        }
        Some(requests)
    }
}

/// The columns of the events of a batch.
struct Columns<'a> {
    ids: Vec<Uuid>,
    types: Vec<&'a str>,
    schemas: Vec<i16>,
    occurred: Vec<DateTime<Utc>>,
    actors: Vec<String>,
    correlations: Vec<Uuid>,
    causations: Vec<Option<Uuid>>,
    traces: Vec<Option<&'a str>>,
    payloads: Vec<&'a str>,
}

impl<'a> Columns<'a> {
    fn of(batch: &'a [Pending]) -> Self {
        let events = || appends(batch).flat_map(|append| &append.events);
        Self {
            ids: events().map(|e| e.id).collect(),
            types: events().map(|e| e.event_type).collect(),
            schemas: events().map(|e| e.schema_version).collect(),
            occurred: events().map(|e| e.occurred_at).collect(),
            actors: events().map(|e| e.actor.to_string()).collect(),
            correlations: events().map(|e| e.correlation_id).collect(),
            causations: events().map(|e| e.causation_id).collect(),
            traces: events().map(|e| e.trace.as_deref()).collect(),
            payloads: events().map(|e| e.payload.as_str()).collect(),
        }
    }
}

fn appends(batch: &[Pending]) -> impl Iterator<Item = &Append> {
    batch.iter().map(|pending| &pending.append)
}

/// `None`: the stream is not as expected, and nothing was written.
async fn append_one(
    connection: &mut PgConnection,
    append: &Append,
    texts: &Texts,
) -> Result<Option<Vec<Verdict>>, sqlx::Error> {
    let (Expected::Exact(expected), [event]) = (append.expected, append.events.as_slice()) else {
        return Ok(None);
    };
    let position: Option<Position> = sqlx::query_scalar(texts.one(expected == 0))
        .bind(append.key.as_str())
        .bind(append.stream.id)
        .bind(append.stream.category.as_str())
        .bind(expected)
        .bind(event.id)
        .bind(event.event_type)
        .bind(event.schema_version)
        .bind(event.occurred_at)
        .bind(event.actor.to_string())
        .bind(event.correlation_id)
        .bind(event.causation_id)
        .bind(event.trace.as_deref())
        .bind(event.payload.as_str())
        .fetch_optional(connection)
        .await?;
    Ok(position.map(|position| vec![Verdict::Appended { version: expected + 1, position }]))
}

async fn append_all(
    connection: &mut PgConnection,
    requests: Requests,
    batch: &[Pending],
    texts: &Texts,
) -> Result<Vec<Verdict>, sqlx::Error> {
    let Requests { expected, versions, ends } = requests;
    let columns = Columns::of(batch);
    // Of each event, in the order of the appends.
    let mut event_streams = Vec::with_capacity(columns.ids.len());
    let mut event_categories = Vec::with_capacity(columns.ids.len());
    let mut event_versions = Vec::with_capacity(columns.ids.len());
    for (append, first) in appends(batch).zip(&expected) {
        for (version, _) in (first + 1..).zip(&append.events) {
            event_streams.push(append.stream.id);
            event_categories.push(append.stream.category.as_str());
            event_versions.push(version);
        }
    }
    let before: Position = sqlx::query_scalar(texts.all(expected.contains(&0)))
        .bind(ends.last().copied().unwrap_or(0))
        .bind(i64::try_from(batch.len()).unwrap_or(i64::MAX))
        .bind(appends(batch).map(|a| a.key.as_str()).collect::<Vec<_>>())
        .bind(appends(batch).map(|a| a.stream.id).collect::<Vec<_>>())
        .bind(appends(batch).map(|a| a.stream.category.as_str()).collect::<Vec<_>>())
        .bind(&expected)
        .bind(&versions)
        .bind(&ends)
        .bind(columns.ids)
        .bind(event_streams)
        .bind(event_categories)
        .bind(event_versions)
        .bind(columns.types)
        .bind(columns.schemas)
        .bind(columns.occurred)
        .bind(columns.actors)
        .bind(columns.correlations)
        .bind(columns.causations)
        .bind(columns.traces)
        .bind(columns.payloads)
        .fetch_one(connection)
        .await?;
    let appended = versions.into_iter().zip(ends);
    Ok(appended.map(|(version, end)| Verdict::Appended { version, position: before + end }).collect())
}

/// Finds out about each append by itself: the function `append_batch` of the migration `event_store`.
async fn append_each(connection: &mut PgConnection, batch: &[Pending]) -> Result<Vec<Verdict>, sqlx::Error> {
    let expected = |append: &Append| match append.expected {
        Expected::Any => None,
        Expected::Exact(version) => Some(version),
    };
    let requests = (1_i32..).zip(appends(batch)).flat_map(|(index, append)| vec![index; append.events.len()]);
    let columns = Columns::of(batch);
    let rows: Vec<(i16, Version, Option<Position>)> = sqlx::query_as(
        "SELECT verdict, version, position
         FROM append_batch($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)",
    )
    .bind(appends(batch).map(|a| a.key.as_str()).collect::<Vec<_>>())
    .bind(appends(batch).map(|a| a.stream.id).collect::<Vec<_>>())
    .bind(appends(batch).map(|a| a.stream.category.as_str()).collect::<Vec<_>>())
    .bind(appends(batch).map(expected).collect::<Vec<Option<Version>>>())
    .bind(appends(batch).map(|a| i32::try_from(a.events.len()).unwrap_or(i32::MAX)).collect::<Vec<_>>())
    .bind(requests.collect::<Vec<_>>())
    .bind(columns.ids)
    .bind(columns.types)
    .bind(columns.schemas)
    .bind(columns.occurred)
    .bind(columns.actors)
    .bind(columns.correlations)
    .bind(columns.causations)
    .bind(columns.traces)
    .bind(columns.payloads)
    .fetch_all(connection)
    .await?;
    if rows.len() != batch.len() {
        return Err(sqlx::Error::Protocol(format!("{} verdicts on {} appends", rows.len(), batch.len())));
    }
    let verdicts = rows.into_iter().map(|(verdict, version, position)| match (verdict, position) {
        (0, Some(position)) => Ok(Verdict::Appended { version, position }),
        (1, _) => Ok(Verdict::Conflict { actual: version }),
        (2, Some(position)) => Ok(Verdict::AlreadyApplied { version, position }),
        _ => Err(sqlx::Error::Protocol(format!("verdict {verdict} with position {position:?}"))),
    });
    verdicts.collect()
}
