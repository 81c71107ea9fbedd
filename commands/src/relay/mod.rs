//! The relay: carries the log to Kafka, in commit order, keyed by call or agent.
//!
//! One process leads at a time, by a lease with an epoch; others stand by. The leader reads `position > checkpoint`, or is
//! handed what its own process has just committed, keeps many records in flight through an idempotent producer, and stores as
//! checkpoint the highest position up to which everything is acknowledged. A crash sends one window of records again; consumers
//! drop them by position. There are no Kafka transactions and no writes to Kafka from a request.

mod candidate;
mod checkpoint;
mod client;
mod handed;
mod leader;
mod partition;
mod record;
#[cfg(test)]
mod simulation;
mod state;
mod surroundings;
mod topic;

use domain::Position;
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

pub use partition::partition_of;
pub use state::{RelayState, state};

use crate::clock::MachineClock;
use crate::event_store::EventStore;
use candidate::{Relay, stand};

/// Partitions of a topic that the relay creates. Fixed for the life of a topic.
pub const PARTITIONS: i32 = 12;
/// Topic the log is carried to where none is configured.
pub const TOPIC: &str = "voice.events.v1";

/// Where the log is carried to.
#[derive(Debug, Clone)]
pub struct RelayConfig {
    /// Kafka bootstrap servers, `host:port,...`.
    pub brokers: String,
    /// Topic name.
    pub topic: String,
}

/// Why a term as leader ended early.
#[derive(Debug, thiserror::Error)]
pub enum RelayError {
    /// PostgreSQL did not answer.
    #[error("the database did not answer")]
    Database(#[from] sqlx::Error),
    /// Kafka refused or did not answer.
    #[error("Kafka: {0}")]
    Kafka(#[from] rdkafka::error::KafkaError),
    /// The topic has another number of partitions than the checkpoint.
    #[error("topic {topic} has {found} partitions, but was published to {expected}; a key would change its partition")]
    PartitionCount {
        /// The topic.
        topic: String,
        /// Partitions it has.
        found: i32,
        /// Partitions the checkpoint was made for.
        expected: i32,
    },
    /// Somebody else leads now, or the topic is to be published anew.
    #[error("another leader has taken over")]
    Deposed,
    /// Kafka has acknowledged nothing for too long.
    #[error("nothing is acknowledged any more; beginning anew with another producer")]
    Stalled,
    /// The producer's queue was dropped under a record.
    #[error("a record was dropped before it was delivered")]
    Dropped,
}

/// Carries the log to Kafka until shutdown. What is appended by way of `here`, in this process, is handed over; others wake the
/// relay by notification, and it reads.
///
/// A term that fails is logged and begun anew: the relay outlives every failure of Kafka and PostgreSQL.
pub async fn run(pool: PgPool, config: RelayConfig, here: Option<EventStore>, shutdown: CancellationToken) {
    run_as(Uuid::new_v4(), pool, config, here, shutdown).await;
}

/// The same under an identity of one's own, by which [`RelayState::leader`] can be told from others. Each run has another.
pub async fn run_as(
    holder: Uuid,
    pool: PgPool,
    config: RelayConfig,
    here: Option<EventStore>,
    shutdown: CancellationToken,
) {
    stand(&Relay { holder, pool, config, here }, MachineClock, &shutdown).await;
}

/// Makes the relay publish again from a position, such as after the topic was lost. Consumers drop what they have seen.
///
/// # Errors
/// PostgreSQL or Kafka do not answer.
pub async fn publish_from(pool: &PgPool, config: &RelayConfig, from: Position) -> Result<(), RelayError> {
    let partitions = topic::ensure(config).await?;
    checkpoint::publish_from(pool, &lease_name(&config.topic), &config.topic, partitions, from).await?;
    Ok(())
}

/// Position up to which everything is in Kafka; 0 when nothing was published to the topic yet.
///
/// # Errors
/// The database does not answer.
pub async fn position(pool: &PgPool, topic: &str) -> Result<Position, sqlx::Error> {
    let position = sqlx::query_scalar("SELECT position FROM relay_checkpoints WHERE topic = $1").bind(topic);
    Ok(position.fetch_optional(pool).await?.unwrap_or(0))
}

fn lease_name(topic: &str) -> String {
    format!("relay:{topic}")
}
