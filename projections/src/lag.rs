//! How far followers of the log are behind it, in events and in time: what readiness and watchdogs ask.
//!
//! All times are the database's own, so clocks of processes do not matter.

use std::time::Duration;

use domain::Position;
use sqlx::PgPool;

use crate::log::LogError;

/// How far somebody who follows the log is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lag {
    /// Up to where it has followed.
    pub position: Position,
    /// The log's head at the same moment.
    pub head: Position,
    /// How long the next event has been in the log; zero when there is none.
    pub behind: Duration,
    /// How long it has moved no further although there was something to follow. Never longer than `behind`.
    pub rests: Duration,
}

impl Lag {
    /// Events that are in the log and not yet followed.
    #[must_use]
    pub fn events(&self) -> i64 {
        (self.head - self.position).max(0)
    }

    fn new((position, head, behind, rests): Times) -> Self {
        Self { position, head, behind: seconds(behind), rests: seconds(rests) }
    }
}

/// Position, head, and in seconds how long the next event waits and nothing has moved.
type Times = (Position, Position, Option<f64>, Option<f64>);

fn seconds(seconds: Option<f64>) -> Duration {
    // Negative when the database's clock was set back.
    seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()).unwrap_or_default()
}

/// How far a read model is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProjectionLag {
    /// The read model.
    pub projection: String,
    /// How far.
    pub lag: Lag,
    /// Keys that are parked because one of their events could not be folded.
    pub parked_keys: i64,
}

/// How far every projection that has a checkpoint is, in one snapshot.
///
/// # Errors
/// The database does not answer, or is not migrated.
pub async fn lags(pool: &PgPool) -> Result<Vec<ProjectionLag>, LogError> {
    type Row = (String, i64, Position, Position, Option<f64>, Option<f64>);
    let rows: Vec<Row> = sqlx::query_as(
        "SELECT p.name, (SELECT count(DISTINCT key) FROM parked_events WHERE projection = p.name), p.position, l.position,
                extract(epoch FROM clock_timestamp() - next.recorded_at)::float8,
                extract(epoch FROM clock_timestamp() - greatest(next.recorded_at, p.updated_at))::float8
         FROM projections p CROSS JOIN event_log l
         LEFT JOIN LATERAL (SELECT recorded_at FROM events WHERE position = p.position + 1) next ON true
         ORDER BY p.name",
    )
    .fetch_all(pool)
    .await?;
    let lag = |(projection, parked_keys, position, head, behind, rests)| {
        // Without a next event there is nothing to wait for.
        let lag = Lag::new((position, head, behind, behind.and(rests)));
        ProjectionLag { projection, lag, parked_keys }
    };
    Ok(rows.into_iter().map(lag).collect())
}

/// How far behind the log a position is that somebody knows to have followed. Whether it moves is the caller's to know:
/// `rests` is `behind`.
///
/// # Errors
/// The database does not answer, or is not migrated.
pub async fn lag_of(pool: &PgPool, position: Position) -> Result<Lag, LogError> {
    let (head, behind): (Position, Option<f64>) = sqlx::query_as(
        "SELECT l.position, extract(epoch FROM clock_timestamp() - next.recorded_at)::float8
         FROM event_log l LEFT JOIN LATERAL (SELECT recorded_at FROM events WHERE position = $1 + 1) next ON true",
    )
    .bind(position)
    .fetch_one(pool)
    .await?;
    Ok(Lag::new((position, head, behind, behind)))
}

/// How far the bookmark of a name is; none: it was never set.
pub(crate) async fn lag_of_bookmark(pool: &PgPool, name: &str) -> Result<Option<Lag>, LogError> {
    let times: Option<Times> = sqlx::query_as(
        "SELECT b.position, l.position, extract(epoch FROM clock_timestamp() - next.recorded_at)::float8,
                extract(epoch FROM clock_timestamp() - greatest(next.recorded_at, b.updated_at))::float8
         FROM bookmarks b CROSS JOIN event_log l
         LEFT JOIN LATERAL (SELECT recorded_at FROM events WHERE position = b.position + 1) next ON true
         WHERE b.name = $1",
    )
    .bind(name)
    .fetch_optional(pool)
    .await?;
    Ok(times.map(|(position, head, behind, rests)| Lag::new((position, head, behind, behind.and(rests)))))
}
