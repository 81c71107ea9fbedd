//! A writer: takes what waits, appends it in one transaction, answers each with its own verdict.
//!
//! Nobody waits for a batch to fill: an idle writer takes a lone append at once, and batches grow only because appends
//! arrive while the one before is being flushed to disk.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use domain::{Position, Version};
use tokio::sync::{Mutex, mpsc, oneshot, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::log::Log;
use super::outcome::{self, Failure};
use super::statement::Verdict;
use super::{Append, AppendError, Appended, BATCH_APPENDS_MAX, Expected, KeyRecord};

/// How long an append whose outcome is not known is looked up and tried again.
pub(super) const RESOLVE_WITHIN: Duration = Duration::from_secs(20);
/// Pause between two tries while the database is away.
const RETRY_PAUSE: Duration = Duration::from_millis(50);

/// An append and where its answer goes.
pub(super) struct Pending {
    pub(super) append: Append,
    pub(super) reply: oneshot::Sender<Result<Appended, AppendError>>,
}

/// Owner of one connection that appends.
pub(super) struct Writer<L> {
    log: L,
    waiting: Arc<Mutex<mpsc::Receiver<Pending>>>,
    head_moved: Arc<watch::Sender<Position>>,
    /// Appends that share a stream or key with one of the batch before; first in the next.
    held_back: VecDeque<Pending>,
}

impl<L: Log> Writer<L> {
    pub(super) fn new(
        log: L,
        waiting: Arc<Mutex<mpsc::Receiver<Pending>>>,
        head_moved: Arc<watch::Sender<Position>>,
    ) -> Self {
        Self { log, waiting, head_moved, held_back: VecDeque::new() }
    }

    /// Appends until shutdown, then what is still queued, then ends.
    pub(super) async fn run(mut self, shutdown: CancellationToken) {
        loop {
            let batch = self.next_batch(&shutdown).await;
            if batch.is_empty() {
                return;
            }
            self.append(batch).await;
        }
    }

    /// The next batch; empty when there is nothing left to do. No stream and no key is in it twice: the verdict on the
    /// second append depends on the first, so it goes into the batch after.
    async fn next_batch(&mut self, shutdown: &CancellationToken) -> Vec<Pending> {
        let mut candidates: Vec<Pending> = self.held_back.drain(..).collect();
        if candidates.is_empty() {
            let mut waiting = self.waiting.lock().await;
            tokio::select! {
                biased;
                // First, or those who go on asking would put the end off for ever.
                () = shutdown.cancelled() => waiting.close(),
                taken = waiting.recv_many(&mut candidates, BATCH_APPENDS_MAX) => {
                    if taken == 0 {
                        return candidates;
                    }
                }
            }
            if candidates.is_empty() {
                waiting.recv_many(&mut candidates, BATCH_APPENDS_MAX).await;
            }
        } else if let Ok(mut waiting) = self.waiting.try_lock() {
            if shutdown.is_cancelled() {
                waiting.close();
            }
            while candidates.len() < BATCH_APPENDS_MAX {
                let Ok(pending) = waiting.try_recv() else {
                    break;
                };
                candidates.push(pending);
            }
        }
        self.separate(candidates)
    }

    /// Holds back what shares a stream or key with an append before it. The rest is sorted by stream: every batch locks
    /// stream heads in one order, so that two can't wait for each other.
    fn separate(&mut self, candidates: Vec<Pending>) -> Vec<Pending> {
        if candidates.len() < 2 {
            return candidates;
        }
        let mut streams = HashSet::with_capacity(candidates.len());
        let mut keys = HashSet::with_capacity(candidates.len());
        // Marked even when held back, so that a third append of the stream does not overtake the second.
        let fits = candidates.iter().map(|Pending { append, .. }| {
            let (new_stream, new_key) = (streams.insert(append.stream), keys.insert(append.key.as_str()));
            new_stream && new_key
        });
        let fits: Vec<bool> = fits.collect();
        let mut batch = Vec::with_capacity(candidates.len());
        for (pending, fits) in candidates.into_iter().zip(fits) {
            if fits {
                batch.push(pending);
            } else {
                self.held_back.push_back(pending);
            }
        }
        batch.sort_unstable_by_key(|pending| (pending.append.stream.id, pending.append.stream.category.as_str()));
        batch
    }

    async fn append(&mut self, batch: Vec<Pending>) {
        self.append_until(Instant::now() + RESOLVE_WITHIN, false, batch).await;
    }

    /// `doubtful`: an earlier try may still be committed by a backend that nobody is connected to any more.
    async fn append_until(&mut self, mut deadline: Instant, mut doubtful: bool, mut batch: Vec<Pending>) {
        loop {
            let failure = match self.log.append(&batch).await {
                Ok(verdicts) => return self.answer(batch, verdicts),
                Err(failure) => failure,
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
                Box::pin(self.append_until(deadline, doubtful, vec![pending])).await;
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
                    self.moved_to(record.position);
                    let (version, position) = (record.version, record.position);
                    let already_applied = !may_be_by(&pending.append, record);
                    drop(pending.reply.send(Ok(Appended { version, position, already_applied })));
                }
                None => rest.push(pending),
            }
        }
        rest
    }

    fn answer(&self, batch: Vec<Pending>, verdicts: Vec<Verdict>) {
        let positions = verdicts.iter().filter_map(|verdict| match verdict {
            Verdict::Appended { position, .. } => Some(*position),
            _ => None,
        });
        if let Some(head) = positions.max() {
            self.moved_to(head);
        }
        for (pending, verdict) in batch.into_iter().zip(verdicts) {
            let answer = match verdict {
                Verdict::Appended { version, position } => Ok(Appended { version, position, already_applied: false }),
                Verdict::AlreadyApplied { version, position } => {
                    Ok(Appended { version, position, already_applied: true })
                }
                Verdict::Conflict { actual } => Err(AppendError::Conflict { actual }),
            };
            // Nobody may be listening any more; the append stands all the same.
            drop(pending.reply.send(answer));
        }
    }

    fn moved_to(&self, position: Position) {
        self.head_moved.send_if_modified(|head| {
            let moved = position > *head;
            *head = (*head).max(position);
            moved
        });
    }
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
