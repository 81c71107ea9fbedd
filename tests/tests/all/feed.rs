//! Invariants 2 and 5, the reader's side: one dense sequence, whoever is slow, whatever Kafka does.

use std::sync::Arc;

use commands::event_store::{EventStore, Expected};
use commands::relay::{self, RelayConfig};
use domain::{Position, Recorded};
use projections::feed::{READ_EVENTS_MAX, RING_EVENTS_MAX};
use projections::log::LogError;
use projections::{KafkaSource, Source, Tail, log};
use rdkafka::producer::FutureRecord;
use sqlx::Connection;
use tests::TestDatabase;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use crate::event_store;
use crate::topic::Topic;
use crate::view::{Counts, PATIENCE, Process, append, append_on, assert_folded, until};

/// Follows a tail up to a position as a consumer does; the events must be dense.
async fn follow(tail: &Tail, after: Position, upto: Position) -> Vec<Arc<Recorded>> {
    let mut events: Vec<Arc<Recorded>> = Vec::new();
    let following = async {
        let mut position = after;
        while position < upto {
            tail.wait_past(position).await;
            for event in tail.read(position, 777).await.unwrap() {
                position += 1;
                assert_eq!(event.position, position, "the feed has a gap");
                events.push(event);
            }
            assert!(tail.head() >= position);
        }
    };
    tokio::time::timeout(PATIENCE, following).await.expect("the feed did not get there in time");
    events
}

fn as_json(events: &[Arc<Recorded>]) -> Vec<String> {
    events.iter().map(|event| serde_json::to_string(event.as_ref()).unwrap()).collect()
}

/// What this process commits is handed over, and what another one commits is read: one sequence, the same as in the table.
#[tokio::test]
async fn what_is_handed_over_and_what_is_read_are_one_sequence() {
    const APPENDS: i64 = 400;
    let database = TestDatabase::new().await;
    let (tracker, shutdown) = (TaskTracker::new(), CancellationToken::new());
    let pool = database.pool.clone();
    let here = EventStore::start(pool.clone(), &tracker, shutdown.clone()).await.unwrap();
    let there = EventStore::start(pool.clone(), &tracker, shutdown.clone()).await.unwrap();
    let source = Source::Table { committed: Some(here.committed()) };
    let tail = Tail::start(pool.clone(), source, &tracker, shutdown.clone()).await.unwrap();
    let appends = (0..APPENDS).map(|n| {
        // In runs, so that batches of both come between each other.
        let store = if n / 80 % 2 == 0 { &here } else { &there };
        store.append(event_store::append(&format!("k{n}"), event_store::stream(), Expected::Exact(0), 1))
    });
    let (given, followed) = tokio::join!(futures_util::future::join_all(appends), follow(&tail, 0, APPENDS));
    assert!(given.iter().all(Result::is_ok), "{given:?}");
    let stored = log::read_after(&pool, 0, 1_000).await.unwrap();
    assert_eq!(as_json(&followed), as_json(&stored.into_iter().map(Arc::new).collect::<Vec<_>>()));
    shutdown.cancel();
}

#[tokio::test]
async fn nothing_is_skipped_when_a_writer_commits_late() {
    let database = TestDatabase::new().await;
    let process = Process::start(&database).await;
    let mut slow = database.pool.acquire().await.unwrap();
    let mut transaction = slow.begin().await.unwrap();
    assert_eq!(append_on(&mut transaction, Uuid::now_v7(), &["first", "first"]).await, 2);
    let late = {
        let pool = database.pool.clone();
        tokio::spawn(async move { append(&pool, Uuid::now_v7(), &["second"]).await })
    };
    until("the second writer waits for the first", || async {
        sqlx::query_scalar(
            "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock')",
        )
        .fetch_one(&database.pool)
        .await
        .unwrap()
    })
    .await;
    // Neither is to be seen, by no way of reading, and the head does not run ahead of what can be read.
    assert_eq!(log::head(&database.pool).await.unwrap(), 0);
    assert!(log::read_after(&database.pool, 0, 10).await.unwrap().is_empty());
    assert_eq!((process.tail.head(), late.is_finished()), (0, false));
    transaction.commit().await.unwrap();
    assert_eq!(late.await.unwrap(), 3);
    let queues: Vec<String> =
        follow(&process.tail, 0, 3).await.iter().map(|event| event.payload.get().to_owned()).collect();
    assert!(queues[0].contains("first") && queues[1].contains("first") && queues[2].contains("second"));
    process.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn head_and_rows_never_disagree_under_many_writers_of_different_speed() {
    let database = TestDatabase::new().await;
    let process = Process::start(&database).await;
    let writers: Vec<_> = (0..8)
        .map(|n| {
            let pool = database.pool.clone();
            tokio::spawn(async move {
                let mut connection = pool.acquire().await.unwrap();
                for _ in 0..25 {
                    let mut transaction = connection.begin().await.unwrap();
                    append_on(&mut transaction, Uuid::now_v7(), &["sales"; 3]).await;
                    // The counter is held meanwhile, as by a writer whose flush to disk is slow.
                    let pause = sqlx::query("SELECT pg_sleep($1)").bind(f64::from(n) / 2_000.0);
                    pause.execute(&mut *transaction).await.unwrap();
                    transaction.commit().await.unwrap();
                }
            })
        })
        .collect();
    // A head that was seen is a promise: everything up to it can be read.
    let mut head = 0;
    while head < 600 {
        head = log::head(&database.pool).await.unwrap();
        let events = log::read_after(&database.pool, 0, 1_000).await.unwrap();
        assert!(events.len() >= usize::try_from(head).unwrap(), "head {head}, but {} events", events.len());
    }
    for writer in writers {
        writer.await.unwrap();
    }
    assert_eq!(follow(&process.tail, 0, 600).await.len(), 600);
    process.stop().await;
}

#[tokio::test]
async fn memory_and_table_join_without_a_seam() {
    let database = TestDatabase::new().await;
    let process = Process::start(&database).await;
    let mut position = 0;
    while position < Position::try_from(RING_EVENTS_MAX).unwrap() + 3_000 {
        position = append(&database.pool, Uuid::now_v7(), &["sales"; 1_000]).await;
    }
    process.tail.wait_past(position - 1).await;
    let ring_begins = position - Position::try_from(RING_EVENTS_MAX).unwrap();
    for after in [0, 1, ring_begins - 2, ring_begins - 1, ring_begins, ring_begins + 1, position - 1] {
        let read = process.tail.read(after, 5).await.unwrap();
        let expected = log::read_after(&database.pool, after, 5).await.unwrap().into_iter().map(Arc::new);
        assert_eq!(as_json(&read), as_json(&expected.collect::<Vec<_>>()), "after {after}");
    }
    assert!(process.tail.read(position, 5).await.unwrap().is_empty());
    assert_eq!(process.tail.read(0, usize::MAX).await.unwrap().len(), READ_EVENTS_MAX);
    assert_eq!(follow(&process.tail, 0, position).await.len(), usize::try_from(position).unwrap());
    process.stop().await;
}

#[tokio::test]
async fn the_history_of_an_identity_is_in_the_order_of_the_log() {
    let database = TestDatabase::new().await;
    let (one, other) = (Uuid::now_v7(), Uuid::now_v7());
    for stream in [one, other, one, other, one] {
        append(&database.pool, stream, &["sales"]).await;
    }
    let positions = |events: Vec<Recorded>| events.iter().map(|event| event.position).collect::<Vec<_>>();
    let history = |after, limit| log::of_stream_id(&database.pool, one, after, limit);
    assert_eq!(positions(history(0, 10).await.unwrap()), [1, 3, 5]);
    assert_eq!(positions(history(1, 1).await.unwrap()), [3]);
}

#[tokio::test]
async fn a_log_that_was_damaged_is_an_alarm_and_not_stepped_over() {
    let database = TestDatabase::new().await;
    append(&database.pool, Uuid::now_v7(), &["sales"; 4]).await;
    // As a superuser who switches the log's protection off.
    sqlx::raw_sql(
        "SET session_replication_role TO replica;
         DELETE FROM events WHERE position = 2;
         UPDATE events SET category = 'martian' WHERE position = 4",
    )
    .execute(&mut database.pool.acquire().await.unwrap().detach())
    .await
    .unwrap();
    let hole = log::read_after(&database.pool, 0, 10).await.unwrap_err();
    assert!(matches!(hole, LogError::Hole { expected: 2, found: 3 }), "{hole:?}");
    let stranger = log::read_after(&database.pool, 2, 10).await.unwrap_err();
    assert!(matches!(stranger, LogError::Contradiction { position: 4, .. }), "{stranger:?}");
    // Who follows the log stays before the damage.
    let process = Process::start(&database).await;
    assert_eq!(process.tail.read(0, 1).await.unwrap().len(), 1);
    assert!(process.tail.read(1, 1).await.is_err());
    process.stop().await;
}

/// Appends so many events; they are not on Kafka yet.
async fn appended(database: &TestDatabase, count: usize) -> Vec<Recorded> {
    let before = log::head(&database.pool).await.unwrap();
    append(&database.pool, Uuid::now_v7(), &vec!["sales"; count]).await;
    log::read_after(&database.pool, before, count).await.unwrap()
}

#[tokio::test]
async fn both_feeds_give_the_same_sequence_and_the_same_view() {
    let database = TestDatabase::new().await;
    append(&database.pool, Uuid::now_v7(), &["sales"; 50]).await;
    let source = Topic::new(&database, 5).await.source;
    let config = RelayConfig { brokers: source.brokers.clone(), topic: source.topic.clone() };
    let shutdown = CancellationToken::new();
    let relaying = tokio::spawn(relay::run(database.pool.clone(), config, None, shutdown.clone()));
    until("the relay is there", || async { relay::position(&database.pool, &source.topic).await.unwrap() == 50 }).await;

    let by_table = Process::start(&database).await;
    let by_kafka = Process::fed_by(&database, Source::Kafka(source.clone())).await;
    until("Kafka is followed", || async { !by_kafka.tail.stats().stalled }).await;
    by_kafka.project(Counts::new());
    let mut position = 0;
    for _ in 0..100 {
        position = append(&database.pool, Uuid::now_v7(), &["sales"; 10]).await;
    }
    let (from_table, from_kafka) =
        (follow(&by_table.tail, 0, position).await, follow(&by_kafka.tail, 0, position).await);
    assert_eq!(as_json(&from_table), as_json(&from_kafka));
    by_kafka.projected(position).await;
    assert_eq!(assert_folded(&database).await, position);
    let stats = by_kafka.tail.stats();
    assert_eq!((stats.holes, stats.refused, stats.stalled), (0, 0, false), "{stats:?}");
    shutdown.cancel();
    relaying.await.unwrap();
    by_table.stop().await;
    by_kafka.stop().await;
}

#[tokio::test]
async fn records_that_come_again_or_in_another_order_change_nothing() {
    let database = TestDatabase::new().await;
    let mut topic = Topic::new(&database, 2).await;
    let process = topic.followed(&database).await;
    let events = appended(&database, 9).await;
    // Partition 1 first, although partition 0 has what comes first in the log.
    for (partition, index) in [(1, 1), (1, 2), (0, 0), (0, 3)] {
        topic.send(partition, &events[index]).await;
    }
    follow(&process.tail, 0, 4).await;
    assert_eq!(process.tail.stats().filled, 0, "nothing was missing");

    // A relay that begins anew at its checkpoint sends a window again.
    topic.previous.insert(0, 1);
    for index in [3, 4, 5] {
        topic.send(0, &events[index]).await;
    }
    // And one that has lost its lease pushes in an old record, and two in the wrong order.
    let source = format!("voice/{}", topic.epoch);
    topic.send_as(0, &events[0], 0, &source, 1).await;
    topic.send_as(0, &events[7], 7, &source, 8).await;
    topic.send_as(0, &events[6], 6, &source, 7).await;
    topic.send_as(0, &events[8], 8, &source, 9).await;
    assert_eq!(follow(&process.tail, 0, 9).await.len(), 9);
    until("the repeated ones have come", || async { process.tail.stats().duplicates >= 3 }).await;
    assert_eq!(process.tail.stats().holes, 1);
    process.stop().await;
}

#[tokio::test]
async fn records_that_are_missing_come_from_the_table() {
    let database = TestDatabase::new().await;
    let mut topic = Topic::new(&database, 3).await;
    let process = topic.followed(&database).await;
    let events = appended(&database, 3).await;
    // Lost in the middle of a partition: the next record of the partition proves it.
    topic.send(0, &events[0]).await;
    topic.lose(0, &events[1]);
    topic.send(0, &events[2]).await;
    follow(&process.tail, 0, 3).await;
    assert_eq!((process.tail.stats().holes, process.tail.stats().filled), (1, 1));
    // Lost at the end of a partition: nothing proves it, only time.
    let events = appended(&database, 2).await;
    topic.lose(1, &events[0]);
    topic.send(2, &events[1]).await;
    follow(&process.tail, 3, 5).await;
    assert_eq!((process.tail.stats().holes, process.tail.stats().filled), (1, 2));
    // Lost altogether, with everything after: only the log tells.
    let events = appended(&database, 3).await;
    follow(&process.tail, 5, 8).await;
    assert_eq!((process.tail.stats().filled, process.tail.stats().stalled), (5, true));
    // Kafka comes back: what is late is dropped, what is new is taken from it again.
    for event in &events {
        topic.send(1, event).await;
    }
    until("the late ones have come", || async { process.tail.stats().duplicates == 3 }).await;
    until("Kafka is faster than the table", async || {
        let event = appended(&database, 1).await.remove(0);
        topic.send(1, &event).await;
        follow(&process.tail, event.position - 1, event.position).await;
        !process.tail.stats().stalled
    })
    .await;
    process.stop().await;
}

#[tokio::test]
async fn records_of_another_log_and_damaged_ones_are_ignored() {
    let database = TestDatabase::new().await;
    let mut topic = Topic::new(&database, 1).await;
    let process = topic.followed(&database).await;
    let events = appended(&database, 3).await;
    let foreign = format!("voice/{}", Uuid::new_v4());
    let mut forged = events[0].clone();
    forged.event_type = "call.ended".to_owned();
    topic.send_as(0, &forged, 0, &foreign, 1).await;
    topic.send_as(0, &forged, 0, &foreign, 2_000).await;
    topic.producer.send(FutureRecord::<str, str>::to(&topic.source.topic).payload("?"), PATIENCE).await.unwrap();
    for event in &events {
        topic.send(0, event).await;
    }
    let read = follow(&process.tail, 0, 3).await;
    assert_eq!(as_json(&read), as_json(&events.into_iter().map(Arc::new).collect::<Vec<_>>()));
    assert_eq!((process.tail.stats().refused, process.tail.stats().filled), (3, 0));
    process.stop().await;
}

#[tokio::test]
async fn a_kafka_that_is_away_costs_time_only() {
    let database = TestDatabase::new().await;
    let source = KafkaSource { brokers: "127.0.0.1:1".to_owned(), topic: "nowhere".to_owned() };
    let process = Process::fed_by(&database, Source::Kafka(source)).await;
    process.project(Counts::new());
    let position = append(&database.pool, Uuid::now_v7(), &["sales"; 1_500]).await;
    process.projected(position).await;
    assert!(process.tail.stats().stalled);
    process.stop().await;
    assert_eq!(assert_folded(&database).await, position);
}
