//! Invariant 5: what the relay promises to those who read the topic, on a real Apache Kafka.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use chrono::{DateTime, SecondsFormat, Utc};
use commands::EventStore;
use commands::event_store::{Append, Expected, NewEvent};
use commands::relay::{self, PARTITIONS, RelayConfig, partition_of};
use domain::{Actor, Category, Position, StreamName};
use projections::log;
use sqlx::{Postgres, Transaction};
use tests::TestDatabase;
use tests::kafka::{self, Broker, Reader, Record};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use crate::view::{append_on, until};

/// How long a relay may take to end.
const STOP_WITHIN: Duration = Duration::from_secs(30);

struct World {
    database: TestDatabase,
    store: EventStore,
    config: RelayConfig,
}

/// A relay that runs.
struct Running {
    task: JoinHandle<()>,
    stop: CancellationToken,
}

impl Running {
    async fn stop(self) {
        self.stop.cancel();
        tokio::time::timeout(STOP_WITHIN, self.task).await.expect("the relay does not end").unwrap();
    }

    /// As a process that is killed: nothing more is stored or given back.
    async fn kill(self) {
        self.task.abort();
        assert!(self.task.await.unwrap_err().is_cancelled());
    }
}

impl World {
    async fn new() -> Self {
        Self::on(kafka::brokers()).await
    }

    async fn on(brokers: String) -> Self {
        let database = TestDatabase::new().await;
        let (tracker, never) = (TaskTracker::new(), CancellationToken::new());
        let store = EventStore::start(database.pool.clone(), &tracker, never).await.unwrap();
        Self { database, store, config: RelayConfig { brokers, topic: kafka::topic() } }
    }

    fn relay(&self) -> Running {
        let stop = CancellationToken::new();
        let run = relay::run(self.database.pool.clone(), self.config.clone(), Some(self.store.clone()), stop.clone());
        Running { task: tokio::spawn(run), stop }
    }

    fn reader(&self) -> Reader {
        Reader::new(&self.config.brokers, &self.config.topic, PARTITIONS)
    }

    /// Appends to several streams at once; the log's head.
    async fn append(&self, streams: usize, each: i64) -> Position {
        let writers = (0..streams).map(|number| {
            let store = self.store.clone();
            tokio::spawn(async move {
                let category = if number % 3 == 0 { Category::Agent } else { Category::Call };
                let stream = StreamName { category, id: Uuid::now_v7() };
                for version in 0..each {
                    let expected = Expected::Exact(version);
                    let append =
                        Append { key: Uuid::now_v7().to_string(), stream, expected, events: vec![event(version)] };
                    store.append(append).await.unwrap();
                }
            })
        });
        for writer in futures_util::future::join_all(writers).await {
            writer.unwrap();
        }
        *self.store.head().borrow()
    }

    /// Appends to several streams in one transaction, so that a leader sees all of it or nothing; the log's head.
    async fn append_at_once(&self, streams: usize, each: usize) -> Position {
        let mut transaction = self.database.pool.begin().await.unwrap();
        let mut head = 0;
        for _ in 0..streams {
            head = append_on(&mut transaction, Uuid::now_v7(), &vec!["sales"; each]).await;
        }
        transaction.commit().await.unwrap();
        head
    }

    async fn checkpoint(&self) -> Position {
        relay::position(&self.database.pool, &self.config.topic).await.unwrap()
    }

    async fn published(&self, head: Position) {
        until("everything is published", async || self.checkpoint().await == head).await;
    }

    /// Nobody can store progress until the transaction ends.
    async fn lock_checkpoint(&self) -> Transaction<'static, Postgres> {
        let mut lock = self.database.pool.begin().await.unwrap();
        sqlx::query("SELECT FROM relay_checkpoints FOR UPDATE").execute(&mut *lock).await.unwrap();
        lock
    }

    async fn checkpoint_waits(&self) {
        until("progress waits to be stored", async || {
            let waiting = "SELECT count(*) FROM pg_stat_activity
                           WHERE datname = current_database() AND wait_event_type = 'Lock'";
            sqlx::query_scalar::<_, i64>(waiting).fetch_one(&self.database.pool).await.unwrap() > 0
        })
        .await;
    }

    async fn sql(&self, statement: &'static str) {
        sqlx::query(statement).execute(&self.database.pool).await.unwrap();
    }
}

fn event(version: i64) -> NewEvent {
    NewEvent {
        id: Uuid::now_v7(),
        event_type: "call.queued",
        schema_version: 1,
        occurred_at: Utc::now(),
        actor: Actor::Provider("test".to_owned()),
        correlation_id: Uuid::now_v7(),
        causation_id: (version % 2 == 0).then(Uuid::now_v7),
        trace: (version % 3 == 0).then(|| "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned()),
        payload: format!(r#"{{"queue": "sales",  "priority": {version}}}"#),
    }
}

/// A reader that drops what comes again and holds each record against the one before it in its partition.
#[derive(Default)]
struct Follower {
    seen: BTreeMap<i32, Position>,
    positions: BTreeSet<Position>,
}

impl Follower {
    /// Takes a record; `true`: it is new.
    fn take(&mut self, record: &Record) -> bool {
        let seen = self.seen.entry(record.partition).or_insert(0);
        if record.position() <= *seen {
            assert!(self.positions.contains(&record.position()), "{record:?} was passed over");
            return false;
        }
        assert_eq!(record.prev(), *seen, "a hole in the chain before {record:?}");
        *seen = record.position();
        assert!(self.positions.insert(record.position()), "{record:?} is in two partitions");
        true
    }

    /// Reads on until everything up to a position was there; the records.
    async fn follow(&mut self, reader: &Reader, head: Position) -> Vec<Record> {
        let mut records = Vec::new();
        while self.positions.len() < usize::try_from(head).unwrap() {
            let record = reader.next().await;
            self.take(&record);
            records.push(record);
        }
        assert_eq!(self.positions.iter().copied().collect::<Vec<_>>(), (1..=head).collect::<Vec<_>>());
        records
    }
}

/// Without the epoch, which tells who sent a record and is the only thing in which two copies differ.
fn same(record: &Record) -> Record {
    let mut record = record.clone();
    record.headers.remove("epoch");
    record
}

fn by_position(records: &[Record]) -> BTreeMap<Position, Record> {
    records.iter().map(|record| (record.position(), same(record))).collect()
}

#[tokio::test]
async fn every_event_comes_once_and_in_order_as_a_cloud_event() {
    let world = World::new().await;
    let relay = world.relay();
    let head = world.append(40, 25).await;
    let records = Follower::default().follow(&world.reader(), head).await;
    assert_eq!(records.len(), usize::try_from(head).unwrap(), "nothing happened, so nothing was sent again");

    let source = format!("voice/{}", log::epoch(&world.database.pool).await.unwrap());
    let time = |at: DateTime<Utc>| at.to_rfc3339_opts(SecondsFormat::Micros, true);
    let records: BTreeMap<Position, Record> = records.into_iter().map(|record| (record.position(), record)).collect();
    for event in log::read_after(&world.database.pool, 0, 5_000).await.unwrap() {
        let record = &records[&event.position];
        let mut expected = BTreeMap::from([
            ("ce_specversion", "1.0".to_owned()),
            ("ce_id", event.id.to_string()),
            ("ce_source", source.clone()),
            ("ce_type", event.event_type.clone()),
            ("ce_time", time(event.occurred_at)),
            ("ce_subject", event.stream.to_string()),
            ("ce_partitionkey", event.stream.id.to_string()),
            ("content-type", "application/json".to_owned()),
            ("position", event.position.to_string()),
            ("prev", record.prev().to_string()),
            ("epoch", "1".to_owned()),
            ("stream_version", event.version.to_string()),
            ("schema", event.schema_version.to_string()),
            ("recordedtime", time(event.recorded_at)),
            ("actor", event.actor.to_string()),
            ("correlationid", event.correlation_id.to_string()),
        ]);
        expected.extend(event.causation_id.map(|id| ("causationid", id.to_string())));
        expected.extend(event.trace.clone().map(|trace| ("traceparent", trace)));
        let headers = record.headers.iter().map(|(name, value)| (name.as_str(), value.clone()));
        assert_eq!(headers.collect::<BTreeMap<_, _>>(), expected);
        assert_eq!((&record.key, record.payload.as_str()), (&event.stream.id.to_string(), event.payload.get()));
        assert_eq!(record.partition, partition_of(event.stream.id, PARTITIONS));
    }
    relay.stop().await;
    assert_eq!(world.checkpoint().await, head, "a relay that ends in order leaves nothing to be sent again");
}

#[tokio::test]
async fn a_second_relay_stands_by_and_takes_over_from_one_that_ends() {
    let world = World::new().await;
    let (reader, mut follower) = (world.reader(), Follower::default());
    let first = world.relay();
    let head = world.append(10, 5).await;
    follower.follow(&reader, head).await;
    let second = world.relay();
    let head = world.append(10, 5).await;
    let records = follower.follow(&reader, head).await;
    assert!(records.iter().all(|record| record.epoch() == 1), "one leads and the other one waits");
    first.stop().await;
    let head = world.append(10, 5).await;
    let records = follower.follow(&reader, head).await;
    assert!(records.iter().all(|record| record.epoch() == 2), "nothing that is in the topic is sent again");
    second.stop().await;
}

#[tokio::test]
async fn a_second_relay_takes_over_from_one_that_was_killed_when_its_lease_has_run_out() {
    let world = World::new().await;
    let (reader, mut follower) = (world.reader(), Follower::default());
    let first = world.relay();
    let head = world.append(10, 5).await;
    follower.follow(&reader, head).await;
    first.kill().await;
    let second = world.relay();
    let head = world.append(10, 5).await;
    let records = follower.follow(&reader, head).await;
    assert!(records.iter().any(|record| record.epoch() == 2));
    second.stop().await;
}

/// As a leader that was frozen past its lease, and goes on without knowing.
#[tokio::test]
async fn a_leader_whose_lease_was_taken_away_can_not_move_the_checkpoint() {
    let world = World::new().await;
    let (reader, mut follower) = (world.reader(), Follower::default());
    let old = world.relay();
    let stored = world.append(10, 5).await;
    follower.follow(&reader, stored).await;
    world.published(stored).await;
    let mut lock = world.lock_checkpoint().await;
    let head = world.append_at_once(10, 5).await;
    let zombie = follower.follow(&reader, head).await;
    world.checkpoint_waits().await;
    sqlx::query(
        "WITH taken AS (UPDATE leases SET epoch = epoch + 1, holder = gen_random_uuid(),
                            expires_at = clock_timestamp() + interval '1 hour' RETURNING epoch)
         UPDATE relay_checkpoints SET epoch = taken.epoch FROM taken",
    )
    .execute(&mut *lock)
    .await
    .unwrap();
    // Now its statement runs, and may not store anything.
    lock.commit().await.unwrap();
    // The one who took over goes as well; the old leader, deposed, stands for the lease again.
    world.sql("UPDATE leases SET expires_at = '-infinity'").await;
    let again = reader.take(zombie.len()).await;
    assert!(zombie.iter().all(|record| record.epoch() == 1) && again.iter().all(|record| record.epoch() == 3));
    assert_eq!(by_position(&again), by_position(&zombie), "all that was not stored is sent again");
    assert!(again.iter().all(|record| !follower.take(record)), "a reader drops all of it");
    world.published(head).await;
    old.stop().await;
}

#[tokio::test]
async fn a_relay_killed_between_acknowledgement_and_checkpoint_is_followed_by_the_same_records() {
    let world = World::new().await;
    let (reader, mut follower) = (world.reader(), Follower::default());
    let first = world.relay();
    let stored = world.append(20, 3).await;
    follower.follow(&reader, stored).await;
    world.published(stored).await;

    let lock = world.lock_checkpoint().await;
    let head = world.append_at_once(20, 10).await;
    let sent = follower.follow(&reader, head).await;
    world.checkpoint_waits().await;
    first.kill().await;
    // Its machine goes too, and with it what it had asked for.
    world
        .sql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
             WHERE datname = current_database() AND wait_event_type = 'Lock'",
        )
        .await;
    lock.rollback().await.unwrap();
    assert_eq!(world.checkpoint().await, stored);

    world.sql("UPDATE leases SET expires_at = '-infinity'").await;
    let second = world.relay();
    let again = reader.take(sent.len()).await;
    assert_eq!(by_position(&again), by_position(&sent));
    assert!(again.iter().all(|record| !follower.take(record)), "a reader drops all of it");
    let head = world.append(5, 2).await;
    follower.follow(&reader, head).await;
    second.stop().await;
}

#[tokio::test]
async fn the_log_is_published_anew_by_command_and_is_the_same() {
    let world = World::new().await;
    let (reader, mut follower) = (world.reader(), Follower::default());
    let relay = world.relay();
    let head = world.append(30, 5).await;
    let sent = by_position(&follower.follow(&reader, head).await);
    world.published(head).await;

    // While one leads.
    relay::publish_from(&world.database.pool, &world.config, 1).await.unwrap();
    let again = reader.take(sent.len()).await;
    assert_eq!(by_position(&again), sent);
    assert!(again.iter().all(|record| !follower.take(record)));
    world.published(head).await;
    relay.stop().await;

    // While none does, and from the middle.
    let from = head / 2;
    relay::publish_from(&world.database.pool, &world.config, from).await.unwrap();
    let relay = world.relay();
    let again = reader.take(usize::try_from(head - from + 1).unwrap()).await;
    let mut half = sent;
    half.retain(|position, _| *position >= from);
    assert_eq!(by_position(&again), half);
    world.published(head).await;
    let head = world.append(5, 2).await;
    follower.follow(&reader, head).await;
    relay.stop().await;
}

#[tokio::test]
async fn a_topic_nobody_has_published_to_is_filled_from_the_first_event() {
    let world = World::new().await;
    let head = world.append(10, 5).await;
    // Before any relay has led, the command has nothing to take back.
    relay::publish_from(&world.database.pool, &world.config, 1).await.unwrap();
    let relay = world.relay();
    let records = Follower::default().follow(&world.reader(), head).await;
    assert_eq!(records.len(), usize::try_from(head).unwrap());
    relay.stop().await;
}

#[tokio::test]
async fn a_broker_that_goes_away_costs_nobody_anything_but_time() {
    let broker = Broker::start().await;
    let world = World::on(broker.brokers.clone()).await;
    let relay = world.relay();
    let head = world.append(10, 5).await;
    world.published(head).await;
    let stored = head;

    broker.stop().await;
    let head = world.append(20, 25).await;
    assert_eq!(world.checkpoint().await, stored, "what is not in Kafka is not said to be there");
    broker.back().await;
    Follower::default().follow(&world.reader(), head).await;
    world.published(head).await;

    // A relay that starts while there is no broker.
    relay.stop().await;
    broker.stop().await;
    let relay = world.relay();
    let head = world.append(10, 5).await;
    broker.back().await;
    Follower::default().follow(&world.reader(), head).await;
    world.published(head).await;
    relay.stop().await;
}
