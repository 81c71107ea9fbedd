//! A simulated PostgreSQL, and the line to it: whatever is sent may be lost, late, refused, or done and not answered.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard};

use domain::{Position, StreamName, Version};
use tokio::sync::oneshot;

use super::super::log::Log;
use super::super::outcome::Failure;
use super::super::statement::Verdict;
use super::super::writer::Pending;
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
}

impl Store {
    pub(super) fn new(seed: u64, harm: u32, planted: Planted) -> Self {
        let state = State { partitions: 1, ..State::default() };
        Self { state: Arc::new(Mutex::new(state)), luck: Luck::new(seed, harm), planted }
    }

    /// From now on nothing breaks any more.
    pub(super) fn heal(&self) {
        self.luck.heal();
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// One transaction, whose effect is there at once or not at all.
    fn commit(&self, batch: &[Sent]) -> Result<Vec<Verdict>, Failure> {
        // For a reason that passes, such as a server that has just become a replica.
        if self.luck.harmed() {
            return Err(Failure::Refused(sqlx::Error::Protocol("read-only".to_owned())));
        }
        let mut state = self.state();
        if batch.iter().any(|sent| sent.key.starts_with(super::POISON)) {
            return Err(Failure::Refused(sqlx::Error::Protocol("poison".to_owned())));
        }
        let most = state.events.len() + batch.iter().map(|sent| sent.events).sum::<usize>();
        if Position::try_from(most).unwrap_or(Position::MAX) > state.partitions * PARTITION {
            return Err(Failure::PartitionMissing(sqlx::Error::Protocol("no partition".to_owned())));
        }
        let forgets = self.planted == Planted::ForgetsCommits && self.luck.chance(2);
        let before = forgets.then(|| (state.events.clone(), state.keys.clone(), state.heads.clone()));
        let verdicts = batch.iter().map(|sent| state.apply(sent, self.planted)).collect();
        if let Some((events, keys, heads)) = before {
            (state.events, state.keys, state.heads) = (events, keys, heads);
        }
        Ok(verdicts)
    }
}

impl State {
    fn apply(&mut self, sent: &Sent, planted: Planted) -> Verdict {
        if let Some(known) = self.keys.get(&sent.key).filter(|_| planted != Planted::IgnoresKeys) {
            return Verdict::AlreadyApplied { version: known.version, position: known.position };
        }
        let head = self.heads.entry(sent.stream).or_default();
        if let Expected::Exact(version) = sent.expected
            && version != *head
        {
            return Verdict::Conflict { actual: *head };
        }
        for _ in 0..sent.events {
            *head += 1;
            self.events.push(Stored { key: sent.key.clone(), stream: sent.stream, version: *head });
        }
        let (version, position) = (*head, Position::try_from(self.events.len()).unwrap_or(Position::MAX));
        let record = KeyRecord { key: sent.key.clone(), stream: sent.stream, version, position };
        self.keys.insert(sent.key.clone(), record);
        Verdict::Appended { version, position }
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
            self.faults.push("heads would be locked in another order".to_owned());
        }
    }
}

impl Log for Store {
    async fn append(&mut self, batch: &[Pending]) -> Result<Vec<Verdict>, Failure> {
        let sent = |Pending { append, .. }: &Pending| Sent {
            key: append.key.clone(),
            stream: append.stream,
            expected: append.expected,
            events: append.events.len(),
        };
        let batch: Vec<Sent> = batch.iter().map(sent).collect();
        self.state().inspect(&batch);
        if self.luck.harmed() {
            tokio::time::sleep(self.luck.within(WAY_MAX_MS)).await;
            return Err(Failure::Retry(broken()));
        }
        let (lost, unanswered, late) = (self.luck.harmed(), self.luck.harmed(), self.luck.harmed());
        let (there, back, later) =
            (self.luck.within(WAY_MAX_MS), self.luck.within(WAY_MAX_MS), self.luck.within(LATE_MAX_MS));
        if lost {
            tokio::time::sleep(there).await;
            return Err(Failure::Unknown(broken()));
        }
        // The server goes on whatever becomes of who has asked.
        let (answer, answered) = oneshot::channel();
        let server = self.clone();
        tokio::spawn(async move {
            if late {
                drop(answer);
                tokio::time::sleep(later).await;
                let _unheard = server.commit(&batch);
                return;
            }
            tokio::time::sleep(there).await;
            let done = server.commit(&batch);
            if !unanswered {
                let _heard = answer.send(done);
            }
        });
        let done = answered.await.unwrap_or_else(|_| Err(Failure::Unknown(broken())));
        tokio::time::sleep(back).await;
        done
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
