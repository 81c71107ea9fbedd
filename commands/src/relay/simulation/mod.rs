//! Two relays on a simulated PostgreSQL and a simulated Kafka: they are killed, frozen past their lease and thawed, lose
//! the database or the broker, and are told to publish again. Every seed is another history, and the same one each time.
//!
//! `VOICE_SIMULATION_SEED=17 cargo test -p commands relay::simulation` runs one seed again.

mod cluster;

use std::time::Duration;

use chrono::DateTime;
use domain::{Actor, Category, Position, Recorded, StreamName};
use serde_json::value::RawValue;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::leader::{Bounds, Leader};
use super::{RelayError, TERM_PAUSE};
use crate::lease::LEASE_RENEWED_EVERY;
use crate::simulation::{OUTSIDE, Process, World, first_fault, for_each_seed};
use cluster::{Cluster, Plant, Producer, Woken, slot_of};

const RELAYS: u64 = 2;
const STREAMS: u128 = 6;
const EVENTS: Position = 40;
const BOUNDS: Bounds = Bounds { in_flight: 12, read: 4 };
/// After the last fault, a lease runs out, a producer is given up, and all is published.
const CAUGHT_UP_WITHIN: Duration = Duration::from_secs(60);

/// A relay as `relay::run` is one: stands for the lease, leads, and again.
async fn relay(cluster: Cluster, process: Process, shutdown: CancellationToken) {
    let world = cluster.world.clone();
    while !shutdown.is_cancelled() {
        let Ok(Some(epoch)) = cluster.acquire(process).await else {
            world.sleep(LEASE_RENEWED_EVERY).await;
            continue;
        };
        if term(&cluster, process, epoch, &shutdown).await.is_err() {
            world.sleep(TERM_PAUSE).await;
        }
        cluster.release(process, epoch).await;
    }
}

async fn term(cluster: &Cluster, process: Process, epoch: i64, shutdown: &CancellationToken) -> Result<(), RelayError> {
    let checkpoint = cluster.take_over(epoch).await?;
    let producer = Producer::new(cluster.clone(), process, epoch);
    let mut woken = Woken(cluster.head.subscribe(), cluster.world.clone());
    Leader::new(producer, cluster.world.clone(), BOUNDS, checkpoint).run(&mut woken, shutdown).await
}

fn event(position: Position, stream: u128) -> Recorded {
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
    let start = |process| {
        let shutdown = CancellationToken::new();
        world.spawn(process, relay(cluster.clone(), process, shutdown.clone()));
        (process, shutdown)
    };
    let mut relays: Vec<_> = (1..=RELAYS).map(start).collect();
    let faults = if cluster.tables().faulty { 2 + world.below(8) } else { 0 };
    for fault in 0..faults {
        world.sleep(Duration::from_millis(world.below(4_000))).await;
        let at = usize::try_from(world.below(RELAYS)).unwrap_or(0);
        match world.below(6) {
            0 => {
                world.kill(relays[at].0);
                relays[at] = start(10 + fault);
            }
            1 => world.freeze(relays[at].0, Duration::from_millis(world.below(12_000))),
            2 => {
                relays[at].1.cancel();
                relays[at] = start(10 + fault);
            }
            3 => cluster.tables().broker_away_until = world.elapsed() + Duration::from_millis(world.below(30_000)),
            4 => cluster.tables().database_away_until = world.elapsed() + Duration::from_millis(world.below(8_000)),
            _ => cluster.publish_again(),
        }
    }
    let mut tables = cluster.tables();
    tables.faulty = false;
    (tables.broker_away_until, tables.database_away_until) = (Duration::ZERO, Duration::ZERO);
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
