//! A simulated PostgreSQL with one view: whatever is sent may be lost, late, refused, or done and not answered. What a
//! projector commits is looked at before it is taken.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;
use domain::{Position, Recorded};
use tokio::sync::{oneshot, watch};
use uuid::Uuid;

use crate::feed::Followed;
use crate::fold::{Batch, Failure};
use crate::log::LogError;
use crate::projector::Stop;
use crate::projector::surroundings::{Events, Place, View};
use crate::read_model::Change;
use crate::simulation::{Luck, broken, lock};

pub(super) const NAME: &str = "simulated";
/// Longest time for one way of a message.
const WAY_MAX_MS: u64 = 40;
/// The type of events that can be read.
pub(super) const READABLE: &str = "agent.signed_out";

/// What the simulated server does that no server may do, so that the checks can be seen to notice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Planted {
    Nothing,
    /// The checkpoint moves at times without the rows.
    LosesRows,
    /// Rows stay at times although the transaction was rolled back.
    KeepsRows,
    /// The checkpoint is moved wherever it was.
    IgnoresCheckpoint,
    /// What is parked is not there when it is asked for.
    ForgetsParked,
    /// Not the server, but a projector that does not finish what it has in hand when it is asked to end.
    EndsAtOnce,
}

#[derive(Default)]
pub(super) struct State {
    pub(super) log: Vec<Arc<Recorded>>,
    pub(super) position: Position,
    generation: i64,
    /// What was folded, in order, of each key.
    pub(super) rows: HashMap<Uuid, Vec<Position>>,
    pub(super) parked: BTreeMap<Position, Uuid>,
    /// Events that the view's table refuses until it is mended.
    pub(super) poison: HashSet<Position>,
    pub(super) faults: Vec<String>,
}

/// The server. Cheap to clone.
#[derive(Clone)]
pub(super) struct Database {
    state: Arc<Mutex<State>>,
    luck: Luck,
    pub(super) head: watch::Sender<Position>,
    planted: Planted,
    /// Whether whoever uses this handle has left in the middle of a transaction.
    cut_off: Arc<AtomicBool>,
}

/// A transaction under way: its asker is expected to wait for what becomes of it.
struct UnderWay(Option<Arc<AtomicBool>>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        if let Some(cut_off) = &self.0 {
            cut_off.store(true, Ordering::Relaxed);
        }
    }
}

impl Database {
    pub(super) fn new(seed: u64, harm: u32, planted: Planted) -> Self {
        let (luck, head) = (Luck::new(seed, harm), watch::Sender::new(0));
        Self { state: Arc::default(), luck, head, planted, cut_off: Arc::default() }
    }

    /// The same server for one more projector.
    pub(super) fn of_one_more(&self) -> Self {
        Self { cut_off: Arc::default(), ..self.clone() }
    }

    /// Whether the projector has left a transaction before it knew what became of it.
    pub(super) fn was_cut_off(&self) -> bool {
        self.cut_off.load(Ordering::Relaxed)
    }

    pub(super) fn heal(&self) {
        self.luck.heal();
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    async fn way(&self) -> Result<(), sqlx::Error> {
        tokio::time::sleep(self.luck.within(WAY_MAX_MS)).await;
        if self.luck.harmed() { Err(broken()) } else { Ok(()) }
    }

    pub(super) fn append(&self, event: Recorded) {
        let position = event.position;
        self.state().log.push(Arc::new(event));
        self.head.send_replace(position);
    }

    /// As `retry_parked` does once a fault is mended: the key's events, in order, until one can't be folded.
    pub(super) fn mend(&self) {
        let mut state = self.state();
        let Some((_, key)) = state.parked.first_key_value().map(|(at, key)| (*at, *key)) else { return };
        let positions: Vec<Position> = state.parked.iter().filter(|(_, of)| **of == key).map(|(at, _)| *at).collect();
        for position in positions {
            state.poison.remove(&position);
            if !is_decodable(&state.log, position) {
                break;
            }
            state.parked.remove(&position);
            state.rows.entry(key).or_default().push(position);
        }
        state.generation += 1;
    }

    /// One transaction, whose effect is there at once or not at all.
    fn apply(&self, position: Position, generation: i64, batch: &Sent) -> Result<Option<Vec<Change>>, Failure> {
        let mut state = self.state();
        let left = (state.position, state.generation) == (position, generation);
        if !left && self.planted != Planted::IgnoresCheckpoint {
            return Ok(None);
        }
        if batch.decoded.iter().any(|(at, _)| state.poison.contains(at)) {
            return Err(Failure::Poison("refused by the table".to_owned()));
        }
        state.inspect(position, batch);
        let (loses, keeps) = (self.planted == Planted::LosesRows, self.planted == Planted::KeepsRows);
        if !(loses && self.luck.chance(5)) {
            for (at, key) in &batch.decoded {
                state.rows.entry(*key).or_default().push(*at);
            }
        }
        if keeps && self.luck.chance(5) {
            return Err(Failure::Machinery(broken()));
        }
        state.parked.extend(batch.parked.iter().copied());
        state.position = batch.upto;
        Ok(Some(batch.decoded.iter().map(|(position, key)| Change { position: *position, key: *key }).collect()))
    }
}

fn is_decodable(log: &[Arc<Recorded>], position: Position) -> bool {
    usize::try_from(position - 1).ok().and_then(|at| log.get(at)).is_some_and(|event| event.event_type == READABLE)
}

/// What is sent of a batch.
struct Sent {
    upto: Position,
    decoded: Vec<(Position, Uuid)>,
    parked: Vec<(Position, Uuid)>,
}

impl State {
    /// Every event once, folded or parked; a key is parked for a reason, and then nothing of it is folded.
    fn inspect(&mut self, position: Position, batch: &Sent) {
        let mut sent: Vec<Position> = batch.decoded.iter().chain(&batch.parked).map(|(at, _)| *at).collect();
        sent.sort_unstable();
        if sent != (position + 1..=batch.upto).collect::<Vec<_>>() || sent.is_empty() {
            self.faults.push(format!("{sent:?} is committed after {position}, up to {}", batch.upto));
        }
        let mut parked: HashSet<Uuid> = self.parked.values().copied().collect();
        for at in sent {
            if let Some((_, key)) = batch.decoded.iter().find(|(decoded, _)| *decoded == at) {
                if parked.contains(key) {
                    self.faults.push(format!("{at} overtakes what is parked of its key"));
                }
            } else if let Some((_, key)) = batch.parked.iter().find(|(parked, _)| *parked == at) {
                let reason = parked.contains(key) || self.poison.contains(&at) || !is_decodable(&self.log, at);
                if !reason {
                    self.faults.push(format!("{at} is parked without a reason"));
                }
                parked.insert(*key);
            }
        }
    }
}

#[async_trait]
impl Events for Database {
    fn watch(&self) -> watch::Receiver<Position> {
        self.head.subscribe()
    }

    async fn read(&self, after: Position, limit: usize) -> Result<Vec<Arc<Followed>>, LogError> {
        self.way().await?;
        let after = usize::try_from(after).unwrap_or(0);
        let state = self.state();
        let events = state.log.iter().skip(after).take(limit).cloned();
        Ok(events.map(|event| Arc::new(Followed::new(event))).collect())
    }
}

#[async_trait]
impl View for Database {
    fn name(&self) -> &'static str {
        NAME
    }

    async fn prepare(&self) -> Result<(), Stop> {
        Ok(self.way().await?)
    }

    async fn load(&self) -> Result<Place, Stop> {
        self.way().await?;
        let (position, generation, mut parked_keys) = {
            let state = self.state();
            (state.position, state.generation, state.parked.values().copied().collect::<HashSet<_>>())
        };
        if self.planted == Planted::ForgetsParked {
            parked_keys.clear();
        }
        self.way().await?;
        Ok(Place { position, generation, parked_keys })
    }

    async fn commit(&self, position: Position, generation: i64, batch: &Batch) -> Result<Option<Vec<Change>>, Failure> {
        let mut under_way = UnderWay(Some(Arc::clone(&self.cut_off)));
        let committed = self.transaction(position, generation, batch).await;
        under_way.0 = None;
        committed
    }

    fn urgent(&self, events: &[Arc<Followed>]) -> bool {
        // The view holds something of all of them; at times it is asked twice.
        events.len() > 1 || !self.luck.chance(50)
    }

    async fn prune(&self, _position: Position) {}
}

impl Database {
    async fn transaction(
        &self,
        position: Position,
        generation: i64,
        batch: &Batch,
    ) -> Result<Option<Vec<Change>>, Failure> {
        self.way().await.map_err(Failure::Machinery)?;
        let decoded = batch.decoded.iter().map(|event| (event.recorded.position, event.recorded.stream.id)).collect();
        let parked = batch.parked.iter().map(|parked| (parked.position, parked.key)).collect();
        let sent = Sent { upto: batch.upto, decoded, parked };
        // The server goes on whatever becomes of who has asked.
        let ((answer, answered), server) = (oneshot::channel(), self.clone());
        tokio::spawn(async move {
            let lost = server.way().await.is_err();
            if !lost {
                let _heard = answer.send(server.apply(position, generation, &sent));
            }
        });
        let done = answered.await.map_err(|_| Failure::Machinery(broken()))?;
        self.way().await.map_err(Failure::Machinery)?;
        done
    }
}
