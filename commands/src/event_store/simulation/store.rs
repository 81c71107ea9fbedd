//! A simulated PostgreSQL, and the line to it: whatever is sent may be lost, late, refused, or done and not answered.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard};

use domain::{Position, StreamName, Version};
use tokio::sync::{OwnedMutexGuard, oneshot};

use super::super::log::{Log, Outcome};
use super::super::outcome::{self, Failure};
use super::super::queue::Pending;
use super::super::statement::Verdict;
use super::super::{BATCH_APPENDS_MAX, Expected, KeyRecord};
use crate::simulation::{Luck, broken, lock};

/// Positions of one partition, so that a log soon outruns it.
const PARTITION: Position = 16;
/// Longest time for one way of a message.
const WAY_MAX_MS: u64 = 40;
/// Longest time that a backend nobody is connected to any more still takes to commit.
pub(super) const LATE_MAX_MS: u64 = 2_000;

/// What the simulated server does that no server may do, so that the checks can be seen to notice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Planted {
    Nothing,
    /// Says that it has committed, and forgets it.
    ForgetsCommits,
    /// Does not look whether a key is there.
    IgnoresKeys,
    /// Commits what was written for a place wherever the log ends.
    TakesAnyPlace,
}

/// An event in the log: of which append, and where.
#[derive(Debug, Clone)]
pub(super) struct Stored {
    pub(super) key: String,
    pub(super) stream: StreamName,
    pub(super) version: Version,
}

/// What the server holds.
#[derive(Default)]
pub(super) struct State {
    /// By position, from 1.
    pub(super) events: Vec<Stored>,
    pub(super) keys: HashMap<String, KeyRecord>,
    heads: HashMap<StreamName, Version>,
    partitions: Position,
    /// What a writer did that it must not do.
    pub(super) faults: Vec<String>,
}

/// What is sent of an append.
#[derive(Clone)]
struct Sent {
    key: String,
    stream: StreamName,
    expected: Expected,
    events: usize,
}

/// The server. Cheap to clone.
#[derive(Clone)]
pub(super) struct Store {
    state: Arc<Mutex<State>>,
    luck: Luck,
    planted: Planted,
    /// Where the log ends, as far as the writer knows, and when all that is under way is committed.
    end: Position,
    planned: Position,
    /// Of the last place that was given.
    last: Arc<tokio::sync::Mutex<()>>,
}

impl Store {
    pub(super) fn new(seed: u64, harm: u32, planted: Planted) -> Self {
        let state = State { partitions: 1, ..State::default() };
        let (state, luck) = (Arc::new(Mutex::new(state)), Luck::new(seed, harm));
        Self { state, luck, planted, end: 0, planned: 0, last: Arc::default() }
    }

    /// From now on nothing breaks any more.
    pub(super) fn heal(&self) {
        self.luck.heal();
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// What becomes of appends, if nothing hinders them.
    fn decided(&self, batch: &[Sent]) -> Result<Vec<Verdict>, Failure> {
        // For a reason that passes, such as a server that has just become a replica.
        if self.luck.harmed() {
            return Err(Failure::Refused(sqlx::Error::Protocol("read-only".to_owned())));
        }
        if batch.iter().any(|sent| sent.key.starts_with(super::POISON)) {
            return Err(Failure::Refused(sqlx::Error::Protocol("poison".to_owned())));
        }
        let state = self.state();
        let most = state.events.len() + events_of(batch);
        if Position::try_from(most).unwrap_or(Position::MAX) > state.partitions * PARTITION {
            return Err(Failure::PartitionMissing(sqlx::Error::Protocol("no partition".to_owned())));
        }
        Ok(state.decide(batch, self.planted))
    }

    /// A transaction that is alone with the log. Its effect is there at once.
    fn commit(&self, written: &[(Sent, Verdict)]) {
        let forgets = self.planted == Planted::ForgetsCommits && self.luck.chance(2);
        if !forgets {
            self.state().apply(written);
        }
    }

    fn append_now(&self, batch: &[Sent]) -> Result<Vec<Verdict>, Failure> {
        let verdicts = self.decided(batch)?;
        self.commit(&batch.iter().cloned().zip(verdicts.iter().copied()).collect::<Vec<_>>());
        Ok(verdicts)
    }

    /// As expected or not at all, and by positions that may turn out not to be free.
    fn write_placed(&self, after: Position, batch: &[Sent]) -> Result<Vec<Verdict>, Failure> {
        let mut end = after;
        let verdicts = self.decided(batch)?.into_iter().zip(batch).map(|(verdict, sent)| match verdict {
            Verdict::Appended { version, recorded_at, .. } => {
                end += Position::try_from(sent.events).unwrap_or(Position::MAX);
                Ok(Verdict::Appended { version, position: end, recorded_at })
            }
            Verdict::Conflict { .. } | Verdict::AlreadyApplied { .. } => Err(Failure::NotAsExpected),
        });
        verdicts.collect()
    }

    fn commit_placed(&self, after: Position, written: &[(Sent, Verdict)]) -> Result<(), Failure> {
        let free = self.planted == Planted::TakesAnyPlace
            || Position::try_from(self.state().events.len()).unwrap_or(Position::MAX) == after;
        if !free {
            return Err(Failure::OutOfPlace);
        }
        // What others have committed since it was written, the unique indexes have refused.
        if !self.state().takes(written) {
            return Err(Failure::NotAsExpected);
        }
        self.commit(written);
        Ok(())
    }
}

fn events_of(batch: &[Sent]) -> usize {
    batch.iter().map(|sent| sent.events).sum()
}

/// A batch on its way to a place.
pub(super) struct Placed {
    server: Store,
    after: Position,
    /// Held until it is committed or has come to nothing.
    lock: Option<OwnedMutexGuard<()>>,
    /// The one of the place before.
    before: Arc<tokio::sync::Mutex<()>>,
    end: Position,
}

impl State {
    /// Each by itself: no stream and no key is in a batch twice.
    fn decide(&self, batch: &[Sent], planted: Planted) -> Vec<Verdict> {
        let mut position = Position::try_from(self.events.len()).unwrap_or(Position::MAX);
        let verdict = |sent: &Sent| {
            if let Some(known) = self.keys.get(&sent.key).filter(|_| planted != Planted::IgnoresKeys) {
                return Verdict::AlreadyApplied { version: known.version, position: known.position };
            }
            let head = self.heads.get(&sent.stream).copied().unwrap_or(0);
            if matches!(sent.expected, Expected::Exact(version) if version != head) {
                return Verdict::Conflict { actual: head };
            }
            let events = Version::try_from(sent.events).unwrap_or(Version::MAX);
            position += events;
            Verdict::Appended { version: head + events, position, recorded_at: None }
        };
        batch.iter().map(verdict).collect()
    }

    /// Whether no key, and no version of a stream, is there already.
    fn takes(&self, written: &[(Sent, Verdict)]) -> bool {
        written.iter().all(|(sent, verdict)| match *verdict {
            Verdict::Appended { version, .. } => {
                let head = self.heads.get(&sent.stream).copied().unwrap_or(0);
                let events = Version::try_from(sent.events).unwrap_or(Version::MAX);
                head + events == version && !self.keys.contains_key(&sent.key)
            }
            Verdict::Conflict { .. } | Verdict::AlreadyApplied { .. } => true,
        })
    }

    fn apply(&mut self, written: &[(Sent, Verdict)]) {
        for (sent, verdict) in written {
            let Verdict::Appended { version, position, .. } = *verdict else {
                continue;
            };
            let head = self.heads.insert(sent.stream, version).unwrap_or(0);
            for version in head + 1..=version {
                self.events.push(Stored { key: sent.key.clone(), stream: sent.stream, version });
            }
            let record = KeyRecord { key: sent.key.clone(), stream: sent.stream, version, position };
            self.keys.insert(sent.key.clone(), record);
        }
    }

    /// What the statement relies on.
    fn inspect(&mut self, batch: &[Sent]) {
        let streams: HashSet<_> = batch.iter().map(|sent| sent.stream).collect();
        let keys: HashSet<_> = batch.iter().map(|sent| &sent.key).collect();
        if streams.len() < batch.len() || keys.len() < batch.len() {
            self.faults.push("a stream or key is twice in a batch".to_owned());
        }
        if batch.is_empty() || batch.len() > BATCH_APPENDS_MAX {
            self.faults.push(format!("a batch of {}", batch.len()));
        }
        if !batch.is_sorted_by_key(|sent| (sent.stream.id, sent.stream.category.as_str())) {
            self.faults.push("streams would be written in another order".to_owned());
        }
    }
}

impl Sent {
    fn of(Pending { append, .. }: &Pending) -> Self {
        Self { key: append.key.clone(), stream: append.stream, expected: append.expected, events: append.events.len() }
    }
}

impl Store {
    /// What becomes of something that is sent. The server goes on whatever becomes of who has asked.
    async fn ask<T: Send + 'static>(
        &self,
        asked: impl Future<Output = Result<T, Failure>> + Send + 'static,
    ) -> Result<T, Failure> {
        let (lost, unanswered, late) = (self.luck.harmed(), self.luck.harmed(), self.luck.harmed());
        let (there, back, later) =
            (self.luck.within(WAY_MAX_MS), self.luck.within(WAY_MAX_MS), self.luck.within(LATE_MAX_MS));
        if lost {
            // The server notices late that nobody is there, and what was open is open until then.
            tokio::spawn(async move {
                tokio::time::sleep(later).await;
                drop(asked);
            });
            tokio::time::sleep(there).await;
            return Err(Failure::Unknown(broken()));
        }
        let (answer, answered) = oneshot::channel();
        tokio::spawn(async move {
            if late {
                drop(answer);
                tokio::time::sleep(later).await;
                let _unheard = asked.await;
                return;
            }
            tokio::time::sleep(there).await;
            let done = asked.await;
            if !unanswered {
                let _heard = answer.send(done);
            }
        });
        let done = answered.await.unwrap_or_else(|_| Err(Failure::Unknown(broken())));
        tokio::time::sleep(back).await;
        done
    }
}

impl Log for Store {
    type Line = Placed;

    async fn append(&mut self, batch: &[Pending]) -> Result<Vec<Verdict>, Failure> {
        let batch: Vec<Sent> = batch.iter().map(Sent::of).collect();
        self.state().inspect(&batch);
        if self.luck.harmed() {
            tokio::time::sleep(self.luck.within(WAY_MAX_MS)).await;
            return Err(Failure::Retry(broken()));
        }
        let server = self.clone();
        let appended = self.ask(async move { server.append_now(&batch) }).await?;
        self.end = self.end.max(Verdict::last_of(&appended));
        self.planned = self.end;
        Ok(appended)
    }

    async fn place(&mut self, batch: &[Pending]) -> Option<Placed> {
        let after = self.planned;
        self.planned += outcome::events_of(batch);
        let before = std::mem::take(&mut self.last);
        let lock = Arc::clone(&self.last).try_lock_owned().ok();
        Some(Placed { server: self.clone(), after, lock, before, end: 0 })
    }

    async fn write(mut line: Placed, batch: &[Pending]) -> Outcome<Placed> {
        let batch: Vec<Sent> = batch.iter().map(Sent::of).collect();
        let (server, after) = (line.server.clone(), line.after);
        server.state().inspect(&batch);
        let (asked, lock, before) = (server.clone(), line.lock.take(), Arc::clone(&line.before));
        let written = async move {
            let verdicts = asked.write_placed(after, &batch)?;
            drop(before.lock().await);
            asked.commit_placed(after, &batch.into_iter().zip(verdicts.iter().copied()).collect::<Vec<_>>())?;
            drop(lock);
            Ok(verdicts)
        };
        match server.ask(written).await {
            Ok(verdicts) => {
                line.end = Verdict::last_of(&verdicts);
                Ok((verdicts, line))
            }
            Err(failure) => Err((failure, None)),
        }
    }

    fn take_back(&mut self, line: Placed) {
        self.end = self.end.max(line.end);
    }

    fn gives_places(&self) -> bool {
        true
    }

    fn lost_place(&mut self, _: bool) {
        self.planned = self.end;
    }

    async fn find_keys(&self, keys: &[&str]) -> Result<Vec<KeyRecord>, sqlx::Error> {
        tokio::time::sleep(self.luck.within(WAY_MAX_MS)).await;
        if self.luck.harmed() {
            return Err(broken());
        }
        let state = self.state();
        Ok(keys.iter().filter_map(|key| state.keys.get(*key).cloned()).collect())
    }

    async fn make_room(&self, _batch: &[Pending]) -> Result<(), sqlx::Error> {
        tokio::time::sleep(self.luck.within(WAY_MAX_MS)).await;
        if self.luck.harmed() {
            return Err(broken());
        }
        self.state().partitions += 1;
        Ok(())
    }
}
