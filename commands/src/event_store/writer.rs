//! The writer: takes what waits, appends it in one transaction, answers each with its own verdict.
//!
//! Nobody waits for a batch to fill: an idle writer takes a lone append at once, and batches grow only because appends arrive while
//! those before are on their way. Large batches are written at the same time, each for the place in the log that follows the one
//! before, and committed in this order.

use std::sync::Arc;
use std::time::Duration;

use domain::Version;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};
use tokio::task::{JoinError, JoinSet};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::committed::Told;
use super::log::Log;
use super::outcome::{self, Failure};
use super::queue::{Claims, Pending, Queue};
use super::statement::Verdict;
use super::{Append, AppendError, Appended, BATCH_APPENDS_MAX, Expected, KeyRecord};

/// How long an append whose outcome is not known is looked up and tried again.
pub(super) const RESOLVE_WITHIN: Duration = Duration::from_secs(20);
/// Pause between two tries while the database is away.
const RETRY_PAUSE: Duration = Duration::from_millis(50);
/// A batch of so many is written while others are, and so are those that follow. A smaller one is written by itself, which is sooner
/// answered.
pub(super) const PLACED_APPENDS_MIN: usize = 48;
/// Most batches under way.
pub(super) const UNDER_WAY_MAX: usize = 2;

/// Owner of the connections that append.
pub(super) struct Writer<L: Log> {
    log: L,
    queue: Queue,
    told: Arc<Told>,
    placed_min: usize,
    /// Batches that were given a place.
    under_way: JoinSet<Carried<L::Line>>,
    /// What they are about.
    claims: Claims,
    /// How many there were.
    number: u64,
    /// Size of the last batch, or half of what this was before: a small one between large ones holds nobody up.
    recent: usize,
    /// The last of them is told of, or will never be.
    last: Option<oneshot::Receiver<()>>,
    answering: TaskTracker,
    /// Where those are who wait for answers: to wake each of them from elsewhere costs more.
    others: Handle,
}

/// What became of a batch that was given a place.
struct Carried<Line> {
    number: u64,
    line: Option<Line>,
    claims: Claims,
    /// None: it is committed.
    failed: Option<(Failure, Vec<Pending>)>,
}

impl<L: Log> Writer<L> {
    /// `placed_min`: size of a batch that is written while others are. Made on the runtime of those who append.
    pub(super) fn new(log: L, waiting: mpsc::Receiver<Pending>, told: Told, placed_min: usize) -> Self {
        Self {
            log,
            queue: Queue::new(waiting),
            told: Arc::new(told),
            placed_min,
            under_way: JoinSet::new(),
            claims: Claims::default(),
            number: 0,
            recent: 0,
            last: None,
            answering: TaskTracker::new(),
            others: Handle::current(),
        }
    }

    /// Appends until shutdown, then what is still queued, then ends.
    pub(super) async fn run(mut self, shutdown: CancellationToken) {
        loop {
            let busy = !self.under_way.is_empty();
            let enough = if busy { self.placed_min } else { 1 };
            tokio::select! {
                biased;
                Some(ended) = self.under_way.join_next() => {
                    self.ended(ended).await;
                    continue;
                }
                more = self.queue.filled(enough, &shutdown), if self.under_way.len() < UNDER_WAY_MAX => match more {
                    true => {}
                    false if busy => {
                        self.settle().await;
                        continue;
                    }
                    false => break,
                }
            }
            let share = self.share();
            let batch = self.queue.take(share, &self.claims);
            if let Some(batch) = self.begin(batch).await {
                self.settle().await;
                // Empty when all of it was to come after what has just been committed.
                if !batch.is_empty() {
                    self.append_until(Instant::now() + RESOLVE_WITHIN, None, false, batch).await;
                }
            }
        }
        self.settle().await;
        self.answering.close();
        self.answering.wait().await;
    }

    /// How many of those that wait may go into the next batch. Where they are enough for several, they and those under way are dealt out
    /// to as many as may be under way: if each batch took all that wait, most writers would end up in one, and the database, this
    /// writer and they would wait for each other in turns.
    fn share(&mut self) -> usize {
        let all = self.queue.receive() + self.claims.len();
        let several = all >= self.placed_min.saturating_mul(UNDER_WAY_MAX) && self.log.gives_places();
        if several { all.div_ceil(UNDER_WAY_MAX) } else { BATCH_APPENDS_MAX }
    }

    /// Writes a batch while others are under way. It is given back where it is to be appended by itself.
    async fn begin(&mut self, batch: Vec<Pending>) -> Option<Vec<Pending>> {
        self.recent = batch.len().max(self.recent / 2);
        if batch.is_empty() || self.recent < self.placed_min {
            return Some(batch);
        }
        let Some(line) = self.log.place(&batch).await else {
            return Some(batch);
        };
        let claims = self.queue.claims(&batch);
        self.claims.add(&claims);
        self.number += 1;
        let (number, (committed, last)) = (self.number, oneshot::channel());
        let before = self.last.replace(last);
        let (told, answering, others) = (Arc::clone(&self.told), self.answering.clone(), self.others.clone());
        self.under_way.spawn(async move {
            let (line, failed) = match carry::<L>(line, batch, before, &told).await {
                Ok((line, answers)) => {
                    answering.spawn_on(async move { answers.give() }, &others);
                    // Nobody may come after it.
                    let _unheard = committed.send(());
                    (Some(line), None)
                }
                Err((failure, line, batch)) => (line, Some((failure, batch))),
            };
            Carried { number, line, claims, failed }
        });
        None
    }

    /// Takes in what became of a batch. Where it came to nothing, so did those that were written for the places after it: they are
    /// appended in their order.
    async fn ended(&mut self, ended: Result<Carried<L::Line>, JoinError>) {
        let mut failed: Vec<_> = self.take_in(ended).into_iter().collect();
        if failed.is_empty() {
            return;
        }
        while let Some(ended) = self.under_way.join_next().await {
            failed.extend(self.take_in(ended));
        }
        failed.sort_unstable_by_key(|(number, ..)| *number);
        // Those after the first came to nothing because it did.
        let certain = matches!(failed.first(), Some((_, Failure::NotAsExpected, _)));
        self.log.lost_place(certain);
        let deadline = Instant::now() + RESOLVE_WITHIN;
        for (_, failure, batch) in failed {
            self.append_until(deadline, Some(failure), false, batch).await;
        }
    }

    fn take_in(&mut self, ended: Result<Carried<L::Line>, JoinError>) -> Option<(u64, Failure, Vec<Pending>)> {
        let failed = match ended {
            Ok(Carried { number, line, claims, failed }) => {
                self.claims.remove(&claims);
                line.into_iter().for_each(|line| self.log.take_back(line));
                failed.map(|(failure, batch)| (number, failure, batch))
            }
            // It panicked, and whoever waits for it is told that the outcome is not known.
            Err(_) => Some((0, Failure::OutOfPlace, Vec::new())),
        };
        if self.under_way.is_empty() {
            self.last = None;
            self.claims = Claims::default();
        }
        failed
    }

    /// Waits until nothing is under way any more.
    async fn settle(&mut self) {
        while let Some(ended) = self.under_way.join_next().await {
            self.ended(ended).await;
        }
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
                    Ok(verdicts) => {
                        self.told.tell(Verdict::last_of(&verdicts), self.told.events(&batch, &verdicts));
                        return Answers { batch, verdicts }.give();
                    }
                    Err(failure) => failure,
                },
            };
            match failure {
                Failure::OutOfPlace | Failure::NotAsExpected if batch.is_empty() => return,
                Failure::OutOfPlace | Failure::NotAsExpected => continue,
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
                    self.told.tell(record.position, None);
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

/// Writes a batch in its place. An error: what it came to nothing by, and the line if it is of use.
async fn carry<L: Log>(
    line: L::Line,
    batch: Vec<Pending>,
    before: Option<oneshot::Receiver<()>>,
    told: &Told,
) -> Result<(L::Line, Answers), (Failure, Option<L::Line>, Vec<Pending>)> {
    let (verdicts, line) = match L::write(line, &batch).await {
        Ok(written) => written,
        Err((failure, line)) => return Err((failure, line, batch)),
    };
    let events = told.events(&batch, &verdicts);
    // It was committed after the one before, and is told of after it, though the answers may have overtaken each other.
    if let Some(before) = before {
        let _told = before.await;
    }
    told.tell(Verdict::last_of(&verdicts), events);
    Ok((line, Answers { batch, verdicts }))
}

/// What those who wait for a batch are answered.
struct Answers {
    batch: Vec<Pending>,
    verdicts: Vec<Verdict>,
}

impl Answers {
    fn give(self) {
        for (pending, verdict) in self.batch.into_iter().zip(self.verdicts) {
            let answer = match verdict {
                Verdict::Appended { version, position, .. } => {
                    Ok(Appended { version, position, already_applied: false })
                }
                Verdict::AlreadyApplied { version, position } => {
                    Ok(Appended { version, position, already_applied: true })
                }
                Verdict::Conflict { actual } => Err(AppendError::Conflict { actual }),
            };
            // Nobody may be listening any more; the append stands all the same.
            drop(pending.reply.send(answer));
        }
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
