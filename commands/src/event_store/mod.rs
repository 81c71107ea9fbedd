//! The event store: appends with group commit, and reads of single streams.
//!
//! Many concurrent appends share one transaction (see `writer`); each keeps its own expected-version verdict and its own
//! idempotency key. Positions are dense and in commit order, because every append takes the counter row
//! and holds it to its commit (migration `head_of_a_stream`). This module does not know what an event means.

mod append;
mod committed;
mod heads;
mod housekeeping;
mod log;
mod outcome;
mod queue;
mod read;
#[cfg(test)]
mod simulation;
mod statement;
mod thread;
mod writer;

use std::sync::Arc;

use domain::{Committed, Position, Recorded, StreamName, Version};
use sqlx::PgPool;
use tokio::runtime::Handle;
use tokio::sync::{broadcast, mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use append::{Append, AppendError, Appended, Expected, KeyRecord, NewEvent};
pub use committed::{COMMITTED_BATCH_BYTES_MAX, COMMITTED_WAITING_MAX};
pub(crate) use housekeeping::EVENTS_CHANNEL;
pub(crate) use read::EventRow;

use crate::cache::{AggregateCache, CACHED_BYTES_MAX};
use committed::Told;
use queue::Pending;
use writer::{PLACED_APPENDS_MIN, Writer};

/// Appends that may wait for a writer. One more is refused as overload.
pub const QUEUE_LENGTH_MAX: usize = 8_192;
/// Most appends in one transaction.
pub const BATCH_APPENDS_MAX: usize = 1_000;
/// Most events in one append.
pub const APPEND_EVENTS_MAX: usize = 1_000;

/// A handle to the log. Cheap to clone.
#[derive(Clone)]
pub struct EventStore {
    inner: Arc<Inner>,
}

struct Inner {
    pool: PgPool,
    queue: mpsc::Sender<Pending>,
    head: watch::Receiver<Position>,
    committed: broadcast::Sender<Committed>,
    aggregates: AggregateCache,
}

impl EventStore {
    /// Starts the writer on a thread of its own, which `tracker` waits for; it finishes what is queued and ends when `shutdown` fires.
    ///
    /// # Errors
    /// The database does not answer or is not migrated, or the machine has no thread left.
    pub async fn start(pool: PgPool, tracker: &TaskTracker, shutdown: CancellationToken) -> Result<Self, sqlx::Error> {
        let (position, partition_size): (Position, i64) =
            sqlx::query_as("SELECT position, partition_size FROM event_log").fetch_one(&pool).await?;
        let (queue, waiting) = mpsc::channel(QUEUE_LENGTH_MAX);
        let (head_moved, head) = watch::channel(position);
        let log = log::Postgres::new(pool.clone(), Handle::current(), position, partition_size);
        let told = Told::new(head_moved);
        let committed = told.sender();
        let writer = Writer::new(log, waiting, told, PLACED_APPENDS_MIN);
        thread::start(writer.run(shutdown.clone()), tracker)?;
        tracker.spawn(housekeeping::run(pool.clone(), head.clone(), partition_size, shutdown));
        let aggregates = AggregateCache::new(CACHED_BYTES_MAX);
        Ok(Self { inner: Arc::new(Inner { pool, queue, head, committed, aggregates }) })
    }

    /// Appends events to one stream, or answers with what an earlier append under the same key did.
    ///
    /// # Errors
    /// See [`AppendError`]. After [`AppendError::OutcomeUnknown`] the same append may be sent again: its key makes sure
    /// that it is applied at most once.
    pub async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        if append.events.is_empty() || append.events.len() > APPEND_EVENTS_MAX {
            return Err(AppendError::EventCount { count: append.events.len(), count_max: APPEND_EVENTS_MAX });
        }
        let (reply, answer) = oneshot::channel();
        self.inner.queue.try_send(Pending { append, reply }).map_err(|refused| match refused {
            mpsc::error::TrySendError::Full(_) => AppendError::Overloaded,
            mpsc::error::TrySendError::Closed(_) => AppendError::ShuttingDown,
        })?;
        // A writer that dies with the request in hand drops the reply: whether it was committed is not known here.
        answer.await.unwrap_or(Err(AppendError::OutcomeUnknown))
    }

    /// Events of one stream after a version, in order.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn load(&self, stream: StreamName, after: Version) -> Result<Vec<Recorded>, sqlx::Error> {
        read::stream(&self.inner.pool, stream, after).await
    }

    /// What was appended under a key.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn find_key(&self, key: &str) -> Result<Option<KeyRecord>, sqlx::Error> {
        outcome::find_keys(&self.inner.pool, &[key.to_owned()]).await.map(|mut found| found.pop())
    }

    /// Version of a stream; 0 when it does not exist.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn version(&self, stream: StreamName) -> Result<Version, sqlx::Error> {
        read::version(&self.inner.pool, stream).await
    }

    /// The highest position that this process has appended. Moves after each commit; others' appends don't move it.
    #[must_use]
    pub fn head(&self) -> watch::Receiver<Position> {
        self.inner.head.clone()
    }

    /// Follows what this process commits from now on, in order. There are gaps between batches: what other processes have appended,
    /// and what this one can't tell. A receiver that lags has to read the log.
    #[must_use]
    pub fn committed(&self) -> broadcast::Receiver<Committed> {
        self.inner.committed.subscribe()
    }

    /// Aggregates that commands of this process have used last.
    pub(crate) fn cache(&self) -> &AggregateCache {
        &self.inner.aggregates
    }
}
