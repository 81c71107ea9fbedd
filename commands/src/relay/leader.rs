//! One term as leader: read, send, collect acknowledgements, store progress.

use std::collections::VecDeque;
use std::time::Duration;

use domain::{Position, Recorded};
use sqlx::PgPool;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::checkpoint::Checkpoint;
use super::partition::partition_of;
use super::surroundings::{Machines, Notified, Surroundings, Wake};
use super::{RelayConfig, RelayError, topic};
use crate::clock::{Clock, MachineClock};
use crate::event_store::EventStore;
use crate::lease::{LEASE_RENEWED_EVERY, Lease};

/// Nothing is read any more while this many records are sent and not acknowledged yet.
pub(super) const IN_FLIGHT_MAX: usize = 10_000;
/// Events read from the log at once.
const READ_EVENTS: usize = 1_000;
/// Progress is stored at least this often while records flow; a crash sends again what came after.
const STORE_EVERY: Duration = Duration::from_millis(100);
/// How long an idle leader waits for a wake-up before it looks by itself.
pub(super) const POLL_EVERY: Duration = Duration::from_millis(250);
/// How long nothing may be acknowledged while records wait for it. Then the producer is given up for a new one: a client that
/// hangs, such as on a dead connection or because the clock was set back (librdkafka issue 2145), hangs for good.
const ACKNOWLEDGED_WITHIN: Duration = Duration::from_secs(20);
/// How long the last records may take at shutdown.
pub(super) const DRAIN_WITHIN: Duration = Duration::from_secs(5);

/// How much a leader takes on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    pub(super) in_flight: usize,
    pub(super) read: usize,
}

/// How far sending got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sent {
    /// All that was read, or was handed over: there may be more of other processes, of which there is word then.
    All,
    /// As much as is read at once.
    Page,
    /// As much as may be in flight.
    WindowFull,
}

struct InFlight<D> {
    position: Position,
    slot: usize,
    delivery: D,
}

/// Decides what is sent, what counts as published, and when to give up.
pub(super) struct Leader<S: Surroundings, C> {
    surroundings: S,
    clock: C,
    bounds: Bounds,
    partitions: i32,
    /// What was sent; runs ahead of `acknowledged`.
    sent: Checkpoint,
    acknowledged: Checkpoint,
    stored: Position,
    in_flight: VecDeque<InFlight<S::Delivery>>,
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
    here: Option<&EventStore>,
    shutdown: &CancellationToken,
) -> Result<(), RelayError> {
    let mut notified = Notified::listen(pool, here.map(EventStore::head)).await?;
    // Kafka may take its time with a new topic, longer than a lease lasts.
    let begun = keeping(lease, pool, begin(pool, config, lease, here));
    let Some(begun) = shutdown.run_until_cancelled(begun).await else { return Ok(()) };
    let (machines, checkpoint) = begun?;
    let bounds = Bounds { in_flight: IN_FLIGHT_MAX, read: READ_EVENTS };
    Leader::new(machines, MachineClock, bounds, checkpoint).run(&mut notified, shutdown).await
}

async fn begin<'a>(
    pool: &'a PgPool,
    config: &'a RelayConfig,
    lease: &'a Lease,
    here: Option<&EventStore>,
) -> Result<(Machines<'a>, Checkpoint), RelayError> {
    let partitions = topic::ensure(config).await?;
    let checkpoint = Checkpoint::take_over(pool, &config.topic, partitions, lease.epoch).await?;
    let expected = checkpoint.partitions();
    if expected != partitions {
        return Err(RelayError::PartitionCount { topic: config.topic.clone(), found: partitions, expected });
    }
    Ok((Machines::begin(pool, config, lease, here).await?, checkpoint))
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

impl<S: Surroundings, C: Clock> Leader<S, C> {
    /// A leader that goes on from a checkpoint.
    pub(super) fn new(surroundings: S, clock: C, bounds: Bounds, checkpoint: Checkpoint) -> Self {
        let now = clock.now();
        Self {
            surroundings,
            clock,
            bounds,
            partitions: checkpoint.partitions(),
            sent: checkpoint.clone(),
            stored: checkpoint.position,
            acknowledged: checkpoint,
            in_flight: VecDeque::new(),
            store_next: now + STORE_EVERY,
            renew_next: now + LEASE_RENEWED_EVERY,
            waits_since: now,
        }
    }

    /// Leads until shutdown or until something fails.
    pub(super) async fn run(mut self, wake: &mut impl Wake, shutdown: &CancellationToken) -> Result<(), RelayError> {
        let mut look = true;
        while !shutdown.is_cancelled() {
            self.keep_lease().await?;
            let sent = if look { self.send_more(shutdown).await? } else { Sent::All };
            self.collect_ready().await?;
            self.store_progress(false).await?;
            self.still_acknowledged()?;
            if sent == Sent::Page {
                continue;
            }
            let (poll, position) = (self.clock.clone(), self.sent.position);
            look = tokio::select! {
                biased;
                // Acknowledgements come in whether or not there is something new to send.
                collected = self.collect_one(), if !self.in_flight.is_empty() => {
                    collected?;
                    sent == Sent::WindowFull
                }
                woken = wake.woken(position) => {
                    woken?;
                    true
                }
                () = poll.sleep(POLL_EVERY) => true,
                () = shutdown.cancelled() => false,
            }
        }
        self.finish().await
    }

    /// Sends what the log has and the window takes.
    async fn send_more(&mut self, shutdown: &CancellationToken) -> Result<Sent, RelayError> {
        if self.in_flight.len() >= self.bounds.in_flight {
            return Ok(Sent::WindowFull);
        }
        let events = self.surroundings.read(self.sent.position, self.bounds.read).await?;
        let full = events.len() == self.bounds.read;
        for event in events {
            if !self.send(&event, shutdown).await? {
                return Ok(Sent::WindowFull);
            }
        }
        Ok(if full { Sent::Page } else { Sent::All })
    }

    /// `false`: the producer's queue is full, and this is the end.
    async fn send(&mut self, event: &Recorded, shutdown: &CancellationToken) -> Result<bool, RelayError> {
        let partition = partition_of(event.stream.id, self.partitions);
        let slot = usize::try_from(partition).unwrap_or(0);
        let delivery = loop {
            match self.surroundings.produce(event, partition, self.sent.previous[slot])? {
                Some(delivery) => break delivery,
                None => {
                    let poll = self.clock.clone();
                    tokio::select! {
                        biased;
                        collected = self.collect_one(), if !self.in_flight.is_empty() => collected?,
                        () = poll.sleep(POLL_EVERY) => {}
                        () = shutdown.cancelled() => return Ok(false),
                    }
                    self.keep_lease().await?;
                    // A client that hangs with a full queue would hold this leader for good.
                    self.still_acknowledged()?;
                }
            }
        };
        if self.in_flight.is_empty() {
            self.waits_since = self.clock.now();
        }
        self.sent.position = event.position;
        self.sent.previous[slot] = event.position;
        self.in_flight.push_back(InFlight { position: event.position, slot, delivery });
        Ok(true)
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
        delivered?;
        self.waits_since = self.clock.now();
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
        let stalled = !self.in_flight.is_empty() && self.clock.now() - self.waits_since > ACKNOWLEDGED_WITHIN;
        if stalled { Err(RelayError::Stalled) } else { Ok(()) }
    }

    async fn store_progress(&mut self, now: bool) -> Result<(), RelayError> {
        let due = now || self.clock.now() >= self.store_next;
        if !due || self.acknowledged.position == self.stored {
            return Ok(());
        }
        if !self.surroundings.store(&self.acknowledged).await? {
            return Err(RelayError::Deposed);
        }
        self.stored = self.acknowledged.position;
        self.store_next = self.clock.now() + STORE_EVERY;
        Ok(())
    }

    async fn keep_lease(&mut self) -> Result<(), RelayError> {
        if self.clock.now() < self.renew_next {
            return Ok(());
        }
        self.renew_next = self.clock.now() + LEASE_RENEWED_EVERY;
        if self.surroundings.renew().await? { Ok(()) } else { Err(RelayError::Deposed) }
    }

    /// Waits for what is in flight and stores it. Dropping a producer would throw queued records away.
    async fn finish(mut self) -> Result<(), RelayError> {
        self.surroundings.flush().await;
        self.collect_ready().await?;
        self.store_progress(true).await
    }
}
