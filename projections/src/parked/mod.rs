//! What read models could not take: listed, looked at, and taken up again once the fault has been mended.
//!
//! The first event that can't be folded parks its key; later ones of the key wait behind it. The command line and the API
//! both stand on this.

mod retry;

use chrono::{DateTime, Utc};
use domain::Position;
use sqlx::{FromRow, PgPool};
use uuid::Uuid;

use crate::models::Scroll;

pub use retry::{RETRY_EVENTS_MAX, Retried, RetryError, retry_parked};

/// An event that a read model has not taken.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct ParkedEvent {
    /// The read model.
    pub projection: String,
    /// Place of the event in the log.
    pub position: Position,
    /// The key it belongs to: later events of the same key wait behind it.
    pub key: Uuid,
    /// Wire name of the event.
    pub event_type: String,
    /// Why it could not be folded, or that it waits behind an earlier one.
    pub error: String,
    /// How often folding it was tried.
    pub attempts: i32,
    /// Since when.
    pub parked_at: DateTime<Utc>,
}

/// What is parked, of one read model or of all, by read model and position; at most `limit`.
///
/// # Errors
/// The database refused.
pub async fn parked_events(
    pool: &PgPool,
    projection: Option<&str>,
    limit: i64,
) -> Result<Vec<ParkedEvent>, sqlx::Error> {
    sqlx::query_as(
        "SELECT p.projection, p.position, p.key, e.type AS event_type, p.error, p.attempts, p.parked_at
         FROM parked_events p JOIN events e ON e.position = p.position
         WHERE $1::text IS NULL OR p.projection = $1 ORDER BY p.projection, p.position LIMIT $2",
    )
    .bind(projection)
    .bind(limit.max(0))
    .fetch_all(pool)
    .await
}

/// A key that a read model has stopped to follow, with the event that it stopped at.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct ParkedKey {
    /// The read model.
    pub projection: String,
    /// The call or agent whose events are not taken.
    pub key: Uuid,
    /// Place of the event that could not be folded.
    pub position: Position,
    /// Later events of the key, which wait behind that one.
    pub waiting: i64,
    /// Why it could not be folded.
    pub error: String,
    /// How often folding it was tried.
    pub attempts: i32,
    /// Since when.
    pub parked_at: DateTime<Utc>,
}

/// Which parked keys are wanted.
#[derive(Debug, Clone, Copy, Default)]
pub struct ParkedFilter<'a> {
    /// Of this read model only.
    pub projection: Option<&'a str>,
    /// This key only.
    pub key: Option<Uuid>,
}

/// Where a key stands among the parked ones: they are ordered by read model and by the position they stopped at.
pub type ParkedPlace = (String, Position);

/// A page of the parked keys of served read models, in order: the first `limit` behind `from`, or the last ones before it.
///
/// # Errors
/// The database refused.
pub async fn parked_keys(
    pool: &PgPool,
    filter: ParkedFilter<'_>,
    from: Option<&ParkedPlace>,
    scroll: Scroll,
    limit: i64,
) -> Result<Vec<ParkedKey>, sqlx::Error> {
    macro_rules! page {
        ($beyond:literal, $order:literal) => {
            concat!(
                "WITH keys AS (
                     SELECT p.projection, p.key, min(p.position) AS position, count(*) - 1 AS waiting
                     FROM parked_events p JOIN projections served ON served.name = p.projection
                     WHERE ($1::text IS NULL OR p.projection = $1) AND ($2::uuid IS NULL OR p.key = $2)
                     GROUP BY p.projection, p.key
                 )
                 SELECT k.projection, k.key, k.position, k.waiting, p.error, p.attempts, p.parked_at
                 FROM keys k JOIN parked_events p ON p.projection = k.projection AND p.position = k.position
                 WHERE $3::text IS NULL OR (k.projection, k.position) ",
                $beyond,
                " ($3, $4) ORDER BY k.projection ",
                $order,
                ", k.position ",
                $order,
                " LIMIT $5"
            )
        };
    }
    let sql = match scroll {
        Scroll::Forward => page!(">", "ASC"),
        Scroll::Backward => page!("<", "DESC"),
    };
    let mut keys: Vec<ParkedKey> = sqlx::query_as(sql)
        .bind(filter.projection)
        .bind(filter.key)
        .bind(from.map(|(projection, _)| projection))
        .bind(from.map(|(_, position)| position))
        .bind(limit.max(0))
        .fetch_all(pool)
        .await?;
    if scroll == Scroll::Backward {
        keys.reverse();
    }
    Ok(keys)
}
