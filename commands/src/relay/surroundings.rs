//! What a term as leader deals with: PostgreSQL on one side, Kafka on the other.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use domain::{Position, Recorded};
use rdkafka::ClientConfig;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{DeliveryFuture, FutureProducer, FutureRecord, Producer};
use sqlx::postgres::PgListener;
use sqlx::{PgConnection, PgPool};
use tokio::sync::{Mutex, watch};
use uuid::Uuid;

use super::checkpoint::Checkpoint;
use super::client::Client;
use super::handed::Handed;
use super::leader::{DRAIN_WITHIN, IN_FLIGHT_MAX};
use super::record::{Place, headers};
use super::{RelayConfig, RelayError};
use crate::event_store::{EVENTS_CHANNEL, EventRow, EventStore};
use crate::lease::Lease;

/// What a leader asks for. PostgreSQL and Kafka, or ones that are simulated.
pub(super) trait Surroundings: Send + Sync {
    /// A record on its way; resolves when it is acknowledged, or never will be.
    type Delivery: Future<Output = Result<(), RelayError>> + Unpin + Send;

    /// Makes the lease last longer. `false`: somebody else has it now.
    fn renew(&self) -> impl Future<Output = Result<bool, RelayError>> + Send;

    /// Events after a position, in order, at most `limit`.
    fn read(
        &self,
        after: Position,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<Arc<Recorded>>, RelayError>> + Send;

    /// Hands a record to the producer. `None`: its queue is full.
    fn produce(
        &self,
        event: &Recorded,
        partition: i32,
        previous: Position,
    ) -> Result<Option<Self::Delivery>, RelayError>;

    /// Stores progress. `false`: another leader has taken over, or the topic is being published anew.
    fn store(&self, progress: &Checkpoint) -> impl Future<Output = Result<bool, RelayError>> + Send;

    /// Waits for what the producer has queued, within a bound.
    fn flush(&self) -> impl Future<Output = ()> + Send;
}

/// What tells a leader that there may be something new.
pub(super) trait Wake: Send {
    /// Waits for word of something after a position. Cancel-safe.
    fn woken(&mut self, after: Position) -> impl Future<Output = Result<(), RelayError>> + Send;
}

/// PostgreSQL and Kafka.
pub(super) struct Machines<'a> {
    pool: &'a PgPool,
    config: &'a RelayConfig,
    lease: &'a Lease,
    store: Uuid,
    producer: Client<FutureProducer>,
    /// Stays for the term: a pool would ask after each of hundreds of statements a second whether it still lives.
    connection: Mutex<PgConnection>,
    handed: Mutex<Handed>,
}

impl<'a> Machines<'a> {
    pub(super) async fn begin(
        pool: &'a PgPool,
        config: &'a RelayConfig,
        lease: &'a Lease,
        here: Option<&EventStore>,
    ) -> Result<Self, RelayError> {
        let mut connection = pool.acquire().await?.detach();
        let store = sqlx::query_scalar("SELECT epoch FROM event_log").fetch_one(&mut connection).await?;
        let mut settings = ClientConfig::new();
        settings
            .set("bootstrap.servers", &config.brokers)
            .set("client.id", format!("voice-relay-{}", lease.epoch))
            .set("enable.idempotence", "true")
            // Records go at once; those that come while requests are under way go together. With a delay of 0.2 ms, the way from
            // a lone append to a subscriber took a millisecond more.
            .set("linger.ms", "0")
            // A queued record never times out: that would leave a hole behind which later records are delivered.
            .set("message.timeout.ms", "0")
            .set("queue.buffering.max.messages", (IN_FLIGHT_MAX * 2).to_string())
            .set("compression.type", "lz4")
            .set("allow.auto.create.topics", "false");
        let producer = Client::create(settings).await?;
        let handed = Mutex::new(Handed::new(here.map(EventStore::committed)));
        Ok(Self { pool, config, lease, store, producer, connection: Mutex::new(connection), handed })
    }
}

impl Surroundings for Machines<'_> {
    type Delivery = Delivered;

    async fn renew(&self) -> Result<bool, RelayError> {
        Ok(self.lease.renew(self.pool).await?)
    }

    async fn read(&self, after: Position, limit: usize) -> Result<Vec<Arc<Recorded>>, RelayError> {
        let handed = self.handed.lock().await.after(after, limit);
        if !handed.is_empty() {
            return Ok(handed);
        }
        let rows: Vec<EventRow> = sqlx::query_as(
            "SELECT position, id, stream_id, category, version, type, schema_version, occurred_at, recorded_at, actor,
                    correlation_id, causation_id, trace, payload
             FROM events WHERE position > $1 ORDER BY position LIMIT $2",
        )
        .bind(after)
        .bind(i64::try_from(limit).unwrap_or(i64::MAX))
        .fetch_all(&mut *self.connection.lock().await)
        .await?;
        Ok(rows.into_iter().map(|row| Arc::new(row.0)).collect())
    }

    fn produce(&self, event: &Recorded, partition: i32, previous: Position) -> Result<Option<Delivered>, RelayError> {
        let place = Place { previous, epoch: self.lease.epoch, store: self.store };
        let key = event.stream.id.to_string();
        let record = FutureRecord::to(&self.config.topic)
            .partition(partition)
            .key(&key)
            .payload(event.payload.get())
            .timestamp(event.recorded_at.timestamp_millis())
            .headers(headers(event, place));
        // Not `send`: on a full queue that sleeps 100 ms and tries again.
        match self.producer.send_result(record) {
            Ok(delivery) => Ok(Some(Delivered(delivery))),
            Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), _)) => Ok(None),
            Err((error, _)) => Err(error.into()),
        }
    }

    async fn store(&self, progress: &Checkpoint) -> Result<bool, RelayError> {
        let connection = &mut *self.connection.lock().await;
        Ok(progress.store(connection, &self.config.topic, self.lease.epoch).await?)
    }

    async fn flush(&self) {
        let producer = FutureProducer::clone(&self.producer);
        let flushed = tokio::task::spawn_blocking(move || producer.flush(DRAIN_WITHIN)).await;
        if let Ok(Err(error)) = flushed {
            tracing::warn!(%error, "not every record was acknowledged; the next leader sends them again");
        }
    }
}

/// A record that Kafka acknowledges.
pub(super) struct Delivered(DeliveryFuture);

impl Future for Delivered {
    type Output = Result<(), RelayError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(context).map(|delivered| {
            delivered.map_err(|_| RelayError::Dropped)?.map_err(|(error, _)| error)?;
            Ok(())
        })
    }
}

/// Notifications of other processes' appends, and this one's own.
pub(super) struct Notified {
    listener: PgListener,
    head: Option<watch::Receiver<Position>>,
    heard: Heard,
}

/// The highest position that was named, and where the leader was when it was last woken by it: what it is handed then may not be
/// all there is.
#[derive(Debug, Default)]
struct Heard {
    position: Position,
    woken_at: Option<Position>,
}

impl Heard {
    /// Whether one who got to `after` is to look again: there is more, and it has not looked for that from there yet.
    fn asks_for_a_look(&mut self, after: Position) -> bool {
        let looks = self.position > after && self.woken_at != Some(after);
        if looks {
            self.woken_at = Some(after);
        }
        looks
    }
}

impl Notified {
    pub(super) async fn listen(pool: &PgPool, head: Option<watch::Receiver<Position>>) -> Result<Self, RelayError> {
        let mut listener = PgListener::connect_with(pool).await?;
        listener.listen(EVENTS_CHANNEL).await?;
        Ok(Self { listener, head, heard: Heard::default() })
    }
}

impl Wake for Notified {
    async fn woken(&mut self, after: Position) -> Result<(), RelayError> {
        if self.heard.asks_for_a_look(after) {
            return Ok(());
        }
        let Self { listener, head, heard } = self;
        let moved = async {
            if let Some(moves) = head {
                if moves.wait_for(|head| *head > after).await.is_ok() {
                    return;
                }
                *head = None;
            }
            std::future::pending().await
        };
        let notified = async {
            loop {
                // A listener that lost its connection makes a new one; what it missed is found by the poll.
                let notification = listener.recv().await?;
                // What names no position asks for a look.
                let Ok(position) = notification.payload().parse::<Position>() else { return Ok(()) };
                heard.position = position.max(heard.position);
                // One's own appends are known before they are notified.
                if position > after {
                    return Ok(());
                }
            }
        };
        tokio::select! {
            notified = notified => notified,
            () = moved => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Heard;

    /// Positions 1 to 3 are another process's, and 4 this one's own: the leader is handed 4 alone, after it was notified of 4.
    #[test]
    fn who_has_heard_of_more_than_it_was_handed_looks_again_and_once_from_each_place() {
        let mut heard = Heard { position: 4, woken_at: None };
        assert!(heard.asks_for_a_look(0));
        assert!(!heard.asks_for_a_look(0), "there is nothing yet: whoever is notified next looks");
        assert!(heard.asks_for_a_look(3));
        assert!(!heard.asks_for_a_look(4), "there is no more");
        heard.position = 5;
        assert!(heard.asks_for_a_look(4));
    }
}
