//! Following the log on Kafka, with the table as the safety net.
//!
//! The ends of the partitions are captured first and the log's head is read after that: whatever is not in the table by
//! then is published later than the captured ends. So the table is read up to the head, Kafka from there on, and nothing
//! falls between. From then on the table is asked only for what Kafka lost (proven by the `prev` chain), for what it brings
//! too late, and while it does not answer at all.

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use domain::Position;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::cloudevent::Refused;
use super::consumer::{Arrival, Consumer};
use super::order::{Order, Taken};
use super::{Inner, KafkaSource};
use crate::backoff::Backoff;
use crate::log::{self, LogError};

/// How long a missing event that is not proven to be lost is waited for.
const HOLE_WAIT: Duration = Duration::from_millis(200);
/// How long Kafka may be behind the log before the table is read instead.
const STALL_MAX: Duration = Duration::from_secs(2);
/// How often the log's head is compared, and how often the table is read while Kafka is behind.
const LOOK: Duration = Duration::from_millis(250);
/// Silence of a consumer that is behind after which it is given up for a new one.
const SILENCE_MAX: Duration = Duration::from_secs(30);
/// Most events read from the table at once.
const FILL_EVENTS_MAX: usize = 1_000;
/// Ignored records are reported at the first one and then each time this many more have come.
const REFUSED_REPORT: u64 = 1_000;

/// Follows the topic until shutdown.
pub(super) async fn follow(inner: Arc<Inner>, source: KafkaSource, epoch: Uuid, shutdown: CancellationToken) {
    let order = Order::new(inner.head());
    let mut follower =
        Follower { inner, order, unmet: None, complained: false, ahead_at: -1, last_arrival: Instant::now() };
    let mut backoff = Backoff::new();
    while !shutdown.is_cancelled() {
        match Consumer::start(source.clone(), epoch) {
            Ok(mut consumer) => {
                let read = follower.read(&source, &mut consumer, &mut backoff);
                shutdown.run_until_cancelled(read).await;
            }
            Err(error) => tracing::error!(%error, "no thread for reading Kafka"),
        }
        follower.table_meanwhile(backoff.pause(&shutdown)).await;
    }
}

struct Follower {
    inner: Arc<Inner>,
    order: Order,
    /// The log's head at a moment that Kafka has not got to yet.
    unmet: Option<(Instant, Position)>,
    /// That Kafka is behind was said.
    complained: bool,
    /// Where it was last said that Kafka is ahead.
    ahead_at: Position,
    last_arrival: Instant,
}

impl Follower {
    /// Reads with one consumer for as long as it is good for anything.
    async fn read(&mut self, source: &KafkaSource, consumer: &mut Consumer, backoff: &mut Backoff) {
        match self.table_meanwhile(&mut consumer.assigned).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                return self.stall(&format!("Kafka topic {:?} can't be read: {error}", source.topic));
            }
            Err(_) => return self.stall("the consumer ended before it began"),
        }
        backoff.reset();
        self.order.restart();
        self.last_arrival = Instant::now();
        // From here on Kafka brings everything that is not in the table by now.
        while !self.catch_up().await {
            tokio::time::sleep(LOOK).await;
        }
        self.inner.counters.stalled.store(false, Ordering::Relaxed);
        self.complained = false;
        tracing::info!(topic = source.topic, position = self.order.head(), "following Kafka");
        let why = self.take_all(consumer).await;
        self.stall(why);
    }

    /// Takes what the consumer brings, and fills what it does not. Returns why it is of no use any more.
    async fn take_all(&mut self, consumer: &mut Consumer) -> &'static str {
        let mut look = interval(LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // The head behind which something is missing, and since when.
        let mut hole: Option<(Position, Instant)> = None;
        loop {
            let fill_at = hole.map(|(_, since)| since + HOLE_WAIT);
            tokio::select! {
                batch = consumer.arrivals.recv() => match batch {
                    Some(batch) => self.take(batch).await,
                    None => return "the consumer has ended",
                },
                () = sleep_until(fill_at.unwrap_or_else(Instant::now)), if fill_at.is_some() => {
                    self.fill_gap().await;
                    hole = None;
                }
                _ = look.tick() => {
                    self.look().await;
                    if self.stalled() && self.last_arrival.elapsed() > SILENCE_MAX {
                        return "the consumer is silent";
                    }
                }
            }
            let missing = self.order.gap().map(|(head, _)| head);
            hole =
                missing.map(|head| (head, hole.filter(|(since, _)| *since == head).map_or_else(Instant::now, |h| h.1)));
        }
    }

    /// Takes records and hands on what is in order.
    async fn take(&mut self, batch: Vec<Arrival>) {
        self.last_arrival = Instant::now();
        for Arrival { partition, record } in batch {
            let record = match record {
                Ok(record) => record,
                Err(refused) => {
                    self.refuse(partition, &refused);
                    continue;
                }
            };
            let (position, prev) = (record.event.position, record.prev);
            match self.order.take(partition, prev, record.event) {
                Taken::Next => {
                    if self.inner.counters.stalled.swap(false, Ordering::Relaxed) {
                        self.complained = false;
                        tracing::info!(position, "Kafka has caught up with the log");
                    }
                }
                Taken::Early => {}
                Taken::Duplicate => {
                    self.inner.counters.duplicates.fetch_add(1, Ordering::Relaxed);
                }
                Taken::Hole => {
                    self.inner.counters.holes.fetch_add(1, Ordering::Relaxed);
                    tracing::warn!(partition, position, prev, "a record is missing on Kafka; reading the table");
                }
            }
            if self.order.must_fill() {
                self.hand_on();
                while self.order.must_fill() && self.fill_gap().await {}
            }
        }
        self.hand_on();
    }

    /// Reads what is missing before the first event that waits. `false`: the table did not give it.
    async fn fill_gap(&mut self) -> bool {
        let Some((mut after, upto)) = self.order.gap() else { return false };
        while after < upto {
            let events = match log::read_between(&self.inner.pool, after, upto, FILL_EVENTS_MAX).await {
                Ok(events) => events,
                Err(error) => {
                    report(&error, after);
                    return false;
                }
            };
            let Some(last) = events.last() else {
                if std::mem::replace(&mut self.ahead_at, after) != after {
                    tracing::error!(position = after, upto, "Kafka is ahead of the log: is this database a copy?");
                }
                return false;
            };
            after = last.position;
            self.fill(events);
        }
        true
    }

    /// Compares with the log: what was in it [`STALL_MAX`] ago must be here by now.
    async fn look(&mut self) {
        if self.stalled() {
            self.catch_up().await;
            return;
        }
        let head = match log::head(&self.inner.pool).await {
            Ok(head) => head,
            // The table is of no help now; Kafka may still be.
            Err(error) => return report(&error, self.order.head()),
        };
        match self.unmet {
            Some((_, position)) if position <= self.order.head() => self.unmet = None,
            Some((since, _)) if since.elapsed() >= STALL_MAX => self.stall("Kafka is behind the log"),
            Some(_) => {}
            None if head > self.order.head() => self.unmet = Some((Instant::now(), head)),
            None => {}
        }
    }

    /// Reads the table up to the log's head. `false`: it could not be read.
    async fn catch_up(&mut self) -> bool {
        loop {
            match log::read_after(&self.inner.pool, self.order.head(), FILL_EVENTS_MAX).await {
                Ok(events) => {
                    let count = events.len();
                    self.fill(events);
                    if count < FILL_EVENTS_MAX {
                        return true;
                    }
                }
                Err(error) => {
                    report(&error, self.order.head());
                    return false;
                }
            }
        }
    }

    /// Waits for something, following the table until then.
    async fn table_meanwhile<T>(&mut self, awaited: impl Future<Output = T>) -> T {
        let mut awaited = std::pin::pin!(awaited);
        loop {
            tokio::select! {
                biased;
                output = &mut awaited => return output,
                () = tokio::time::sleep(LOOK) => {}
            }
            self.catch_up().await;
        }
    }

    fn fill(&mut self, events: Vec<domain::Recorded>) {
        let count = u64::try_from(events.len()).unwrap_or(u64::MAX);
        self.inner.counters.filled.fetch_add(count, Ordering::Relaxed);
        self.order.fill(events);
        self.hand_on();
    }

    fn hand_on(&mut self) {
        self.inner.push(self.order.ready());
    }

    /// The table is read until Kafka has caught up.
    fn stalled(&self) -> bool {
        self.inner.counters.stalled.load(Ordering::Relaxed)
    }

    /// From now on the table is read; said once, until Kafka brings something new.
    fn stall(&mut self, why: &str) {
        self.unmet = None;
        self.inner.counters.stalled.store(true, Ordering::Relaxed);
        if !std::mem::replace(&mut self.complained, true) {
            tracing::warn!(position = self.order.head(), "{why}; following the table");
        }
    }

    fn refuse(&self, partition: i32, refused: &Refused) {
        let before = self.inner.counters.refused.fetch_add(1, Ordering::Relaxed);
        if before.is_multiple_of(REFUSED_REPORT) {
            let (error, cause) = (refused, refused.source());
            tracing::error!(partition, %error, cause, refused = before + 1, "a record on Kafka is ignored");
        }
    }
}

fn report(error: &LogError, position: Position) {
    tracing::warn!(%error, cause = error.source(), position, "the table can't be read; trying again");
}
