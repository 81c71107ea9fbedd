//! PostgreSQL and Kafka that are not there. The topic is looked at whenever something is written to it, the checkpoint
//! whenever it moves.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use domain::{Position, Recorded};
use tokio::sync::{Notify, oneshot, watch};

use crate::lease::LEASE_LASTS;
use crate::relay::RelayError;
use crate::relay::checkpoint::Checkpoint;
use crate::relay::partition::partition_of;
use crate::relay::surroundings::{Surroundings, Wake};
use crate::simulation::{Process, World};

pub(super) const PARTITIONS: usize = 3;
/// Records that a producer queues.
const QUEUE: usize = 6;

/// A fault that the simulation has to see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Plant {
    Nothing,
    /// A record counts as acknowledged once it is queued.
    AcknowledgesBeforeDurable,
    /// A leader of an old epoch can still write the checkpoint.
    StoresWithoutEpoch,
    /// A new leader does not know what was sent to each partition.
    ForgetsPrevious,
    /// Reading steps over an event at times.
    SkipsEvents,
}

/// Everything that outlives relays.
pub(super) struct Tables {
    pub(super) log: Vec<Recorded>,
    /// Position last published to each partition, after what came again is dropped.
    pub(super) seen: Vec<Position>,
    lease: (Process, i64, Duration),
    checkpoint: (Checkpoint, i64),
    pub(super) faulty: bool,
    pub(super) broker_away_until: Duration,
    pub(super) database_away_until: Duration,
    /// What was not as promised.
    pub(super) broken: Option<String>,
}

#[derive(Clone)]
pub(super) struct Cluster {
    pub(super) world: World,
    plant: Plant,
    tables: Arc<Mutex<Tables>>,
    pub(super) head: watch::Sender<Position>,
}

impl Cluster {
    pub(super) fn new(world: World, plant: Plant) -> Self {
        let tables = Tables {
            log: Vec::new(),
            seen: vec![0; PARTITIONS],
            lease: (0, 0, Duration::ZERO),
            checkpoint: (Checkpoint { position: 0, previous: vec![0; PARTITIONS] }, 0),
            faulty: !world.one_in(10),
            broker_away_until: Duration::ZERO,
            database_away_until: Duration::ZERO,
            broken: None,
        };
        Self { world, plant, tables: Arc::new(Mutex::new(tables)), head: watch::channel(0).0 }
    }

    pub(super) fn tables(&self) -> MutexGuard<'_, Tables> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on nothing breaks any more.
    pub(super) fn heal(&self) {
        let mut tables = self.tables();
        tables.faulty = false;
        (tables.broker_away_until, tables.database_away_until) = (Duration::ZERO, Duration::ZERO);
    }

    pub(super) fn append(&self, event: Recorded) {
        let position = event.position;
        self.tables().log.push(event);
        self.head.send_replace(position);
    }

    /// A round trip to PostgreSQL; what it does happens in the middle.
    async fn ask<T>(&self, statement: impl FnOnce(&mut Tables) -> T + Send) -> Result<T, RelayError> {
        self.world.lag().await;
        let done = {
            let mut tables = self.tables();
            let fails = tables.database_away_until > self.world.elapsed() || tables.faulty && self.world.one_in(150);
            if fails { None } else { Some(statement(&mut tables)) }
        };
        self.world.lag().await;
        match done {
            Some(done) if !(self.tables().faulty && self.world.one_in(150)) => Ok(done),
            // Not done, or done without an answer.
            _ => Err(sqlx::Error::PoolTimedOut.into()),
        }
    }

    /// Takes the lease if it is free or has run out.
    pub(super) async fn acquire(&self, holder: Process) -> Result<Option<i64>, RelayError> {
        let now = self.world.clone();
        self.ask(|tables| {
            let (_, epoch, until) = tables.lease;
            (until <= now.elapsed()).then(|| {
                tables.lease = (holder, epoch + 1, now.elapsed() + LEASE_LASTS);
                epoch + 1
            })
        })
        .await
    }

    pub(super) async fn release(&self, holder: Process, epoch: i64) -> Result<(), RelayError> {
        let release = |tables: &mut Tables| {
            if (tables.lease.0, tables.lease.1) == (holder, epoch) {
                tables.lease.2 = Duration::ZERO;
            }
        };
        self.ask(release).await
    }

    pub(super) async fn take_over(&self, epoch: i64) -> Result<Checkpoint, RelayError> {
        let forgets = self.plant == Plant::ForgetsPrevious;
        self.ask(|tables| {
            tables.checkpoint.1 = tables.checkpoint.1.max(epoch);
            let mut checkpoint = tables.checkpoint.0.clone();
            if forgets {
                checkpoint.previous.fill(0);
            }
            checkpoint
        })
        .await
    }

    /// As `voice relay --from` does: another epoch, and a checkpoint further back.
    pub(super) fn publish_again(&self) {
        let mut tables = self.tables();
        let from = self.world.below(u64::try_from(tables.checkpoint.0.position + 1).unwrap_or(1));
        let position = Position::try_from(from).unwrap_or(0);
        let previous = (0..PARTITIONS).map(|slot| predecessor(&tables.log, slot, position + 1)).collect();
        tables.lease.1 += 1;
        tables.lease.2 = Duration::ZERO;
        tables.checkpoint = (Checkpoint { position, previous }, tables.lease.1);
    }

    pub(super) fn checkpoint(&self) -> Position {
        self.tables().checkpoint.0.position
    }

    fn store(&self, tables: &mut Tables, progress: &Checkpoint, epoch: i64) -> bool {
        if tables.checkpoint.1 != epoch && self.plant != Plant::StoresWithoutEpoch {
            return false;
        }
        let before = tables.checkpoint.0.position;
        let missing = tables
            .log
            .iter()
            .take_while(|event| event.position <= progress.position)
            .find(|event| tables.seen[slot_of(event)] < event.position);
        let broken = if progress.position < before {
            Some(format!("the checkpoint moves back from {before} to {}", progress.position))
        } else if tables.checkpoint.1 != epoch {
            Some(format!("epoch {epoch} moves the checkpoint of epoch {}", tables.checkpoint.1))
        } else {
            missing
                .map(|event| format!("the checkpoint is at {}, {} is not published", progress.position, event.position))
        };
        tables.broken = tables.broken.take().or(broken);
        tables.checkpoint.0 = progress.clone();
        true
    }

    /// What every consumer of the topic sees.
    fn write(&self, record: &Record) {
        let mut tables = self.tables();
        let Record { position, slot, previous, .. } = *record;
        let predecessor = predecessor(&tables.log, slot, position);
        let seen = tables.seen[slot];
        let broken = if previous != predecessor {
            Some(format!("record {position} names {previous} as its predecessor, not {predecessor}"))
        } else if position > seen && previous != seen {
            Some(format!("record {position} follows {seen} in its partition, not {previous}"))
        } else {
            None
        };
        tables.broken = tables.broken.take().or(broken);
        tables.seen[slot] = seen.max(position);
    }
}

pub(super) fn slot_of(event: &Recorded) -> usize {
    let partitions = i32::try_from(PARTITIONS).unwrap_or(1);
    usize::try_from(partition_of(event.stream.id, partitions)).unwrap_or(0)
}

/// The event before a position in its partition; 0: none.
fn predecessor(log: &[Recorded], slot: usize, position: Position) -> Position {
    let before = log.iter().take_while(|event| event.position < position);
    before.filter(|event| slot_of(event) == slot).last().map_or(0, |event| event.position)
}

struct Record {
    position: Position,
    slot: usize,
    previous: Position,
    acknowledged: oneshot::Sender<()>,
}

/// A producer with a sender for each partition. Its threads live and rest with its process.
pub(super) struct Producer {
    cluster: Cluster,
    holder: Process,
    epoch: i64,
    queues: Arc<Queues>,
}

#[derive(Default)]
struct Queues {
    queued: Mutex<VecDeque<Record>>,
    filled: Notify,
    state: Mutex<Health>,
}

#[derive(Default, Clone, Copy, PartialEq, Eq)]
enum Health {
    #[default]
    Well,
    /// It does nothing any more, and says nothing about it.
    Hangs,
    /// Nothing is sent any more.
    Closed,
}

impl Queues {
    fn health(&self) -> Health {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn become_(&self, health: Health) {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) = health;
        self.filled.notify_waiters();
    }

    fn queued(&self) -> MutexGuard<'_, VecDeque<Record>> {
        self.queued.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next record of a partition, in order.
    async fn next(&self, slot: usize) -> Option<Record> {
        loop {
            let filled = self.filled.notified();
            match self.health() {
                Health::Closed => return None,
                Health::Hangs => {}
                Health::Well => {
                    let mut queued = self.queued();
                    let at = queued.iter().position(|record| record.slot == slot);
                    if let Some(record) = at.and_then(|at| queued.remove(at)) {
                        return Some(record);
                    }
                }
            }
            filled.await;
        }
    }
}

impl Producer {
    pub(super) fn new(cluster: Cluster, holder: Process, epoch: i64) -> Self {
        let queues = Arc::new(Queues::default());
        for slot in 0..PARTITIONS {
            cluster.world.spawn(holder, deliver(cluster.clone(), Arc::clone(&queues), slot));
        }
        Self { cluster, holder, epoch, queues }
    }
}

impl Drop for Producer {
    fn drop(&mut self) {
        self.queues.become_(Health::Closed);
        let purged = std::mem::take(&mut *self.queues.queued());
        drop(purged);
    }
}

async fn deliver(cluster: Cluster, queues: Arc<Queues>, slot: usize) {
    let world = cluster.world.clone();
    while let Some(record) = queues.next(slot).await {
        world.lag().await;
        let away = cluster.tables().broker_away_until.saturating_sub(world.elapsed());
        world.sleep(away).await;
        let faulty = cluster.tables().faulty;
        if faulty && world.one_in(150) {
            queues.become_(Health::Hangs);
        }
        // A failure is for good: an idempotent producer sends nothing after a record that it could not send.
        let fails = faulty && world.one_in(150);
        if !fails || world.one_in(2) {
            cluster.write(&record);
        }
        if fails {
            queues.become_(Health::Closed);
            drop(std::mem::take(&mut *queues.queued()));
            return;
        }
        world.lag().await;
        if queues.health() == Health::Well {
            // Nobody may be waiting for it any more.
            let _ = record.acknowledged.send(());
        } else {
            // Kept, so that it is neither acknowledged nor refused.
            world.sleep(Duration::from_secs(3_600)).await;
        }
    }
}

impl Surroundings for Producer {
    type Delivery = Pin<Box<dyn Future<Output = Result<(), RelayError>> + Send>>;

    async fn renew(&self) -> Result<bool, RelayError> {
        let (holder, epoch, world) = (self.holder, self.epoch, self.cluster.world.clone());
        self.cluster
            .ask(|tables| {
                let held = (tables.lease.0, tables.lease.1) == (holder, epoch);
                if held {
                    tables.lease.2 = world.elapsed() + LEASE_LASTS;
                }
                held
            })
            .await
    }

    async fn read(&self, after: Position, limit: usize) -> Result<Vec<Arc<Recorded>>, RelayError> {
        let after = usize::try_from(after).unwrap_or(0);
        let skips = self.cluster.plant == Plant::SkipsEvents && self.cluster.world.one_in(4);
        let read = |tables: &mut Tables| {
            tables.log.iter().skip(after + usize::from(skips)).take(limit).cloned().map(Arc::new).collect()
        };
        self.cluster.ask(read).await
    }

    fn produce(
        &self,
        event: &Recorded,
        partition: i32,
        previous: Position,
    ) -> Result<Option<Self::Delivery>, RelayError> {
        if self.queues.queued().len() >= QUEUE {
            return Ok(None);
        }
        let (acknowledged, delivered) = oneshot::channel();
        let slot = usize::try_from(partition).unwrap_or(0);
        let record = Record { position: event.position, slot, previous, acknowledged };
        if self.queues.health() == Health::Closed {
            return Err(RelayError::Dropped);
        }
        self.queues.queued().push_back(record);
        self.queues.filled.notify_waiters();
        if self.cluster.plant == Plant::AcknowledgesBeforeDurable {
            return Ok(Some(Box::pin(async { Ok(()) })));
        }
        Ok(Some(Box::pin(async { delivered.await.map_err(|_| RelayError::Dropped) })))
    }

    async fn store(&self, progress: &Checkpoint) -> Result<bool, RelayError> {
        self.cluster.ask(|tables| self.cluster.store(tables, progress, self.epoch)).await
    }

    async fn flush(&self) {
        let world = &self.cluster.world;
        let until = world.elapsed() + crate::relay::leader::DRAIN_WITHIN;
        while world.elapsed() < until && !self.queues.queued().is_empty() {
            world.sleep(Duration::from_millis(10)).await;
        }
    }
}

/// Appends of this process and notifications, which may not come.
pub(super) struct Woken(pub(super) watch::Receiver<Position>, pub(super) World);

impl Wake for Woken {
    async fn woken(&mut self, after: Position) -> Result<(), RelayError> {
        if self.1.one_in(4) {
            std::future::pending::<()>().await;
        }
        drop(self.0.wait_for(|head| *head > after).await);
        Ok(())
    }
}
