//! The feed: following the log from one place per process.
//!
//! A [`Tail`] holds the newest events in memory and serves everybody in the process who folds or reacts: a consumer that
//! keeps up never touches the database, one that is behind reads the table, and both see the same dense sequence. Where
//! new events come from is a [`Source`]: the table itself, or Kafka. Consumers can't tell which; switching between them
//! loses and repeats nothing, because a consumer's cursor is a position and not an offset.
//!
//! The feed does not know who reads it, what an event means, or how far anybody is.

mod cloudevent;
mod consumer;
mod followed;
mod kafka;
mod order;
mod ring;
mod table;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use domain::{Committed, Position, Recorded};
use sqlx::PgPool;
use tokio::sync::{broadcast, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::lag::{Lag, lag_of};
use crate::log::{self, LogError};
pub(crate) use followed::Followed;
use ring::Ring;

/// Newest events that are kept in memory.
pub const RING_EVENTS_MAX: usize = 16_384;
/// Memory for them, in bytes.
pub const RING_BYTES_MAX: usize = 32 * 1024 * 1024;
/// Most events that one read returns, whatever was asked for.
pub const READ_EVENTS_MAX: usize = 5_000;
/// Topic that the relay publishes to, unless configured otherwise.
pub const DEFAULT_TOPIC: &str = "voice.events.v1";

/// Where new events come from.
#[derive(Debug)]
pub enum Source {
    /// The event table.
    Table {
        /// What the append side of this process commits, where there is one: it need not be read.
        committed: Option<broadcast::Receiver<Committed>>,
    },
    /// The copy on Kafka; the table fills what Kafka lost or delays.
    Kafka(KafkaSource),
}

/// Where the copy of the log is.
#[derive(Debug, Clone)]
pub struct KafkaSource {
    /// `host:port`, several separated by commas.
    pub brokers: String,
    /// Topic; see [`DEFAULT_TOPIC`].
    pub topic: String,
}

/// The end of the log as this process sees it. Cheap to clone.
#[derive(Clone)]
pub struct Tail {
    inner: Arc<Inner>,
}

/// What the feed went through since it was started; for metrics.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FeedStats {
    /// Records that came again.
    pub duplicates: u64,
    /// Times that a record named a predecessor which had not come.
    pub holes: u64,
    /// Events read from the table because Kafka did not bring them in time.
    pub filled: u64,
    /// Records that were ignored: another store's, or not readable.
    pub refused: u64,
    /// The table stands in for Kafka, because that does not answer or is behind.
    pub stalled: bool,
}

#[derive(Default)]
struct Counters {
    duplicates: AtomicU64,
    holes: AtomicU64,
    filled: AtomicU64,
    refused: AtomicU64,
    stalled: AtomicBool,
}

struct Inner {
    pool: PgPool,
    ring: RwLock<Ring>,
    began: Instant,
    /// Milliseconds from the beginning until the head last moved.
    moved_ms: AtomicU64,
    head: watch::Sender<Position>,
    counters: Counters,
}

impl Tail {
    /// Starts to follow the log from its present head, on tasks of `tracker`, until `shutdown` fires. Kafka need not answer
    /// yet: until it does, the table is followed at a slower pace.
    ///
    /// # Errors
    /// The database does not answer, or is not migrated.
    pub async fn start(
        pool: PgPool,
        source: Source,
        tracker: &TaskTracker,
        shutdown: CancellationToken,
    ) -> Result<Self, LogError> {
        let position = log::head(&pool).await?;
        let epoch = log::epoch(&pool).await?;
        let inner = Arc::new(Inner {
            pool,
            ring: RwLock::new(Ring::new(position, RING_EVENTS_MAX, RING_BYTES_MAX)),
            head: watch::Sender::new(position),
            began: Instant::now(),
            moved_ms: AtomicU64::new(0),
            counters: Counters::default(),
        });
        match source {
            Source::Table { committed } => {
                tracker.spawn(table::follow(Arc::clone(&inner), committed, tracker.clone(), shutdown));
            }
            Source::Kafka(source) => {
                // Until the topic is assigned.
                inner.counters.stalled.store(true, Ordering::Relaxed);
                tracker.spawn(kafka::follow(Arc::clone(&inner), source, epoch, shutdown));
            }
        }
        Ok(Self { inner })
    }

    /// Position of the newest event that [`Tail::read`] hands out.
    #[must_use]
    pub fn head(&self) -> Position {
        *self.inner.head.borrow()
    }

    /// Follows the head.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<Position> {
        self.inner.head.subscribe()
    }

    /// Waits until there is an event after a position.
    pub async fn wait_past(&self, position: Position) {
        // The sender lives as long as `self`, so the wait does not end in an error.
        drop(self.inner.head.subscribe().wait_for(|head| *head > position).await);
    }

    /// Events after a position, in order and without a gap, at most `limit` (and [`READ_EVENTS_MAX`]). Empty: the head is
    /// reached. From memory where they are there, else from the table, and never beyond [`Tail::head`].
    ///
    /// # Errors
    /// See [`LogError`].
    pub async fn read(&self, after: Position, limit: usize) -> Result<Vec<Arc<Recorded>>, LogError> {
        Ok(recorded(self.follow(after, limit).await?))
    }

    /// The same for those who fold: what one of them has decoded, the others need not.
    pub(crate) async fn follow(&self, after: Position, limit: usize) -> Result<Vec<Arc<Followed>>, LogError> {
        let head = self.head();
        if let Some(events) = self.held(after, limit) {
            return Ok(events);
        }
        let limit = limit.min(READ_EVENTS_MAX);
        Ok(Followed::all(log::read_between(&self.inner.pool, after, head, limit).await?))
    }

    /// The same from memory alone; `None`: the table has to be asked.
    #[must_use]
    pub fn read_held(&self, after: Position, limit: usize) -> Option<Vec<Arc<Recorded>>> {
        self.held(after, limit).map(recorded)
    }

    fn held(&self, after: Position, limit: usize) -> Option<Vec<Arc<Followed>>> {
        if after >= self.head() {
            return Some(Vec::new());
        }
        self.inner.read_ring(after, limit.min(READ_EVENTS_MAX))
    }

    /// How far behind the log this process sees it, which is asked on `pool`.
    ///
    /// # Errors
    /// The database does not answer, or is not migrated.
    pub async fn lag(&self, pool: &PgPool) -> Result<Lag, LogError> {
        // In this order: a head that moves meanwhile is not taken for one that rests.
        let (head, rested) = (self.head(), self.inner.rested());
        let lag = lag_of(pool, head).await?;
        Ok(Lag { rests: lag.rests.min(rested), ..lag })
    }

    /// What the feed went through.
    #[must_use]
    pub fn stats(&self) -> FeedStats {
        let counters = &self.inner.counters;
        FeedStats {
            duplicates: counters.duplicates.load(Ordering::Relaxed),
            holes: counters.holes.load(Ordering::Relaxed),
            filled: counters.filled.load(Ordering::Relaxed),
            refused: counters.refused.load(Ordering::Relaxed),
            stalled: counters.stalled.load(Ordering::Relaxed),
        }
    }
}

impl Inner {
    fn head(&self) -> Position {
        *self.head.borrow()
    }

    /// Hands new events to the readers. They follow the head directly; their source has made sure of it.
    fn push(&self, events: Vec<Arc<Recorded>>) {
        if events.is_empty() {
            return;
        }
        // The head moves under the same lock, so no reader finds events beyond the head it knows.
        let mut ring = self.ring.write().unwrap_or_else(PoisonError::into_inner);
        for event in events {
            ring.push(event);
        }
        self.head.send_replace(ring.head());
        self.moved_ms.store(milliseconds(self.began.elapsed()), Ordering::Relaxed);
    }

    /// How long the head has not moved.
    fn rested(&self) -> Duration {
        self.began.elapsed().saturating_sub(Duration::from_millis(self.moved_ms.load(Ordering::Relaxed)))
    }

    fn read_ring(&self, after: Position, limit: usize) -> Option<Vec<Arc<Followed>>> {
        self.ring.read().unwrap_or_else(PoisonError::into_inner).read(after, limit)
    }
}

fn recorded(events: Vec<Arc<Followed>>) -> Vec<Arc<Recorded>> {
    events.into_iter().map(|event| Arc::clone(&event.recorded)).collect()
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
