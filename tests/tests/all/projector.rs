//! Invariant 6: rows, checkpoint and changes move together, exactly once; what can't be folded stops only its own key.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use projections::parked::RETRY_EVENTS_MAX;
use projections::{RetryError, retry_parked};
use tests::TestDatabase;
use uuid::Uuid;

use crate::view::{Counts, Process, append, append_as, assert_folded, call, counts, parked, until};

#[tokio::test]
async fn every_event_is_folded_once_over_restarts_and_beside_a_second_projector() {
    let database = TestDatabase::new().await;
    let streams: Arc<Vec<Uuid>> = Arc::new((0..10).map(|_| Uuid::now_v7()).collect());
    let appending = {
        let (pool, streams) = (database.pool.clone(), Arc::clone(&streams));
        tokio::spawn(async move {
            let mut position = 0;
            for n in 0..400 {
                position = append(&pool, streams[n % streams.len()], &["sales"; 5]).await;
            }
            position
        })
    };
    // One is there all the time and stands by most of it; the other comes and goes.
    let steady = Process::start(&database).await;
    steady.project(Counts::new());
    let mut upto = 0;
    while !appending.is_finished() {
        let fleeting = Process::start(&database).await;
        fleeting.project(Counts::new());
        upto += 50;
        if upto < 2_000 {
            fleeting.projected(upto).await;
        }
        fleeting.stop().await;
        assert_folded(&database).await;
    }
    let position = appending.await.unwrap();
    assert_eq!(position, 2_000);
    steady.projected(position).await;
    steady.stop().await;
    assert_eq!(assert_folded(&database).await, position);
    assert_eq!(parked(&database).await, [], "an event that is folded twice violates a key");
    let untold = "SELECT count(*) FROM events e WHERE NOT EXISTS (
        SELECT FROM change_sets c WHERE c.position >= e.position AND e.stream_id = ANY(c.keys))";
    let untold: i64 = sqlx::query_scalar(untold).fetch_one(&database.pool).await.unwrap();
    assert_eq!(untold, 0, "every change is told of where it happened or later");
}

#[tokio::test]
async fn one_that_stands_by_takes_over() {
    let database = TestDatabase::new().await;
    let (first, second) = (Process::start(&database).await, Process::start(&database).await);
    first.project(Counts::new());
    let position = append(&database.pool, Uuid::now_v7(), &["sales"]).await;
    first.projected(position).await;
    second.project(Counts::new());
    let position = append(&database.pool, Uuid::now_v7(), &["sales"; 100]).await;
    first.projected(position).await;
    first.stop().await;
    let position = append(&database.pool, Uuid::now_v7(), &["sales"]).await;
    second.projected(position).await;
    second.stop().await;
    assert_eq!(assert_folded(&database).await, position);
}

#[tokio::test]
async fn a_poisonous_event_parks_its_key_and_nothing_else() {
    for poison in ["poison", "panic"] {
        let database = TestDatabase::new().await;
        let (sick, healthy) = (Uuid::now_v7(), Uuid::now_v7());
        append(&database.pool, healthy, &["sales"; 300]).await;
        append(&database.pool, sick, &["sales", poison, "sales"]).await;
        append(&database.pool, healthy, &["sales"; 300]).await;
        let position = append(&database.pool, sick, &["sales"]).await;

        let model = Counts::new();
        let process = Process::start(&database).await;
        process.project(model.clone());
        process.projected(position).await;
        assert_eq!(parked(&database).await, [(302, sick), (303, sick), (604, sick)]);
        assert_folded(&database).await;
        process.stop().await;

        // Known after a restart, too.
        let process = Process::start(&database).await;
        process.project(model.clone());
        let position = append(&database.pool, sick, &["sales"]).await;
        process.projected(position).await;
        assert_eq!(parked(&database).await.last(), Some(&(605, sick)));

        // Not mended: stays where it is, counted.
        let retried = retry_parked(&database.pool, model.as_ref(), sick).await.unwrap();
        assert_eq!((retried.folded, retried.stopped_at.map(|(position, _)| position)), (0, Some(302)));
        let attempts: Vec<i32> = sqlx::query_scalar("SELECT attempts FROM parked_events ORDER BY position")
            .fetch_all(&database.pool)
            .await
            .unwrap();
        assert_eq!(attempts, [2, 1, 1, 1]);

        // Mended: everything that waited, in order, and the projector goes on with the key by itself.
        model.mend();
        let retried = retry_parked(&database.pool, model.as_ref(), sick).await.unwrap();
        assert_eq!((retried.folded, retried.stopped_at), (4, None));
        let position = append(&database.pool, sick, &["sales"]).await;
        process.projected(position).await;
        assert_eq!(parked(&database).await, []);
        assert_eq!(counts(&database).await[&sick], 6);
        assert_folded(&database).await;
        process.stop().await;
    }
}

#[tokio::test]
async fn watchers_learn_of_what_was_taken_up_again() {
    let database = TestDatabase::new().await;
    let model = Counts::new();
    let process = Process::start(&database).await;
    process.project(model.clone());
    let sick = Uuid::now_v7();
    let position = append(&database.pool, sick, &["poison"]).await;
    process.projected(position).await;
    let changes = process.changes().await;
    let mut changed = changes.subscribe();
    model.mend();
    retry_parked(&database.pool, model.as_ref(), sick).await.unwrap();
    // Said at once to who listens, and stored for who comes back with a cursor, from the next event on.
    append(&database.pool, Uuid::now_v7(), &["sales"]).await;
    changes.wait_for("counts", 2, crate::view::PATIENCE).await.unwrap();
    assert!(changes.since("counts", position).await.unwrap().1.unwrap().contains(&sick));
    let first = changed.recv().await.unwrap();
    assert!(first.keys.as_ref().is_none_or(|keys| keys.contains(&sick)), "{first:?}");
    process.stop().await;
}

#[tokio::test]
async fn an_event_that_can_not_be_read_parks_its_key() {
    let database = TestDatabase::new().await;
    let (sick, healthy) = (Uuid::now_v7(), Uuid::now_v7());
    let mut connection = database.pool.acquire().await.unwrap();
    append_as(&mut connection, call(sick), "call.of_the_future", vec!["{}".to_owned()]).await;
    append_as(&mut connection, call(sick), "call.queued", vec![r#"{"queue": 1}"#.to_owned()]).await;
    append_as(&mut connection, call(healthy), "call.queued", vec![r#"{"queue": 1}"#.to_owned()]).await;
    let position = append(&database.pool, Uuid::now_v7(), &["sales"]).await;
    let process = Process::start(&database).await;
    process.project(Counts::new());
    process.projected(position).await;
    assert_eq!(parked(&database).await, [(1, sick), (2, sick), (3, healthy)]);
    let errors: Vec<String> = sqlx::query_scalar("SELECT error FROM parked_events ORDER BY position")
        .fetch_all(&database.pool)
        .await
        .unwrap();
    assert!(errors[0].contains("call.of_the_future") && errors[1].contains("waits") && errors[2].contains("invalid"));
    process.stop().await;
}

#[tokio::test]
async fn tables_that_vanish_and_connections_that_break_park_nothing() {
    let mut database = TestDatabase::new().await;
    let process = Process::start(&database).await;
    process.project(Counts::new());
    let position = append(&database.pool, Uuid::now_v7(), &["sales"]).await;
    process.projected(position).await;
    // Out of reach and back, while events arrive and backends die.
    let admin = |statement: &'static str| {
        let pool = database.pool.clone();
        async move { sqlx::query(statement).execute(&pool).await }
    };
    admin("ALTER TABLE read.counts RENAME TO away").await.unwrap();
    let position = append(&database.pool, Uuid::now_v7(), &["sales"]).await;
    until("the projector has met the missing table", || async {
        let seen: i64 =
            sqlx::query_scalar("SELECT xact_rollback FROM pg_stat_database WHERE datname = current_database()")
                .fetch_one(&database.pool)
                .await
                .unwrap();
        seen > 0
    })
    .await;
    admin("ALTER TABLE read.away RENAME TO counts").await.unwrap();
    process.projected(position).await;

    let stop = Arc::new(AtomicBool::new(false));
    let killing = {
        let (pool, stop) = (database.pool.clone(), Arc::clone(&stop));
        tokio::spawn(async move {
            while !stop.load(Ordering::SeqCst) {
                // Our own connections may be hit, too.
                let kill = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                            WHERE datname = current_database() AND pid <> pg_backend_pid() AND query LIKE '%counts%'";
                drop(sqlx::query(kill).execute(&pool).await);
                tokio::task::yield_now().await;
            }
        })
    };
    let mut connection = database.pool.acquire().await.unwrap();
    let mut position = 0;
    for _ in 0..100 {
        position = crate::view::append_on(&mut connection, Uuid::now_v7(), &["sales"; 10]).await;
    }
    stop.store(true, Ordering::SeqCst);
    killing.await.unwrap();
    process.projected(position).await;
    process.stop().await;
    // Connections that were killed a moment ago are trusted by their pool still.
    database.pool = commands::connect(&database.url, 2).await.unwrap();
    assert_eq!(assert_folded(&database).await, position);
    assert_eq!(parked(&database).await, []);
}

#[tokio::test]
async fn a_view_of_an_earlier_version_is_made_anew_and_one_of_a_later_version_is_left_alone() {
    let database = TestDatabase::new().await;
    let old = Process::start(&database).await;
    old.project(Counts::new());
    let position = append(&database.pool, Uuid::now_v7(), &["sales"; 10]).await;
    old.projected(position).await;
    // Two versions of the program, as during an update.
    let new = Process::start(&database).await;
    new.project(Counts::of_version(2));
    let position = append(&database.pool, Uuid::now_v7(), &["sales"; 10]).await;
    new.projected(position).await;
    let version = || async {
        sqlx::query_scalar::<_, i32>("SELECT version FROM projections").fetch_one(&database.pool).await.unwrap()
    };
    assert_eq!(version().await, 2);
    let position = append(&database.pool, Uuid::now_v7(), &["sales"; 10]).await;
    new.projected(position).await;
    new.stop().await;
    assert_eq!((version().await, assert_folded(&database).await), (2, position));
    let refused = retry_parked(&database.pool, Counts::new().as_ref(), Uuid::now_v7()).await;
    assert!(matches!(refused, Err(RetryError::OtherVersion { .. })));
    old.stop().await;
}

#[tokio::test]
async fn a_long_log_is_not_projected_in_small_steps_but_rebuilt() {
    let database = TestDatabase::new().await;
    let mut position = 0;
    for _ in 0..11 {
        position = append(&database.pool, Uuid::now_v7(), &["sales"; 1_000]).await;
    }
    let process = Process::start(&database).await;
    process.project(Counts::new());
    process.projected(position).await;
    process.stop().await;
    assert_eq!(assert_folded(&database).await, 11_000);
    let changes: i64 = sqlx::query_scalar("SELECT count(*) FROM changes").fetch_one(&database.pool).await.unwrap();
    assert_eq!(changes, 0, "nobody can have seen the view before");
}

#[tokio::test]
async fn a_long_queue_behind_a_parked_event_is_taken_up_in_rounds() {
    let database = TestDatabase::new().await;
    let model = Counts::new();
    let process = Process::start(&database).await;
    process.project(model.clone());
    let sick = Uuid::now_v7();
    append(&database.pool, sick, &["poison"]).await;
    let position = append(&database.pool, sick, &["sales"; 2 * RETRY_EVENTS_MAX]).await;
    process.projected(position).await;
    assert_eq!(parked(&database).await.len(), 2 * RETRY_EVENTS_MAX + 1);
    model.mend();
    // The projector goes on meanwhile, and what arrives now waits at the end of the queue.
    let (pool, retrying) = (database.pool.clone(), model.clone());
    let retry = tokio::spawn(async move { retry_parked(&pool, retrying.as_ref(), sick).await });
    let position = append(&database.pool, sick, &["sales"; 10]).await;
    assert_eq!(retry.await.unwrap().unwrap().stopped_at, None);
    process.projected(position).await;
    let left = retry_parked(&database.pool, model.as_ref(), sick).await.unwrap();
    assert!(left.folded <= 10 && left.stopped_at.is_none());
    process.stop().await;
    assert_eq!((parked(&database).await, counts(&database).await[&sick]), (vec![], 1_011));
    assert_eq!(assert_folded(&database).await, position);
}

#[tokio::test]
async fn old_change_rows_are_removed() {
    let database = TestDatabase::new().await;
    // So far back that no number of events in this test could reach them.
    sqlx::query(
        "INSERT INTO changes (projection, position, key)
         SELECT name, -200000 - n, gen_random_uuid() FROM generate_series(1, 12000) n, unnest(ARRAY['counts', 'other']) name",
    )
    .execute(&database.pool)
    .await
    .unwrap();
    let process = Process::start(&database).await;
    process.project(Counts::new());
    let position = append(&database.pool, Uuid::now_v7(), &["sales"; 1_000]).await;
    process.projected(position).await;
    process.stop().await;
    let left = "SELECT projection, count(*), count(*) FILTER (WHERE position > 0) > 0 FROM changes
                WHERE projection = 'other' OR position <= 0 OR position = $1 GROUP BY 1 ORDER BY 1";
    let left: Vec<(String, i64, bool)> = sqlx::query_as(left).bind(position).fetch_all(&database.pool).await.unwrap();
    assert_eq!(left, [("counts".to_owned(), 1, true), ("other".to_owned(), 12_000, false)]);
}
