//! Two relays on a simulated PostgreSQL and a simulated Kafka: they are killed, frozen past their lease and thawed, lose
//! the database or the broker, and are told to publish again. Every seed is another history, and the same one each time.
//!
//! `VOICE_SIMULATION_SEED=17 cargo test -p commands relay::simulation` runs one seed again.

mod cluster;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use chrono::DateTime;
use domain::{Actor, Category, Position, Recorded, StreamName};
use serde_json::value::RawValue;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::RelayError;
use super::candidate::{Candidate, stand};
use super::leader::{Bounds, Leader};
use crate::simulation::{OUTSIDE, Process, World, first_fault, for_each_seed};
use cluster::{Cluster, Plant, Producer, Woken, slot_of};

const RELAYS: u64 = 2;
const STREAMS: u128 = 6;
const EVENTS: Position = 40;
const BOUNDS: Bounds = Bounds { in_flight: 12, read: 4 };
/// How long a process is frozen, at most.
const FROZEN_MAX_MS: u64 = 12_000;
/// Whoever is asked to end has what it sent to drain, even if it is frozen meanwhile.
const ENDS_WITHIN: Duration = Duration::from_millis(FROZEN_MAX_MS + 8_000);
/// After the last fault, a lease runs out, a producer is given up, and all is published.
const CAUGHT_UP_WITHIN: Duration = Duration::from_secs(60);

/// A relay's process.
struct Relay {
    cluster: Cluster,
    process: Process,
}

impl Candidate for Relay {
    type Lease = i64;

    async fn acquire(&self) -> Result<Option<i64>, RelayError> {
        self.cluster.acquire(self.process).await
    }

    async fn lead(&self, epoch: &i64, shutdown: &CancellationToken) -> Result<(), RelayError> {
        let checkpoint = self.cluster.take_over(*epoch).await?;
        let producer = Producer::new(self.cluster.clone(), self.process, *epoch);
        let mut woken = Woken(self.cluster.head.subscribe(), self.cluster.world.clone());
        Leader::new(producer, self.cluster.world.clone(), BOUNDS, checkpoint).run(&mut woken, shutdown).await
    }

    async fn release(&self, epoch: i64) -> Result<(), RelayError> {
        self.cluster.release(self.process, epoch).await
    }
}

/// One that runs, and how to end it.
struct Running {
    process: Process,
    shutdown: CancellationToken,
    /// It has ended by itself.
    ended: Arc<AtomicBool>,
}

impl Running {
    fn start(cluster: &Cluster, process: Process) -> Self {
        let (shutdown, ended) = (CancellationToken::new(), Arc::<AtomicBool>::default());
        let running = Self { process, shutdown: shutdown.clone(), ended: Arc::clone(&ended) };
        let relay = Relay { cluster: cluster.clone(), process };
        cluster.world.spawn(process, async move {
            stand(&relay, relay.cluster.world.clone(), &shutdown).await;
            ended.store(true, Ordering::Relaxed);
        });
        running
    }

    /// Asks it to end, and says when it has not within its time.
    fn end(&self, cluster: &Cluster) {
        self.shutdown.cancel();
        let (cluster, ended) = (cluster.clone(), Arc::clone(&self.ended));
        let world = cluster.world.clone();
        world.spawn(OUTSIDE, async move {
            cluster.world.sleep(ENDS_WITHIN).await;
            if !ended.load(Ordering::Relaxed) {
                cluster.tables().broken = Some("a relay that was asked to end goes on".to_owned());
            }
        });
    }
}

pub(super) fn event(position: Position, stream: u128) -> Recorded {
    Recorded {
        id: Uuid::nil(),
        position,
        stream: StreamName { category: Category::Call, id: Uuid::from_u128(stream) },
        version: 1,
        event_type: "call.queued".to_owned(),
        schema_version: 1,
        occurred_at: DateTime::UNIX_EPOCH,
        recorded_at: DateTime::UNIX_EPOCH,
        actor: Actor::system("simulation"),
        correlation_id: Uuid::nil(),
        causation_id: None,
        trace: None,
        payload: RawValue::NULL.to_owned(),
    }
}

async fn appends(cluster: Cluster) {
    for position in 1..=EVENTS {
        if cluster.world.one_in(3) {
            cluster.world.sleep(Duration::from_millis(cluster.world.below(1_000))).await;
        }
        let stream = u128::from(cluster.world.below(u64::try_from(STREAMS).unwrap_or(1)));
        cluster.append(event(position, stream));
    }
}

/// One relay at a time is killed, frozen or ended, or loses what it depends on.
async fn chaos(cluster: Cluster) {
    let world = cluster.world.clone();
    let start = |process| Running::start(&cluster, process);
    let mut relays: Vec<_> = (1..=RELAYS).map(start).collect();
    let faults = if cluster.tables().faulty { 2 + world.below(8) } else { 0 };
    for fault in 0..faults {
        world.sleep(Duration::from_millis(world.below(4_000))).await;
        let at = usize::try_from(world.below(RELAYS)).unwrap_or(0);
        match world.below(6) {
            0 => {
                world.kill(relays[at].process);
                relays[at] = start(10 + fault);
            }
            1 => world.freeze(relays[at].process, Duration::from_millis(world.below(FROZEN_MAX_MS))),
            2 => {
                relays[at].end(&cluster);
                relays[at] = start(10 + fault);
            }
            3 => cluster.tables().broker_away_until = world.elapsed() + Duration::from_millis(world.below(30_000)),
            4 => cluster.tables().database_away_until = world.elapsed() + Duration::from_millis(world.below(8_000)),
            _ => cluster.publish_again(),
        }
    }
    cluster.heal();
    // Those who are there now go on; whoever was asked to end has had time to.
    world.sleep(ENDS_WITHIN).await;
}

async fn live(cluster: Cluster) -> Result<(), String> {
    let world = cluster.world.clone();
    world.spawn(OUTSIDE, appends(cluster.clone()));
    chaos(cluster.clone()).await;
    let begin = world.elapsed();
    while cluster.checkpoint() < EVENTS {
        if let Some(broken) = cluster.tables().broken.take() {
            return Err(broken);
        }
        if world.elapsed() - begin > CAUGHT_UP_WITHIN {
            return Err(format!("published up to {} of {EVENTS} only", cluster.checkpoint()));
        }
        world.sleep(Duration::from_millis(100)).await;
    }
    let tables = cluster.tables();
    let lost = tables.log.iter().find(|event| tables.seen[slot_of(event)] < event.position);
    match (&tables.broken, lost) {
        (Some(broken), _) => Err(broken.clone()),
        (None, Some(lost)) => Err(format!("{} was never published", lost.position)),
        (None, None) => Ok(()),
    }
}

fn simulate(seed: u64, plant: Plant) -> Result<(), String> {
    let world = World::new(seed);
    world.block_on(live(Cluster::new(world.clone(), plant)))
}

#[test]
fn the_topic_is_the_log_and_the_checkpoint_is_never_beyond_it() {
    for_each_seed(|seed| simulate(seed, Plant::Nothing));
}

#[test]
fn planted_faults_are_seen() {
    for (plant, said) in [
        (Plant::AcknowledgesBeforeDurable, "is not published"),
        (Plant::StoresWithoutEpoch, "epoch"),
        (Plant::ForgetsPrevious, "predecessor"),
        (Plant::SkipsEvents, "predecessor"),
    ] {
        let seen = first_fault(|seed| simulate(seed, plant));
        assert!(seen.as_ref().is_some_and(|(_, fault)| fault.contains(said)), "{plant:?}: {seen:?}");
    }
}
