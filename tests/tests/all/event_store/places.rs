//! Places in the log: batches that are written for one at the same time, streams that go on in another partition, and what is told of
//! all that.

use commands::event_store::{Append, AppendError, Expected};
use domain::{Actor, Category, StreamName};
use sqlx::AssertSqlSafe;
use tests::TestDatabase;
use uuid::Uuid;

use super::{append, assert_dense, store, stream, with_small_partitions};
use crate::view::{PATIENCE, until};

/// Versions are told by the events of one partition. A stream goes on in the next one as if there were only one, whoever knows of it.
#[tokio::test]
async fn an_expected_version_holds_over_partitions() {
    let database = with_small_partitions().await;
    let (knows, asks) = (store(&database).await, store(&database).await);
    let long = stream();
    let mut version = 0;
    for round in 0..6 {
        // Others fill the rest of the partition, and the next one.
        for n in 0..7 {
            knows.append(append(&format!("fill {round} {n}"), stream(), Expected::Exact(0), 2)).await.unwrap();
        }
        for (by, wrong) in [(&asks, version + 2), (&knows, version + 1), (&asks, version - 1), (&knows, version - 2)] {
            let key = format!("wrong {round} {wrong}");
            let given = by.append(append(&key, long, Expected::Exact(wrong.max(0)), 1)).await;
            // Nothing precedes the first event.
            if wrong.max(0) == version {
                version = given.unwrap().version;
                continue;
            }
            assert!(matches!(given, Err(AppendError::Conflict { actual }) if actual == version), "{key}: {given:?}");
        }
        // Three events, so that some lie on both sides of a border.
        let by = if round % 2 == 0 { &knows } else { &asks };
        let given = by.append(append(&format!("right {round}"), long, Expected::Exact(version), 3)).await.unwrap();
        version += 3;
        assert_eq!(given.version, version);
        assert_eq!(asks.version(long).await.unwrap(), version);
    }
    assert_dense(&database).await;
}

/// Batches are written for places in the log that the other process takes as well.
#[tokio::test]
async fn two_processes_want_the_same_places() {
    const ROUNDS: i64 = 30;
    let database = TestDatabase::new().await;
    let stores = [store(&database).await, store(&database).await];
    let rounds = stores.iter().enumerate().map(|(process, store)| async move {
        let streams: Vec<StreamName> = (0..150).map(|_| stream()).collect();
        for round in 0..ROUNDS {
            // All at once, so that they are large batches; a repeated key and a wrong version now and then spoil one.
            let appends = streams.iter().enumerate().map(|(n, stream)| {
                let (key, wrong) = (format!("{process} {n} {round}"), (n as i64 + round) % 97 == 0);
                let expected = Expected::Exact(if wrong { round + 5 } else { round });
                let again = append(&key, *stream, Expected::Exact(round), 1);
                let (first, store) = (append(&key, *stream, expected, 1), store.clone());
                tokio::spawn(async move {
                    match store.append(first).await {
                        Err(AppendError::Conflict { actual }) if wrong => {
                            assert_eq!(actual, round);
                            store.append(again.clone()).await.unwrap();
                        }
                        given => assert!(given.is_ok(), "{given:?}"),
                    }
                    store.append(again).await.unwrap()
                })
            });
            for given in futures_util::future::join_all(appends).await {
                let given = given.unwrap();
                assert_eq!((given.version, given.already_applied), (round + 1, true));
            }
        }
    });
    futures_util::future::join_all(rounds).await;
    assert_eq!(assert_dense(&database).await, 2 * 150 * ROUNDS);
}

/// A key is given for two streams at once, in batches that are written at the same time: one of the two has it.
#[tokio::test]
async fn a_key_that_is_under_way_for_another_stream_is_applied_once() {
    const KEYS: usize = 150;
    let database = TestDatabase::new().await;
    let store = store(&database).await;
    for round in 0..10 {
        let twice = (0..2 * KEYS).map(|n| {
            let (store, key) = (store.clone(), format!("{round} {}", n % KEYS));
            tokio::spawn(async move { store.append(append(&key, stream(), Expected::Exact(0), 1)).await.unwrap() })
        });
        let given = futures_util::future::join_all(twice).await;
        let given: Vec<_> = given.into_iter().map(Result::unwrap).collect();
        for (first, second) in given.iter().zip(&given[KEYS..]) {
            assert_eq!(first.position, second.position);
            assert!(first.already_applied != second.already_applied, "{first:?} {second:?}");
        }
    }
    assert_eq!(assert_dense(&database).await, 10 * KEYS as i64);
    let deadlocks = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()";
    assert_eq!(sqlx::query_scalar::<_, i64>(deadlocks).fetch_one(&database.pool).await.unwrap(), 0);
}

/// Two batches are sent over two connections, and the server may begin with the second one. Where there is no first one, as it has
/// come to nothing, the second gives up.
#[tokio::test]
async fn a_place_waits_for_one_before_it_that_has_not_begun() {
    let database = TestDatabase::new().await;
    let take_place = async || sqlx::query("SELECT take_place(0, 1, 2)").execute(&database.pool).await;
    let error = take_place().await.unwrap_err();
    assert_eq!(error.as_database_error().unwrap().code().as_deref(), Some("VE004"), "{error}");

    // It waits for a moment only, and on a busy machine that is over before anybody has looked.
    let function = "SELECT pg_get_functiondef('take_place'::regproc)";
    let function: String = sqlx::query_scalar(function).fetch_one(&database.pool).await.unwrap();
    let patient = function.replace("'20 ms'", &format!("'{} s'", PATIENCE.as_secs()));
    assert_ne!(patient, function);
    sqlx::raw_sql(AssertSqlSafe(patient)).execute(&database.pool).await.unwrap();
    let first = async {
        let waits = "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'PgSleep')";
        until("it waits", async || sqlx::query_scalar(waits).fetch_one(&database.pool).await.unwrap()).await;
        sqlx::query("UPDATE event_log SET position = 1").execute(&database.pool).await.unwrap();
    };
    let (second, ()) = tokio::join!(take_place(), first);
    second.unwrap();
    let position = sqlx::query_scalar::<_, i64>("SELECT position FROM event_log").fetch_one(&database.pool).await;
    assert_eq!(position.unwrap(), 2);
}

/// In what the events of a batch may differ. A column that is the same for all is not written out for each.
const DIFFERENCES: [&str; 8] = ["nothing", "category", "type", "schema", "actor", "correlation", "causation", "trace"];

/// One of many appends of which every other one differs in one respect.
fn differing_in(difference: &str, n: usize, count: usize) -> Append {
    let difference = if n % 2 == 1 { difference } else { "nothing" };
    let mut stream = stream();
    if difference == "category" {
        stream.category = Category::Agent;
    }
    let mut append = append(&stream.id.to_string(), stream, Expected::Exact(0), count);
    for event in &mut append.events {
        event.occurred_at = chrono::DateTime::from_timestamp(1_795_000_000, 123_456_789).unwrap();
        match difference {
            "type" => event.event_type = "call.ended",
            "schema" => event.schema_version = 2,
            "actor" => event.actor = Actor::User(Uuid::now_v7()),
            "correlation" => event.correlation_id = Uuid::now_v7(),
            "causation" => event.causation_id = Some(Uuid::now_v7()),
            "trace" => event.trace = Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned()),
            _ => {}
        }
    }
    append
}

/// What a process hands to those in it who follow is what they would read, to the byte.
#[tokio::test]
async fn what_is_handed_over_is_what_is_stored() {
    let database = TestDatabase::new().await;
    let store = store(&database).await;
    let mut committed = store.committed();
    let (mut handed, mut appended) = (Vec::new(), 0);
    for (difference, events_max) in DIFFERENCES.into_iter().flat_map(|difference| [(difference, 1), (difference, 3)]) {
        let appends = (0..60).map(|n| store.append(differing_in(difference, n, 1 + n % events_max)));
        let given = futures_util::future::join_all(appends).await;
        appended += given.len();
        let head = given.into_iter().map(|given| given.unwrap().position).max().unwrap();
        while handed.len() < usize::try_from(head).unwrap() {
            let batch = tokio::time::timeout(PATIENCE, committed.recv())
                .await
                .unwrap_or_else(|_| panic!("nothing more of {difference} is handed over: {} of {head}", handed.len()));
            handed.extend(batch.unwrap().iter().cloned());
        }
    }
    let stored = projections::log::read_after(&database.pool, 0, 10_000).await.unwrap();
    let as_json = |event: &domain::Recorded| serde_json::to_string(event).unwrap();
    assert_eq!(
        handed.iter().map(|event| as_json(event)).collect::<Vec<_>>(),
        stored.iter().map(as_json).collect::<Vec<_>>()
    );
    let keys = "SELECT count(*) FROM append_keys JOIN events USING (stream_id, category, version, position)";
    let keys: i64 = sqlx::query_scalar(keys).fetch_one(&database.pool).await.unwrap();
    assert_eq!(usize::try_from(keys).unwrap(), appended);
    assert_dense(&database).await;
}

/// A process of the release before goes on while this one is brought in: its statement is told that things are not as expected,
/// and its batch goes to the function that looks at each append.
#[tokio::test]
async fn the_release_before_can_still_append() {
    let database = TestDatabase::new().await;
    let store = store(&database).await;
    let stream = stream();
    store.append(append("new", stream, Expected::Exact(0), 2)).await.unwrap();
    for old in [
        "WITH moved AS (UPDATE streams AS s SET version = 3 FROM (SELECT $1::uuid AS stream) AS r
             WHERE s.stream_id = r.stream AND s.category = 'call' AND s.version = 2 RETURNING 1)
         SELECT every_one(1, (SELECT count(*) FROM moved), 'VE003')",
        "INSERT INTO streams (stream_id, category, version) VALUES ($1, 'agent', 1)",
    ] {
        let refused = sqlx::query(old).bind(stream.id).execute(&database.pool).await.unwrap_err();
        assert_eq!(refused.as_database_error().unwrap().code().as_deref(), Some("VE003"), "{old}");
    }
    let old = "SELECT verdict, version, position FROM append_batch(ARRAY['old'], ARRAY[$1], ARRAY['call'], ARRAY[2::bigint],
        ARRAY[1], ARRAY[1], ARRAY[gen_random_uuid()], ARRAY['call.queued'], ARRAY[1::smallint], ARRAY[now()],
        ARRAY['system:test'], ARRAY[$1], ARRAY[NULL::uuid], ARRAY[NULL], ARRAY['{\"queue\":\"sales\",\"priority\":0}'])";
    let given: (i16, i64, i64) = sqlx::query_as(old).bind(stream.id).fetch_one(&database.pool).await.unwrap();
    assert_eq!(given, (0, 3, 3));
    assert_eq!(store.append(append("newer", stream, Expected::Exact(3), 1)).await.unwrap().position, 4);
    let told = "INSERT INTO public.changes (projection, position, key) VALUES ('calls', 4, $1), ('calls', 4, $2)";
    sqlx::query(told).bind(stream.id).bind(Uuid::nil()).execute(&database.pool).await.unwrap();
    let sets: Vec<(i64, Vec<Uuid>)> =
        sqlx::query_as("SELECT position, keys FROM change_sets").fetch_all(&database.pool).await.unwrap();
    assert_eq!(sets, [(4, vec![stream.id, Uuid::nil()])]);
    assert_dense(&database).await;
}
