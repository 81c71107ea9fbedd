//! The writer: takes what waits, appends it in one transaction, answers each with its own verdict.
//!
//! Nobody waits for a batch to fill: an idle writer takes a lone append at once, and batches grow only because appends
//! arrive while the one before is on its way. While a large batch is flushed to disk and answered, the next is written.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use domain::{Position, StreamName, Version};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::log::Log;
use super::outcome::{self, Failure};
use super::queue::{Pending, Queue};
use super::statement::Verdict;
use super::{Append, AppendError, Appended, Expected, KeyRecord};

/// How long an append whose outcome is not known is looked up and tried again.
pub(super) const RESOLVE_WITHIN: Duration = Duration::from_secs(20);
/// Pause between two tries while the database is away.
const RETRY_PAUSE: Duration = Duration::from_millis(50);
/// A batch of so many is committed while the next is written. A smaller one has a single round trip, and answers sooner.
pub(super) const OVERLAPPED_APPENDS_MIN: usize = 32;

/// A batch that failed, and how.
type Failed = (Failure, Vec<Pending>);

/// Owner of the connections that append.
pub(super) struct Writer<L: Log> {
    log: L,
    queue: Queue,
    head_moved: Arc<watch::Sender<Position>>,
    overlapped_min: usize,
    /// The batch that is being committed; at most one.
    committing: JoinSet<Result<L::Line, Failed>>,
    /// Its streams.
    under_way: HashSet<StreamName>,
    answering: TaskTracker,
}

impl<L: Log> Writer<L> {
    /// `overlapped_min`: size of a batch that is committed while the next is written.
    pub(super) fn new(
        log: L,
        waiting: mpsc::Receiver<Pending>,
        head_moved: Arc<watch::Sender<Position>>,
        overlapped_min: usize,
    ) -> Self {
        Self {
            log,
            queue: Queue::new(waiting),
            head_moved,
            overlapped_min,
            committing: JoinSet::new(),
            under_way: HashSet::new(),
            answering: TaskTracker::new(),
        }
    }

    /// Appends until shutdown, then what is still queued, then ends.
    pub(super) async fn run(mut self, shutdown: CancellationToken) {
        loop {
            if self.queue.is_empty() {
                self.log.rest().await;
            }
            tokio::select! {
                biased;
                Some(ended) = self.committing.join_next() => {
                    self.ended(ended.ok()).await;
                    continue;
                }
                more = self.queue.filled(&shutdown) => if !more { break },
            }
            let (batch, streams) = self.queue.take(&self.under_way);
            if batch.len() >= self.overlapped_min {
                self.write(batch, streams).await;
                continue;
            }
            self.settle().await;
            // Empty when all of it was to come after what has just been committed.
            if !batch.is_empty() {
                self.append(batch).await;
            }
        }
        self.settle().await;
        self.answering.close();
        self.answering.wait().await;
    }

    /// Writes a batch while the one before is being committed, and leaves its commit to a task. The counter of the log is
    /// locked by the one before until its commit, so both stay in order.
    async fn write(&mut self, batch: Vec<Pending>, streams: HashSet<StreamName>) {
        let written = self.log.write(&batch).await;
        let before = self.committed().await;
        match written {
            Ok((verdicts, line)) => {
                self.commit(line, batch, verdicts);
                self.under_way = streams;
                self.recover(before).await;
            }
            Err(failure) => {
                self.recover(before).await;
                self.recover(Some((failure, batch))).await;
            }
        }
    }

    fn commit(&mut self, line: L::Line, batch: Vec<Pending>, verdicts: Vec<Verdict>) {
        let more = !self.queue.is_empty();
        let (answering, head_moved) = (self.answering.clone(), Arc::clone(&self.head_moved));
        self.committing.spawn(async move {
            match L::commit(line, more).await {
                Ok(line) => {
                    answering.spawn(async move { answer(&head_moved, batch, verdicts) });
                    Ok(line)
                }
                Err(failure) => Err((failure, batch)),
            }
        });
    }

    /// Waits for the batch that is being committed; answers with it if that failed.
    async fn committed(&mut self) -> Option<Failed> {
        let ended = self.committing.join_next().await?.ok()?;
        self.take_back(ended)
    }

    fn take_back(&mut self, ended: Result<L::Line, Failed>) -> Option<Failed> {
        self.under_way.clear();
        match ended {
            Ok(line) => {
                self.log.take_back(line);
                None
            }
            Err(failed) => Some(failed),
        }
    }

    async fn ended(&mut self, ended: Option<Result<L::Line, Failed>>) {
        let failed = ended.and_then(|ended| self.take_back(ended));
        self.recover(failed).await;
    }

    /// Waits until nothing is being committed any more.
    async fn settle(&mut self) {
        let failed = self.committed().await;
        self.recover(failed).await;
    }

    async fn recover(&mut self, failed: Option<Failed>) {
        if let Some((failure, batch)) = failed {
            self.append_until(Instant::now() + RESOLVE_WITHIN, Some(failure), false, batch).await;
        }
    }

    async fn append(&mut self, batch: Vec<Pending>) {
        self.append_until(Instant::now() + RESOLVE_WITHIN, None, false, batch).await;
    }

    /// Appends a batch, or what is left of one that `failed`. `doubtful`: an earlier try may still be committed by a backend
    /// that nobody is connected to any more.
    async fn append_until(
        &mut self,
        mut deadline: Instant,
        mut failed: Option<Failure>,
        mut doubtful: bool,
        mut batch: Vec<Pending>,
    ) {
        loop {
            let failure = match failed.take() {
                Some(failure) => failure,
                None => match self.log.append(&batch).await {
                    Ok(verdicts) => return answer(&self.head_moved, batch, verdicts),
                    Err(failure) => failure,
                },
            };
            match failure {
                // One of the batch is at fault and took the others down with it: each on its own finds out which.
                Failure::Refused(error) if batch.len() > 1 => {
                    tracing::warn!(appends = batch.len(), %error, "a batch was refused; appending one by one");
                    return self.append_one_by_one(deadline, doubtful, batch).await;
                }
                // Nothing was done by this try, but perhaps by the one before.
                Failure::Refused(error) if doubtful && !outcome::lies_in_the_data(&error) => {
                    tracing::warn!(%error, "an append was refused after a try whose outcome is not known");
                    batch = self.resolve(batch).await;
                }
                Failure::Refused(error) => {
                    return batch
                        .into_iter()
                        .for_each(|p| drop(p.reply.send(Err(AppendError::Refused(outcome::again(&error))))));
                }
                Failure::PartitionMissing(error) => {
                    tracing::warn!(%error, "the log outran its partitions; making the next one");
                    if let Err(error) = self.log.make_room(&batch).await {
                        tracing::error!(%error, "no partition could be made");
                    }
                }
                // This process ends without its database.
                Failure::Retry(sqlx::Error::PoolClosed) => deadline = Instant::now(),
                Failure::Retry(error) => {
                    tracing::warn!(%error, appends = batch.len(), "append is tried again")
                }
                Failure::Unknown(error) => {
                    tracing::warn!(%error, appends = batch.len(), "connection lost during an append; looking up keys");
                    doubtful = true;
                    batch = self.resolve(batch).await;
                }
            }
            if batch.is_empty() {
                return;
            }
            if Instant::now() >= deadline {
                return give_up(batch);
            }
            tokio::time::sleep(RETRY_PAUSE).await;
        }
    }

    /// All of them within the time of their batch: those whose turn does not come are not tried again.
    async fn append_one_by_one(&mut self, deadline: Instant, doubtful: bool, batch: Vec<Pending>) {
        for pending in batch {
            if Instant::now() >= deadline {
                give_up(vec![pending]);
            } else {
                Box::pin(self.append_until(deadline, None, doubtful, vec![pending])).await;
            }
        }
    }

    /// Answers what the log already holds; returns the rest, which the next try may send again: an append checks
    /// the key under the stream's lock, so an append that a dying backend still commits is not doubled.
    async fn resolve(&mut self, batch: Vec<Pending>) -> Vec<Pending> {
        let keys: Vec<&str> = batch.iter().map(|pending| pending.append.key.as_str()).collect();
        let Ok(found) = self.log.find_keys(&keys).await else {
            return batch;
        };
        let mut rest = Vec::new();
        for pending in batch {
            match found.iter().find(|record| record.key == pending.append.key) {
                Some(record) => {
                    moved_to(&self.head_moved, record.position);
                    let (version, position) = (record.version, record.position);
                    let already_applied = !may_be_by(&pending.append, record);
                    drop(pending.reply.send(Ok(Appended { version, position, already_applied })));
                }
                None => rest.push(pending),
            }
        }
        rest
    }
}

fn answer(head_moved: &watch::Sender<Position>, batch: Vec<Pending>, verdicts: Vec<Verdict>) {
    if let Some(head) = verdicts.iter().filter_map(Verdict::position).max() {
        moved_to(head_moved, head);
    }
    for (pending, verdict) in batch.into_iter().zip(verdicts) {
        let answer = match verdict {
            Verdict::Appended { version, position } => Ok(Appended { version, position, already_applied: false }),
            Verdict::AlreadyApplied { version, position } => Ok(Appended { version, position, already_applied: true }),
            Verdict::Conflict { actual } => Err(AppendError::Conflict { actual }),
        };
        // Nobody may be listening any more; the append stands all the same.
        drop(pending.reply.send(answer));
    }
}

fn moved_to(head_moved: &watch::Sender<Position>, position: Position) {
    head_moved.send_if_modified(|head| {
        let moved = position > *head;
        *head = (*head).max(position);
        moved
    });
}

fn give_up(batch: Vec<Pending>) {
    batch.into_iter().for_each(|p| drop(p.reply.send(Err(AppendError::OutcomeUnknown))));
}

/// Whether a key may have been written by this append, and not by an earlier one under the same key.
fn may_be_by(append: &Append, record: &KeyRecord) -> bool {
    let events = Version::try_from(append.events.len()).unwrap_or(Version::MAX);
    let as_expected = match append.expected {
        Expected::Any => true,
        Expected::Exact(version) => record.version == version + events,
    };
    append.stream == record.stream && as_expected
}
