//! Invariants 1 to 4 and 9: what the log promises, on a real PostgreSQL.

mod places;

use std::collections::HashMap;

use commands::event_store::{Append, AppendError, EventStore, Expected, NewEvent};
use domain::{Actor, Category, Position, StreamName};
use sqlx::AssertSqlSafe;
use tests::TestDatabase;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use crate::view::until;

async fn store(database: &TestDatabase) -> EventStore {
    EventStore::start(database.pool.clone(), &TaskTracker::new(), CancellationToken::new()).await.unwrap()
}

pub(crate) fn stream() -> StreamName {
    StreamName { category: Category::Call, id: Uuid::now_v7() }
}

pub(crate) fn append(key: &str, stream: StreamName, expected: Expected, count: usize) -> Append {
    let event = || NewEvent {
        id: Uuid::now_v7(),
        event_type: "call.queued",
        schema_version: 1,
        occurred_at: chrono::Utc::now(),
        actor: Actor::system("test"),
        correlation_id: stream.id,
        causation_id: None,
        trace: None,
        payload: r#"{"queue": "sales",  "priority": 0}"#.to_owned(),
    };
    Append { key: key.to_owned(), stream, expected, events: (0..count).map(|_| event()).collect() }
}

/// `count(*) = max(position)`, versions dense in each stream, streams' heads right, and the order of one row a commit.
async fn assert_dense(database: &TestDatabase) -> Position {
    let (count, highest, counter): (i64, Position, Position) =
        sqlx::query_as("SELECT count(*), coalesce(max(position), 0), (SELECT position FROM event_log) FROM events")
            .fetch_one(&database.pool)
            .await
            .unwrap();
    assert_eq!((count, highest), (counter, counter), "positions have a hole");
    let wrong: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM (SELECT stream_id, category, count(*) AS n, max(version) AS v FROM events GROUP BY 1, 2) e
         FULL JOIN streams s USING (stream_id, category)
         WHERE coalesce(e.n, 0) <> s.version OR coalesce(e.v, 0) <> s.version",
    )
    .fetch_one(&database.pool)
    .await
    .unwrap();
    assert_eq!(wrong, 0, "a stream's version has a hole or its head is wrong");
    counter
}

#[tokio::test]
async fn keeps_payload_to_the_byte_and_counts_from_one() {
    let database = TestDatabase::new().await;
    let store = store(&database).await;
    let stream = stream();
    let appended = store.append(append("a", stream, Expected::Exact(0), 3)).await.unwrap();
    assert_eq!((appended.version, appended.position, appended.already_applied), (3, 3, false));
    let events = store.load(stream, 1).await.unwrap();
    assert_eq!(events.iter().map(|e| (e.version, e.position)).collect::<Vec<_>>(), [(2, 2), (3, 3)]);
    assert_eq!(events[0].payload.get(), r#"{"queue": "sales",  "priority": 0}"#);
    assert_eq!(*store.head().borrow(), 3);
}

#[tokio::test]
async fn refuses_a_wrong_version_and_nothing_else_of_the_batch() {
    let database = TestDatabase::new().await;
    let store = store(&database).await;
    let contested = stream();
    store.append(append("first", contested, Expected::Exact(0), 1)).await.unwrap();

    let appends = (0..300).map(|n| {
        let (store, wrong) = (store.clone(), n % 3 == 0);
        tokio::spawn(async move {
            let to = if wrong { StreamName { category: contested.category, id: contested.id } } else { stream() };
            let expected = Expected::Exact(if wrong { 7 } else { 0 });
            (wrong, store.append(append(&format!("k{n}"), to, expected, 2)).await)
        })
    });
    for done in futures_util::future::join_all(appends).await {
        match done.unwrap() {
            (true, Err(AppendError::Conflict { actual: 1 })) => {}
            (false, Ok(appended)) => assert_eq!(appended.version, 2),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(assert_dense(&database).await, 1 + 200 * 2);
}

/// Eventuous#553: parallel appends with one expected version all reported success, and events were gone. Here exactly one
/// wins each version, every success is in the log, and every other one is told.
#[tokio::test]
async fn one_winner_for_each_expected_version_from_two_processes() {
    let database = TestDatabase::new().await;
    let stores = [store(&database).await, store(&database).await];
    let stream = stream();
    for version in 0..25 {
        let rivals = (0..20).map(|n| {
            let store = stores[n % 2].clone();
            let key = format!("{version}-{n}");
            tokio::spawn(async move { store.append(append(&key, stream, Expected::Exact(version), 1)).await })
        });
        let done = futures_util::future::join_all(rivals).await;
        let won = done.iter().filter(|done| matches!(done, Ok(Ok(_)))).count();
        let told = done.iter().filter(|done| matches!(done, Ok(Err(AppendError::Conflict { .. })))).count();
        assert_eq!((won, told), (1, 19));
    }
    assert_eq!(assert_dense(&database).await, 25);
}

/// So many at two processes that each commits one batch while it writes the next.
#[tokio::test]
async fn two_processes_append_densely_and_in_commit_order() {
    const WRITERS: usize = 200;
    const APPENDS: i64 = 12;
    let database = TestDatabase::new().await;
    let stores = [store(&database).await, store(&database).await];
    let writers = (0..WRITERS).map(|writer| {
        let store = stores[writer % 2].clone();
        tokio::spawn(async move {
            // Each append is sent after the one before it was acknowledged, so its position must be higher.
            let (mut last, stream) = (0, stream());
            for n in 0..APPENDS {
                let appended =
                    store.append(append(&format!("{writer}-{n}"), stream, Expected::Exact(n), 1)).await.unwrap();
                assert!(appended.position > last);
                last = appended.position;
            }
            last
        })
    });
    // A reader that only ever asks for `position > cursor` while they write sees every position once, in order.
    let reader = tokio::spawn({
        let pool = database.pool.clone();
        async move {
            let mut seen: Vec<Position> = Vec::new();
            while seen.len() < WRITERS * usize::try_from(APPENDS).unwrap() {
                let after = seen.last().copied().unwrap_or(0);
                let rows: Vec<Position> =
                    sqlx::query_scalar("SELECT position FROM events WHERE position > $1 ORDER BY position LIMIT 100")
                        .bind(after)
                        .fetch_all(&pool)
                        .await
                        .unwrap();
                seen.extend(rows);
            }
            seen
        }
    });
    let last = futures_util::future::join_all(writers).await.into_iter().map(Result::unwrap).max().unwrap();
    assert_eq!(last, i64::try_from(WRITERS).unwrap() * APPENDS);
    assert_eq!(reader.await.unwrap(), (1..=last).collect::<Vec<_>>());
    assert_dense(&database).await;
    // Writers begin the transaction of their next batch ahead; when nothing is to be appended, they hold none.
    until("the end of the writers' transactions", async || {
        let open: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state LIKE 'idle in transaction%'",
        )
        .fetch_one(&database.pool)
        .await
        .unwrap();
        open == 0
    })
    .await;
}

#[tokio::test]
async fn a_repeated_key_answers_with_the_first_result() {
    let database = TestDatabase::new().await;
    let stores = [store(&database).await, store(&database).await];
    let stream = stream();
    let repeats = (0..40).map(|n| {
        let store = stores[n % 2].clone();
        tokio::spawn(async move { store.append(append("same", stream, Expected::Any, 2)).await.unwrap() })
    });
    let done: Vec<_> = futures_util::future::join_all(repeats).await.into_iter().map(Result::unwrap).collect();
    assert!(done.iter().all(|appended| (appended.version, appended.position) == (2, 2)));
    assert_eq!(done.iter().filter(|appended| !appended.already_applied).count(), 1);
    assert_eq!(assert_dense(&database).await, 2);
    assert_eq!(store(&database).await.find_key("same").await.unwrap().unwrap().stream, stream);
}

/// Keys and versions are looked at only in batches where not everything is as expected: each append of such a batch still
/// gets its own answer, and the others are taken.
#[tokio::test]
async fn a_repeated_key_spoils_nothing_for_the_rest_of_the_batch() {
    let database = TestDatabase::new().await;
    let store = store(&database).await;
    let (old, stale) = (stream(), stream());
    let first = store.append(append("first", old, Expected::Exact(0), 2)).await.unwrap();
    store.append(append("other", stale, Expected::Exact(0), 1)).await.unwrap();
    // A lock on the log holds the writer up, so that the rest comes in few batches.
    let mut lock = database.pool.begin().await.unwrap();
    sqlx::query("SELECT FROM event_log FOR UPDATE").execute(&mut *lock).await.unwrap();
    let appends = (0..120).map(|n| {
        let store = store.clone();
        let append = match n % 40 {
            // What was appended is given again, by one who knows and by one who does not know what came of it.
            7 => append("first", old, Expected::Exact(0), 2),
            8 => append("first", old, Expected::Exact(2), 2),
            9 => append(&format!("k{n}"), stale, Expected::Exact(0), 1),
            _ => append(&format!("k{n}"), stream(), Expected::Exact(0), 1),
        };
        tokio::spawn(async move { (n % 40, store.append(append).await) })
    });
    let appends: Vec<_> = appends.collect();
    tokio::task::yield_now().await;
    lock.commit().await.unwrap();
    for done in appends {
        match done.await.unwrap() {
            (7 | 8, Ok(again)) => {
                assert_eq!((again.version, again.position, again.already_applied), (2, first.position, true));
            }
            (9, Err(AppendError::Conflict { actual: 1 })) => {}
            (7..=9, other) => panic!("{other:?}"),
            (_, done) => assert_eq!(done.unwrap().version, 1),
        }
    }
    assert_eq!(assert_dense(&database).await, 2 + 1 + 3 * 37);
}

/// The backend is killed again and again while appends run: each acknowledged one is there once, each that was told
/// otherwise is not there, and a key looks up what happened.
#[tokio::test]
async fn a_lost_connection_neither_loses_nor_doubles() {
    const WRITERS: i64 = 120;
    const APPENDS: i64 = 10;
    let database = TestDatabase::new().await;
    let store = store(&database).await;
    // So many that batches are committed while the next is written; those with one that takes any version are larger.
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let store = store.clone();
            tokio::spawn(async move {
                let stream = stream();
                let mut acknowledged = HashMap::new();
                for n in 0..APPENDS {
                    let key = format!("{writer}-{n}");
                    let expected = if writer == 0 && n % 2 == 0 { Expected::Any } else { Expected::Exact(n) };
                    let appended = store.append(append(&key, stream, expected, 1)).await.unwrap();
                    acknowledged.insert(key, appended.position);
                }
                acknowledged
            })
        })
        .collect();
    let killer = sqlx::postgres::PgPoolOptions::new().max_connections(1).connect(&database.url).await.unwrap();
    let mut head = store.head();
    for reached in [20, 100, 200, 330, 450, 580, 710, 830, 960, 1_080] {
        head.wait_for(|head| *head >= reached).await.unwrap();
        sqlx::query(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
             WHERE datname = current_database() AND pid <> pg_backend_pid()
               AND (query LIKE '%append_batch%' OR query LIKE '%INTO events%' OR query LIKE 'COMMIT%')",
        )
        .execute(&killer)
        .await
        .unwrap();
    }
    let mut acknowledged = HashMap::new();
    for writer in writers {
        acknowledged.extend(writer.await.unwrap());
    }
    assert_eq!(assert_dense(&database).await, WRITERS * APPENDS);
    let stored: Vec<(String, Position)> =
        sqlx::query_as("SELECT key, position FROM append_keys").fetch_all(&database.pool).await.unwrap();
    assert_eq!(stored.into_iter().collect::<HashMap<_, _>>(), acknowledged);
}

#[tokio::test]
async fn the_database_refuses_to_change_events() {
    let database = TestDatabase::new().await;
    store(&database).await.append(append("a", stream(), Expected::Any, 1)).await.unwrap();
    for forbidden in [
        "UPDATE events SET type = 'call.ended'",
        "DELETE FROM events",
        "TRUNCATE events",
        "UPDATE events_p0 SET payload = '{}'",
        "DELETE FROM events_p0 WHERE position = 1",
        "TRUNCATE events_p0",
    ] {
        let refused = sqlx::query(AssertSqlSafe(forbidden)).execute(&database.pool).await.unwrap_err();
        assert_eq!(refused.as_database_error().unwrap().code().as_deref(), Some("VE001"), "{forbidden}");
    }
    assert_eq!(assert_dense(&database).await, 1);
}

/// A log whose partitions take ten events each.
async fn with_small_partitions() -> TestDatabase {
    let database = TestDatabase::new().await;
    sqlx::raw_sql(
        "DROP TABLE events_p0 CASCADE; UPDATE event_log SET partition_size = 10; SELECT ensure_event_partition(1)",
    )
    .execute(&database.pool)
    .await
    .unwrap();
    database
}

#[tokio::test]
async fn the_log_goes_on_over_partitions() {
    let database = with_small_partitions().await;
    let store = store(&database).await;
    // Larger than one partition, and faster than the housekeeping that makes them ahead.
    for n in 0..8 {
        store.append(append(&format!("k{n}"), stream(), Expected::Any, 13)).await.unwrap();
    }
    assert_eq!(assert_dense(&database).await, 8 * 13);
    let partitions: i64 = sqlx::query_scalar("SELECT count(*) FROM pg_inherits WHERE inhparent = 'events'::regclass")
        .fetch_one(&database.pool)
        .await
        .unwrap();
    assert!(partitions >= 11, "{partitions}");
}

/// Each expects the log to be where it left it, and it is in another partition, or one that is not there yet.
#[tokio::test]
async fn the_log_goes_on_over_partitions_that_others_have_filled() {
    let database = with_small_partitions().await;
    let stores = [store(&database).await, store(&database).await];
    let mut heads = [0; 5];
    let streams = heads.map(|_| stream());
    for round in 0..40 {
        // One event; several; and several appends at once, which are one batch.
        let (at, counts) = (round % 2, [vec![1], vec![7], vec![1, 2, 1, 1, 1]][round % 3].clone());
        let appends = counts.iter().enumerate().map(|(index, count)| {
            let key = format!("{round}-{index}");
            stores[at].append(append(&key, streams[index], Expected::Exact(heads[index]), *count))
        });
        for (index, appended) in futures_util::future::join_all(appends).await.into_iter().enumerate() {
            heads[index] = appended.unwrap().version;
        }
    }
    assert_eq!(assert_dense(&database).await, heads.iter().sum::<i64>());
}

#[tokio::test]
async fn what_is_queued_at_shutdown_is_still_appended() {
    let database = TestDatabase::new().await;
    let (tracker, shutdown) = (TaskTracker::new(), CancellationToken::new());
    let store = EventStore::start(database.pool.clone(), &tracker, shutdown.clone()).await.unwrap();
    let appends: Vec<_> = (0..500)
        .map(|n| {
            let store = store.clone();
            tokio::spawn(async move { store.append(append(&format!("k{n}"), stream(), Expected::Any, 1)).await })
        })
        .collect();
    let mut head = store.head();
    head.wait_for(|head| *head > 0).await.unwrap();
    shutdown.cancel();
    let mut acknowledged = 0;
    for done in appends {
        match done.await.unwrap() {
            Ok(_) => acknowledged += 1,
            Err(AppendError::ShuttingDown) => {}
            Err(other) => panic!("{other:?}"),
        }
    }
    assert_eq!(assert_dense(&database).await, acknowledged);
    tracker.close();
    tracker.wait().await;
}
