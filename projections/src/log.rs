//! Reading the log, straight from the table.
//!
//! Positions are dense and in commit order, so a reader needs nothing but `position > cursor`. Every read here checks that
//! it got the very next position: a missing one is an alarm, not something to step over. This module does not know what
//! an event means.

use chrono::{DateTime, Utc};
use domain::{Position, Recorded, StreamName};
use serde_json::value::RawValue;
use sqlx::postgres::PgRow;
use sqlx::types::Json;
use sqlx::{PgExecutor, Row};
use uuid::Uuid;

use crate::models::Scroll;

/// Why the log could not be read.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The database does not answer, or is not migrated.
    #[error("the log could not be read")]
    Database(#[from] sqlx::Error),
    /// A stored row is no event of this model: written by a newer program, or damaged.
    #[error("the event at position {position} contradicts the model")]
    Contradiction {
        /// Where it is.
        position: Position,
        /// What does not fit.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Positions are dense; here one is missing. Old partitions may have been detached, or the log was damaged.
    #[error("the log has no event at position {expected}; the next one is at {found}")]
    Hole {
        /// The position that should have come.
        expected: Position,
        /// The one that came.
        found: Position,
    },
}

macro_rules! select_events {
    ($rest:literal) => {
        concat!(
            "SELECT position, id, stream_id, category, version, type, schema_version, occurred_at, recorded_at, actor, \
             correlation_id, causation_id, trace, payload FROM events ",
            $rest
        )
    };
}

/// Events after a position, in order, at most `limit`.
///
/// # Errors
/// See [`LogError`].
pub async fn read_after<'e>(
    executor: impl PgExecutor<'e>,
    after: Position,
    limit: usize,
) -> Result<Vec<Recorded>, LogError> {
    let rows = sqlx::query(select_events!("WHERE position > $1 ORDER BY position LIMIT $2"))
        .bind(after)
        .bind(i64::try_from(limit).unwrap_or(i64::MAX))
        .fetch_all(executor)
        .await?;
    dense(after, &rows)
}

/// Events after a position up to another one, in order, at most `limit`.
///
/// # Errors
/// See [`LogError`].
pub async fn read_between<'e>(
    executor: impl PgExecutor<'e>,
    after: Position,
    upto: Position,
    limit: usize,
) -> Result<Vec<Recorded>, LogError> {
    let rows = sqlx::query(select_events!("WHERE position > $1 AND position <= $2 ORDER BY position LIMIT $3"))
        .bind(after)
        .bind(upto)
        .bind(i64::try_from(limit).unwrap_or(i64::MAX))
        .fetch_all(executor)
        .await?;
    dense(after, &rows)
}

/// The events at these positions, in order.
///
/// # Errors
/// See [`LogError`].
pub async fn at_positions<'e>(
    executor: impl PgExecutor<'e>,
    positions: &[Position],
) -> Result<Vec<Recorded>, LogError> {
    let rows = sqlx::query(select_events!("WHERE position = ANY ($1) ORDER BY position"));
    rows.bind(positions).fetch_all(executor).await?.iter().map(recorded).collect()
}

/// Everything recorded under an identity, whatever the category, after a position and in order: the history of a call with
/// its transcript and its sentiment, or of an agent. At most `limit`.
///
/// # Errors
/// See [`LogError`].
pub async fn of_stream_id<'e>(
    executor: impl PgExecutor<'e>,
    id: Uuid,
    after: Position,
    limit: usize,
) -> Result<Vec<Recorded>, LogError> {
    // Found by the stream's index first: the planner might otherwise walk the whole log by position to save the sort.
    let rows = sqlx::query(concat!(
        "WITH found AS MATERIALIZED (",
        select_events!("WHERE stream_id = $1 AND position > $2"),
        ") SELECT * FROM found ORDER BY position LIMIT $3"
    ))
    .bind(id)
    .bind(after)
    .bind(i64::try_from(limit).unwrap_or(i64::MAX))
    .fetch_all(executor)
    .await?;
    rows.iter().map(recorded).collect()
}

/// The same backwards: what comes last before a position, in order. At most `limit`.
///
/// # Errors
/// See [`LogError`].
pub async fn of_stream_id_before<'e>(
    executor: impl PgExecutor<'e>,
    id: Uuid,
    before: Position,
    limit: usize,
) -> Result<Vec<Recorded>, LogError> {
    let rows = sqlx::query(concat!(
        "WITH found AS MATERIALIZED (",
        select_events!("WHERE stream_id = $1 AND position < $2"),
        ") SELECT * FROM found ORDER BY position DESC LIMIT $3"
    ))
    .bind(id)
    .bind(before)
    .bind(i64::try_from(limit).unwrap_or(i64::MAX))
    .fetch_all(executor)
    .await?;
    rows.iter().rev().map(recorded).collect()
}

/// The beginnings of several histories, or their ends: of each identity at most `limit` events, in order, in one statement.
///
/// # Errors
/// See [`LogError`].
pub async fn of_stream_ids<'e>(
    executor: impl PgExecutor<'e>,
    ids: &[Uuid],
    scroll: Scroll,
    limit: usize,
) -> Result<Vec<Recorded>, LogError> {
    macro_rules! select_each {
        ($order:literal) => {
            concat!(
                "SELECT e.* FROM unnest($1::uuid[]) AS asked (id) CROSS JOIN LATERAL (WITH found AS MATERIALIZED (",
                select_events!("WHERE stream_id = asked.id"),
                ") SELECT * FROM found ORDER BY position ",
                $order,
                " LIMIT $2) AS e ORDER BY e.position"
            )
        };
    }
    let sql = match scroll {
        Scroll::Forward => select_each!(""),
        Scroll::Backward => select_each!("DESC"),
    };
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    sqlx::query(sql).bind(ids).bind(limit).fetch_all(executor).await?.iter().map(recorded).collect()
}

/// Position of the last committed event; 0 in an empty log.
///
/// # Errors
/// The database does not answer, or is not migrated.
pub async fn head<'e>(executor: impl PgExecutor<'e>) -> Result<Position, LogError> {
    Ok(sqlx::query_scalar("SELECT position FROM event_log").fetch_one(executor).await?)
}

/// Identity of this log. A cursor or a Kafka record of another log is recognised by it.
///
/// # Errors
/// The database does not answer, or is not migrated.
pub async fn epoch<'e>(executor: impl PgExecutor<'e>) -> Result<Uuid, LogError> {
    Ok(sqlx::query_scalar("SELECT epoch FROM event_log").fetch_one(executor).await?)
}

/// Rows as events, each the direct successor of the one before.
fn dense(after: Position, rows: &[PgRow]) -> Result<Vec<Recorded>, LogError> {
    let mut expected = after;
    rows.iter()
        .map(|row| {
            let event = recorded(row)?;
            expected += 1;
            if event.position == expected { Ok(event) } else { Err(LogError::Hole { expected, found: event.position }) }
        })
        .collect()
}

fn recorded(row: &PgRow) -> Result<Recorded, LogError> {
    let position: Position = row.try_get("position")?;
    let category = row.try_get::<&str, _>("category")?.parse();
    let actor = row.try_get::<&str, _>("actor")?.parse();
    // `json` keeps the text as it was stored, so it is handed on without being taken apart.
    let payload: Json<Box<RawValue>> = row.try_get("payload")?;
    Ok(Recorded {
        id: row.try_get("id")?,
        position,
        stream: StreamName {
            category: category.map_err(|e| LogError::Contradiction { position, source: Box::new(e) })?,
            id: row.try_get("stream_id")?,
        },
        version: row.try_get("version")?,
        event_type: row.try_get("type")?,
        schema_version: row.try_get("schema_version")?,
        occurred_at: row.try_get::<DateTime<Utc>, _>("occurred_at")?,
        recorded_at: row.try_get::<DateTime<Utc>, _>("recorded_at")?,
        actor: actor.map_err(|e| LogError::Contradiction { position, source: Box::new(e) })?,
        correlation_id: row.try_get("correlation_id")?,
        causation_id: row.try_get("causation_id")?,
        trace: row.try_get("trace")?,
        payload: payload.0,
    })
}
