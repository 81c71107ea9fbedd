//! The statements that append, each one round trip and one transaction: a statement outside `BEGIN` commits by itself.

mod text;

use chrono::{DateTime, Utc};
use domain::{Actor, Position, StreamName, Version};
use sqlx::PgConnection;
use uuid::Uuid;

use super::heads::Heads;
use super::queue::Pending;
use super::{Append, Expected};
use text::Head;
pub(super) use text::Texts;

/// What became of one append of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is in the log, recorded at a time that may not be known here.
    Appended { version: Version, position: Position, recorded_at: Option<DateTime<Utc>> },
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

    /// The highest position that is in the log now; 0 where nothing of the batch is.
    pub(super) fn last_of(verdicts: &[Self]) -> Position {
        verdicts.iter().filter_map(Self::position).max().unwrap_or(0)
    }
}

/// For a connection that appends. Its statements are look-ups by key: the planner, who knows neither the length of an array
/// nor how fast these tables grow between two ANALYZEs, would at times read whole tables instead, or plan each anew.
pub(super) const SETTINGS: &str = "SET plan_cache_mode = force_generic_plan; SET enable_seqscan = off; \
                                   SET enable_hashjoin = off; SET enable_mergejoin = off; \
                                   SET enable_material = off; SET jit = off";

/// SQLSTATE of a stream of which the partition does not hold the expected version; raised by `every_one` in the migration
/// `event_store`.
const NOT_AS_EXPECTED: &str = "VE003";
/// SQLSTATE of a key, a new stream or a version of one that is there already.
const UNIQUE_VIOLATION: &str = "23505";
/// SQLSTATE of a position that the partition does not take, which was given out for the last one of it was another process's.
const OTHER_PARTITION: &str = "23514";
/// SQLSTATE of a place that the log has passed, or not reached; raised by `take_place` in the migration `head_of_a_stream`.
const OUT_OF_PLACE: &str = "VE004";
/// SQLSTATE of a counter that another process holds, which `take_place` does not wait for.
const LOCK_NOT_AVAILABLE: &str = "55P03";
/// SQLSTATE of a partition that is not there.
const NO_TABLE: &str = "42P01";

/// Appends a batch, in which no stream and no key is twice. `texts`: for the partition that is likely to take it, as `heads` are of
/// it; none where it is likely to need two.
pub(super) async fn append(
    connection: &mut PgConnection,
    batch: &[Pending],
    texts: Option<&Texts>,
    heads: &Heads,
) -> Result<Vec<Verdict>, sqlx::Error> {
    let appended = match (texts, Requests::of(batch, heads), batch) {
        (Some(texts), Some(_), [Pending { append, .. }]) if append.events.len() == 1 => {
            append_one(connection, append, texts, heads).await
        }
        (Some(texts), Some(requests), _) => append_all(connection, &requests, batch, texts, None).await.map(Some),
        (None, ..) | (_, None, _) => Ok(None),
    };
    match appended {
        Ok(Some(verdicts)) => return Ok(verdicts),
        Ok(None) => {}
        Err(error) if is_unexpected(&error) => {
            tracing::debug!(%error, appends = batch.len(), "not all as expected; looking at each append");
        }
        Err(error) => return Err(error),
    }
    append_each(connection, batch).await
}

/// Writes a batch in a place, as soon as everything before it is committed; and does nothing where the place is another's.
pub(super) async fn write(
    connection: &mut PgConnection,
    batch: &[Pending],
    requests: &Requests,
    texts: &Texts,
    place: (Position, i64),
) -> Result<Vec<Verdict>, sqlx::Error> {
    append_all(connection, requests, batch, texts, Some(place)).await
}

/// Whether a statement has found that something is not as it expected, and has done nothing.
pub(super) fn is_unexpected(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
    let unexpected = [NOT_AS_EXPECTED, UNIQUE_VIOLATION, OTHER_PARTITION, NO_TABLE, OUT_OF_PLACE, LOCK_NOT_AVAILABLE];
    code.is_some_and(|code| unexpected.contains(&code.as_ref()))
}

/// Whether what is not as expected is the place in the log: another process has it, or the one before came to nothing.
pub(super) fn is_taken(error: &sqlx::Error) -> bool {
    let Some(error) = error.as_database_error() else { return false };
    match error.code().as_deref() {
        Some(OTHER_PARTITION | NO_TABLE | OUT_OF_PLACE | LOCK_NOT_AVAILABLE) => true,
        // Of a partition of `events`: its primary key.
        Some(UNIQUE_VIOLATION) => error.constraint().is_some_and(|name| name.ends_with("_position")),
        _ => false,
    }
}

/// Appends of which each names the version that it expects: everything but the position is known beforehand.
pub(super) struct Requests {
    expected: Vec<Version>,
    /// Version of the stream afterwards.
    versions: Vec<Version>,
    /// Events of the batch up to and with this append's.
    ends: Vec<i64>,
    /// Versions that the partition is to hold.
    looked_up: Vec<(StreamName, Version)>,
    /// Streams that begin.
    opened: Vec<StreamName>,
}

impl Requests {
    /// `None`: there is one that takes any version.
    pub(super) fn of(batch: &[Pending], heads: &Heads) -> Option<Self> {
        let none = || Vec::with_capacity(batch.len());
        let (looked_up, opened) = (Vec::new(), Vec::new());
        let mut requests = Self { expected: none(), versions: none(), ends: none(), looked_up, opened };
        let mut end = 0;
        for Pending { append, .. } in batch {
            let Expected::Exact(expected) = append.expected else {
                return None;
            };
            match head(heads, append.stream, expected) {
                Head::Known => {}
                Head::Unknown => requests.looked_up.push((append.stream, expected)),
                Head::New => requests.opened.push(append.stream),
            }
            let count = i64::try_from(append.events.len()).unwrap_or(i64::MAX);
            end += count;
            requests.expected.push(expected);
            requests.versions.push(expected + count);
            requests.ends.push(end);
        }
        Some(requests)
    }
}

fn head(heads: &Heads, stream: StreamName, expected: Version) -> Head {
    match expected {
        0 => Head::New,
        _ if heads.holds(stream, expected) => Head::Known,
        _ => Head::Unknown,
    }
}

/// The columns of the events of a batch.
struct Columns<'a> {
    ids: Vec<Uuid>,
    types: Vec<&'a str>,
    schemas: Vec<i16>,
    occurred: Vec<DateTime<Utc>>,
    actors: Vec<&'a Actor>,
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
            actors: events().map(|e| &e.actor).collect(),
            correlations: events().map(|e| e.correlation_id).collect(),
            causations: events().map(|e| e.causation_id).collect(),
            traces: events().map(|e| e.trace.as_deref()).collect(),
            payloads: events().map(|e| e.payload.as_str()).collect(),
        }
    }

    /// Without what goes without saying (see `text`).
    fn shortened(self, batch: &[Pending]) -> Self {
        let of_their_streams = |append: &Append| append.events.iter().all(|e| e.correlation_id == append.stream.id);
        Self {
            types: once_if_same(self.types),
            schemas: once_if_same(self.schemas),
            actors: once_if_same(self.actors),
            correlations: if appends(batch).all(of_their_streams) { Vec::new() } else { self.correlations },
            causations: unless_none(self.causations),
            traces: unless_none(self.traces),
            ..self
        }
    }
}

/// One value where all are the same.
fn once_if_same<T: PartialEq>(mut column: Vec<T>) -> Vec<T> {
    if column.windows(2).all(|pair| pair[0] == pair[1]) {
        column.truncate(1);
    }
    column
}

/// Nothing where all are none.
fn unless_none<T>(column: Vec<Option<T>>) -> Vec<Option<T>> {
    if column.iter().all(Option::is_none) { Vec::new() } else { column }
}

fn as_text(actors: Vec<&Actor>) -> Vec<String> {
    actors.into_iter().map(Actor::to_string).collect()
}

fn appends(batch: &[Pending]) -> impl Iterator<Item = &Append> {
    batch.iter().map(|pending| &pending.append)
}

/// `None`: the stream is not as expected, and nothing was written.
async fn append_one(
    connection: &mut PgConnection,
    append: &Append,
    texts: &Texts,
    heads: &Heads,
) -> Result<Option<Vec<Verdict>>, sqlx::Error> {
    let (Expected::Exact(expected), [event]) = (append.expected, append.events.as_slice()) else {
        return Ok(None);
    };
    let head = head(heads, append.stream, expected);
    let mut query = sqlx::query_as(texts.one(head))
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
        .bind(event.payload.as_str());
    if head == Head::New {
        query = query.bind(texts.partition());
    }
    let written: Option<(Position, DateTime<Utc>)> = query.fetch_optional(connection).await?;
    let version = expected + 1;
    let verdict = |(position, at)| vec![Verdict::Appended { version, position, recorded_at: Some(at) }];
    Ok(written.map(verdict))
}

async fn append_all(
    connection: &mut PgConnection,
    requests: &Requests,
    batch: &[Pending],
    texts: &Texts,
    place: Option<(Position, i64)>,
) -> Result<Vec<Verdict>, sqlx::Error> {
    let Requests { expected, versions, ends, looked_up, opened } = requests;
    let columns = Columns::of(batch).shortened(batch);
    let single = columns.ids.len() == batch.len();
    // Of each event, in the order of the appends.
    let (mut event_streams, mut event_categories, mut event_versions) = (Vec::new(), Vec::new(), Vec::new());
    if !single {
        for (append, first) in appends(batch).zip(expected) {
            for (version, _) in (first + 1..).zip(&append.events) {
                event_streams.push(append.stream.id);
                event_categories.push(append.stream.category.as_str());
                event_versions.push(version);
            }
        }
    }
    let mut query = sqlx::query_as(texts.all(place.is_some(), single))
        .bind(ends.last().copied().unwrap_or(0))
        .bind(appends(batch).map(|a| a.key.as_str()).collect::<Vec<_>>())
        .bind(appends(batch).map(|a| a.stream.id).collect::<Vec<_>>())
        .bind(once_if_same(appends(batch).map(|a| a.stream.category.as_str()).collect::<Vec<_>>()))
        .bind(versions)
        .bind(if single { &[][..] } else { ends })
        .bind(columns.ids)
        .bind(event_streams)
        .bind(once_if_same(event_categories))
        .bind(event_versions)
        .bind(columns.types)
        .bind(columns.schemas)
        .bind(columns.occurred)
        .bind(as_text(columns.actors))
        .bind(columns.correlations)
        .bind(columns.causations)
        .bind(columns.traces)
        .bind(columns.payloads)
        .bind(looked_up.iter().map(|(stream, _)| stream.id).collect::<Vec<_>>())
        .bind(looked_up.iter().map(|(stream, _)| stream.category.as_str()).collect::<Vec<_>>())
        .bind(looked_up.iter().map(|(_, version)| *version).collect::<Vec<_>>())
        .bind(opened.iter().map(|stream| stream.id).collect::<Vec<_>>())
        .bind(opened.iter().map(|stream| stream.category.as_str()).collect::<Vec<_>>())
        .bind(texts.partition());
    if let Some((after, lock)) = place {
        query = query.bind(after).bind(lock);
    }
    let (before, at): (Position, DateTime<Utc>) = query.fetch_one(connection).await?;
    let verdict = |(version, end): (&Version, &i64)| Verdict::Appended {
        version: *version,
        position: before + end,
        recorded_at: Some(at),
    };
    Ok(versions.iter().zip(ends).map(verdict).collect())
}

/// Finds out about each append by itself: the function `append_batch` of the migration `head_of_a_stream`.
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
    .bind(as_text(columns.actors))
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
        (0, Some(position)) => Ok(Verdict::Appended { version, position, recorded_at: None }),
        (1, _) => Ok(Verdict::Conflict { actual: version }),
        (2, Some(position)) => Ok(Verdict::AlreadyApplied { version, position }),
        _ => Err(sqlx::Error::Protocol(format!("verdict {verdict} with position {position:?}"))),
    });
    verdicts.collect()
}
