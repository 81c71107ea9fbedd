//! How far a topic is published and who sees to it, for readiness and watchdogs.

use std::time::Duration;

use domain::Position;
use sqlx::PgPool;
use uuid::Uuid;

use super::lease_name;

/// How far a topic is published. All times are the database's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RelayState {
    /// Up to where everything is acknowledged by Kafka; 0 when nothing was published yet.
    pub position: Position,
    /// The log's head at the same moment.
    pub head: Position,
    /// How long the next event has been in the log; zero when there is none.
    pub behind: Duration,
    /// How long nothing was acknowledged although there was something to publish.
    pub rests: Duration,
    /// Who leads; none: the lease is free or has run out.
    pub leader: Option<Uuid>,
}

/// How far a topic is published, and who leads.
///
/// # Errors
/// The database does not answer.
pub async fn state(pool: &PgPool, topic: &str) -> Result<RelayState, sqlx::Error> {
    let (position, head, behind, rests, leader): (Position, Position, Option<f64>, Option<f64>, Option<Uuid>) =
        sqlx::query_as(
            "SELECT coalesce(c.position, 0), l.position,
                    extract(epoch FROM clock_timestamp() - next.recorded_at)::float8,
                    extract(epoch FROM clock_timestamp() - greatest(next.recorded_at, c.updated_at))::float8,
                    (SELECT holder FROM leases WHERE name = $2 AND expires_at > clock_timestamp())
             FROM event_log l LEFT JOIN relay_checkpoints c ON c.topic = $1
             LEFT JOIN LATERAL (SELECT recorded_at FROM events WHERE position = coalesce(c.position, 0) + 1) next ON true",
        )
        .bind(topic)
        .bind(lease_name(topic))
        .fetch_one(pool)
        .await?;
    // Negative when the database's clock was set back.
    let seconds = |seconds: Option<f64>| seconds.and_then(|s| Duration::try_from_secs_f64(s).ok()).unwrap_or_default();
    Ok(RelayState { position, head, behind: seconds(behind), rests: seconds(behind.and(rests)), leader })
}
