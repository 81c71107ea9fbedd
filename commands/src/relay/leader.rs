//! One term as leader: read, send, collect acknowledgements, store progress.

use std::collections::VecDeque;
use std::time::Duration;

use domain::{Position, Recorded};
use rdkafka::ClientConfig;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{DeliveryFuture, FutureProducer, FutureRecord, Producer};
use sqlx::PgPool;
use sqlx::postgres::PgListener;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::checkpoint::Checkpoint;
use super::client::Client;
use super::partition::partition_of;
use super::record::{Place, headers};
use super::{RelayConfig, RelayError, topic};
use crate::event_store::{EVENTS_CHANNEL, EventRow};
use crate::lease::{LEASE_RENEWED_EVERY, Lease};

/// Records sent and not acknowledged yet.
const IN_FLIGHT_MAX: usize = 10_000;
/// Events read from the log at once.
const READ_EVENTS: i64 = 1_000;
/// Progress is stored at least this often while records flow; a crash sends again what came after.
const STORE_EVERY: Duration = Duration::from_millis(100);
/// How long an idle leader waits for a wake-up before it looks by itself.
const POLL_EVERY: Duration = Duration::from_millis(250);
/// How long nothing may be acknowledged while records wait for it. Then the producer is given up for a new one: a client that
/// hangs, such as on a dead connection or because the clock was set back (librdkafka issue 2145), hangs for good.
const ACKNOWLEDGED_WITHIN: Duration = Duration::from_secs(20);
/// How long the last records may take at shutdown.
const DRAIN_WITHIN: Duration = Duration::from_secs(5);

struct InFlight {
    position: Position,
    slot: usize,
    delivery: DeliveryFuture,
}

struct Leader<'a> {
    pool: &'a PgPool,
    config: &'a RelayConfig,
    lease: &'a Lease,
    store: Uuid,
    producer: Client<FutureProducer>,
    partitions: i32,
    /// What was sent; runs ahead of `acknowledged`.
    sent: Checkpoint,
    acknowledged: Checkpoint,
    stored: Position,
    in_flight: VecDeque<InFlight>,
    store_next: Instant,
    renew_next: Instant,
    /// Since when nothing was acknowledged although something is in flight.
    waits_since: Instant,
}

/// Leads until shutdown or until something fails.
pub(super) async fn lead(
    pool: &PgPool,
    config: &RelayConfig,
    lease: &Lease,
    mut head: watch::Receiver<Position>,
    shutdown: &CancellationToken,
) -> Result<(), RelayError> {
    let mut listener = PgListener::connect_with(pool).await?;
    listener.listen(EVENTS_CHANNEL).await?;
    // Kafka may take its time with a new topic, longer than a lease lasts.
    let begun = keeping(lease, pool, Leader::begin(pool, config, lease));
    let Some(begun) = shutdown.run_until_cancelled(begun).await else { return Ok(()) };
    let mut leader = begun?;
    while !shutdown.is_cancelled() {
        leader.keep_lease().await?;
        let read = leader.send_more().await?;
        leader.collect_ready().await?;
        leader.store_progress(false).await?;
        leader.still_acknowledged()?;
        if read {
            continue;
        }
        tokio::select! {
            // Acknowledgements come in whether or not there is something new to send.
            collected = leader.collect_one(), if !leader.in_flight.is_empty() => collected?,
            // A listener that lost its connection makes a new one; what it missed is found by the poll.
            notified = listener.recv() => drop(notified?),
            moved = head.changed() => if moved.is_err() { tokio::time::sleep(POLL_EVERY).await },
            () = tokio::time::sleep(POLL_EVERY) => {}
            () = shutdown.cancelled() => {}
        }
    }
    leader.finish().await
}

/// Does something while the lease is renewed.
async fn keeping<T>(
    lease: &Lease,
    pool: &PgPool,
    work: impl Future<Output = Result<T, RelayError>>,
) -> Result<T, RelayError> {
    let mut work = std::pin::pin!(work);
    loop {
        tokio::select! {
            done = &mut work => return done,
            () = tokio::time::sleep(LEASE_RENEWED_EVERY) => {
                if !lease.renew(pool).await? {
                    return Err(RelayError::Deposed);
                }
            }
        }
    }
}

impl<'a> Leader<'a> {
    async fn begin(pool: &'a PgPool, config: &'a RelayConfig, lease: &'a Lease) -> Result<Self, RelayError> {
        let partitions = topic::ensure(config).await?;
        let store = sqlx::query_scalar("SELECT epoch FROM event_log").fetch_one(pool).await?;
        let checkpoint = Checkpoint::take_over(pool, &config.topic, partitions, lease.epoch).await?;
        let expected = i32::try_from(checkpoint.previous.len()).unwrap_or(i32::MAX);
        if expected != partitions {
            let topic = config.topic.clone();
            return Err(RelayError::PartitionCount { topic, found: partitions, expected });
        }
        let mut settings = ClientConfig::new();
        settings
            .set("bootstrap.servers", &config.brokers)
            .set("client.id", format!("voice-relay-{}", lease.epoch))
            .set("enable.idempotence", "true")
            .set("linger.ms", "1")
            // A queued record never times out: that would leave a hole behind which later records are delivered.
            .set("message.timeout.ms", "0")
            .set("queue.buffering.max.messages", (IN_FLIGHT_MAX * 2).to_string())
            .set("compression.type", "lz4")
            .set("allow.auto.create.topics", "false");
        let producer = Client::create(settings).await?;
        let now = Instant::now();
        Ok(Self {
            pool,
            config,
            lease,
            store,
            producer,
            partitions,
            sent: checkpoint.clone(),
            stored: checkpoint.position,
            acknowledged: checkpoint,
            in_flight: VecDeque::new(),
            store_next: now + STORE_EVERY,
            renew_next: now + LEASE_RENEWED_EVERY,
            waits_since: now,
        })
    }

    /// Sends what the log has and the window takes. `true`: there may be more.
    async fn send_more(&mut self) -> Result<bool, RelayError> {
        if self.in_flight.len() >= IN_FLIGHT_MAX {
            return Ok(false);
        }
        let rows: Vec<EventRow> = sqlx::query_as(
            "SELECT position, id, stream_id, category, version, type, schema_version, occurred_at, recorded_at, actor,
                    correlation_id, causation_id, trace, payload
             FROM events WHERE position > $1 ORDER BY position LIMIT $2",
        )
        .bind(self.sent.position)
        .bind(READ_EVENTS)
        .fetch_all(self.pool)
        .await?;
        let full = i64::try_from(rows.len()).is_ok_and(|count| count == READ_EVENTS);
        for row in rows {
            self.send(&row.0).await?;
        }
        Ok(full)
    }

    async fn send(&mut self, event: &Recorded) -> Result<(), RelayError> {
        let partition = partition_of(event.stream.id, self.partitions);
        let slot = usize::try_from(partition).unwrap_or(0);
        let place = Place { previous: self.sent.previous[slot], epoch: self.lease.epoch, store: self.store };
        let key = event.stream.id.to_string();
        let mut record = FutureRecord::to(&self.config.topic)
            .partition(partition)
            .key(&key)
            .payload(event.payload.get())
            .timestamp(event.recorded_at.timestamp_millis())
            .headers(headers(event, place));
        // Not `send`: on a full queue that sleeps 100 ms and tries again.
        let delivery = loop {
            match self.producer.send_result(record) {
                Ok(delivery) => break delivery,
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), returned)) => {
                    record = returned;
                    self.collect_one().await?;
                    self.keep_lease().await?;
                }
                Err((error, _)) => return Err(error.into()),
            }
        };
        if self.in_flight.is_empty() {
            self.waits_since = Instant::now();
        }
        self.sent.position = event.position;
        self.sent.previous[slot] = event.position;
        self.in_flight.push_back(InFlight { position: event.position, slot, delivery });
        Ok(())
    }

    /// Waits for the oldest record's acknowledgement. Cancel-safe: the record stays in flight until it is collected.
    async fn collect_one(&mut self) -> Result<(), RelayError> {
        let Some(oldest) = self.in_flight.front_mut() else {
            return Ok(());
        };
        let delivered = (&mut oldest.delivery).await;
        let (position, slot) = (oldest.position, oldest.slot);
        self.in_flight.pop_front();
        // Any failure ends the term: a new producer starts at the checkpoint. Nothing is sent again by hand inside one
        // producer, because that would break the order.
        delivered.map_err(|_| RelayError::Dropped)?.map_err(|(error, _)| error)?;
        self.waits_since = Instant::now();
        self.acknowledged.position = position;
        self.acknowledged.previous[slot] = position;
        Ok(())
    }

    async fn collect_ready(&mut self) -> Result<(), RelayError> {
        use futures_util::FutureExt;
        while !self.in_flight.is_empty() {
            match self.collect_one().now_or_never() {
                Some(collected) => collected?,
                None => break,
            }
        }
        Ok(())
    }

    /// Ends the term of a leader whose producer does not get anything through any more.
    fn still_acknowledged(&self) -> Result<(), RelayError> {
        let stalled = !self.in_flight.is_empty() && self.waits_since.elapsed() > ACKNOWLEDGED_WITHIN;
        if stalled { Err(RelayError::Stalled) } else { Ok(()) }
    }

    async fn store_progress(&mut self, now: bool) -> Result<(), RelayError> {
        let due = now || Instant::now() >= self.store_next;
        if !due || self.acknowledged.position == self.stored {
            return Ok(());
        }
        if !self.acknowledged.store(self.pool, &self.config.topic, self.lease.epoch).await? {
            return Err(RelayError::Deposed);
        }
        self.stored = self.acknowledged.position;
        self.store_next = Instant::now() + STORE_EVERY;
        Ok(())
    }

    async fn keep_lease(&mut self) -> Result<(), RelayError> {
        if Instant::now() < self.renew_next {
            return Ok(());
        }
        self.renew_next = Instant::now() + LEASE_RENEWED_EVERY;
        if self.lease.renew(self.pool).await? { Ok(()) } else { Err(RelayError::Deposed) }
    }

    /// Waits for what is in flight and stores it. Dropping a producer would throw queued records away.
    async fn finish(mut self) -> Result<(), RelayError> {
        let producer = FutureProducer::clone(&self.producer);
        let flushed = tokio::task::spawn_blocking(move || producer.flush(DRAIN_WITHIN)).await;
        if let Ok(Err(error)) = flushed {
            tracing::warn!(%error, "not every record was acknowledged; the next leader sends them again");
        }
        self.collect_ready().await?;
        self.store_progress(true).await
    }
}
