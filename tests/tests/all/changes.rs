//! Invariant 8, the part of the read side: what changed, up to where, and snapshots that fit it.

use std::collections::HashSet;
use std::time::Duration;

use domain::Position;
use projections::changes::CHANGES_KEPT_POSITIONS;
use projections::{Behind, Changed, Snapshot};
use tests::TestDatabase;
use tokio::sync::broadcast::Receiver;
use uuid::Uuid;

use crate::view::{Counts, PATIENCE, Process, append, until};

/// Follows until a position is reached: every key that was named, and whether anything was unknown.
async fn follow(changed: &mut Receiver<std::sync::Arc<Changed>>, upto: Position) -> (HashSet<Uuid>, bool) {
    let (mut keys, mut unknown) = (HashSet::new(), false);
    loop {
        let change = tokio::time::timeout(PATIENCE, changed.recv()).await.expect("no change in time").unwrap();
        assert_eq!(change.projection, "counts");
        match &change.keys {
            Some(named) => keys.extend(named),
            None => unknown = true,
        }
        if change.upto >= upto {
            return (keys, unknown);
        }
    }
}

#[tokio::test]
async fn one_waits_for_what_one_has_written_and_learns_when_it_takes_too_long() {
    let database = TestDatabase::new().await;
    let process = Process::start(&database).await;
    process.project(Counts::new());
    let changes = process.changes().await;
    let position = append(&database.pool, Uuid::now_v7(), &["sales", "sales"]).await;
    changes.wait_for("counts", position, PATIENCE).await.unwrap();
    assert_eq!(changes.position("counts"), position);
    assert_eq!(changes.wait_for("counts", 9, Duration::from_millis(1)).await, Err(Behind { at: position }));
    assert_eq!(changes.wait_for("unheard of", 1, Duration::from_millis(1)).await, Err(Behind { at: 0 }));
    process.stop().await;
}

#[tokio::test]
async fn watchers_of_every_node_get_the_keys_that_changed() {
    let database = TestDatabase::new().await;
    let projecting = Process::start(&database).await;
    projecting.project(Counts::new());
    let watching = Process::start(&database).await;
    let (here, there) = (projecting.changes().await, watching.changes().await);
    let (mut changed_here, mut changed_there) = (here.subscribe(), there.subscribe());

    let streams: Vec<Uuid> = (0..20).map(|_| Uuid::now_v7()).collect();
    let mut position = 0;
    for stream in &streams {
        position = append(&database.pool, *stream, &["sales"]).await;
    }
    let expected: HashSet<Uuid> = streams.iter().copied().collect();
    assert_eq!(follow(&mut changed_here, position).await, (expected.clone(), false));
    assert_eq!(follow(&mut changed_there, position).await, (expected.clone(), false));

    // The same by cursor, for one that was away.
    let (upto, keys) = there.since("counts", 18).await.unwrap();
    // Others may be named with them, which changed before in the same transaction.
    let keys = keys.unwrap();
    assert!(upto == 20 && streams[18..].iter().all(|stream| keys.contains(stream)) && keys.is_subset(&expected));
    assert_eq!(there.since("counts", 20).await.unwrap(), (20, Some(HashSet::new())));
    projecting.stop().await;
    watching.stop().await;
}

#[tokio::test]
async fn what_can_not_be_said_any_more_is_anything() {
    let database = TestDatabase::new().await;
    let process = Process::start(&database).await;
    let changes = process.changes().await;
    let mut changed = changes.subscribe();
    let beyond = CHANGES_KEPT_POSITIONS + 1;
    sqlx::query("INSERT INTO projections (name, version, position) VALUES ('counts', 1, $1)")
        .bind(beyond)
        .execute(&database.pool)
        .await
        .unwrap();
    assert_eq!(follow(&mut changed, beyond).await, (HashSet::new(), true));
    assert_eq!(changes.since("counts", 0).await.unwrap(), (beyond, None));
    assert_eq!(changes.since("counts", beyond + 1).await.unwrap().1, None, "a cursor of another time");
    // Restored from a backup: the checkpoint is further back than the hub believes.
    sqlx::query("UPDATE projections SET position = 7").execute(&database.pool).await.unwrap();
    let change = tokio::time::timeout(PATIENCE, changed.recv()).await.unwrap().unwrap();
    assert_eq!((change.upto, &change.keys), (7, &None));
    process.stop().await;
}

#[tokio::test]
async fn rows_and_position_of_a_snapshot_are_of_one_moment() {
    let database = TestDatabase::new().await;
    let process = Process::start(&database).await;
    process.project(Counts::new());
    let first = append(&database.pool, Uuid::now_v7(), &["sales"]).await;
    process.projected(first).await;

    let mut snapshot = Snapshot::begin(&database.pool).await.unwrap();
    assert_eq!(snapshot.position("counts").await.unwrap(), 1);
    let second = append(&database.pool, Uuid::now_v7(), &["sales"]).await;
    process.projected(second).await;
    let rows: i64 = sqlx::query_scalar("SELECT count(*) FROM read.counts").fetch_one(&mut *snapshot).await.unwrap();
    assert_eq!((rows, snapshot.position("counts").await.unwrap()), (1, 1));
    let refused = sqlx::query("DELETE FROM read.counts").execute(snapshot.connection()).await;
    assert!(refused.is_err(), "a snapshot only reads");
    snapshot.end().await.unwrap();

    let mut snapshot = Snapshot::begin(&database.pool).await.unwrap();
    assert_eq!(snapshot.position("counts").await.unwrap(), 2);
    assert_eq!(snapshot.position("unheard of").await.unwrap(), 0);
    drop(snapshot);
    process.stop().await;
}

#[tokio::test]
async fn lag_counts_what_is_not_folded_yet() {
    let database = TestDatabase::new().await;
    let process = Process::start(&database).await;
    process.project(Counts::new());
    let position = append(&database.pool, Uuid::now_v7(), &["sales", "poison", "sales"]).await;
    process.projected(position).await;
    let lags = projections::lags(&database.pool).await.unwrap();
    assert_eq!(lags.len(), 1);
    assert_eq!((lags[0].projection.as_str(), lags[0].lag.events(), lags[0].parked_keys), ("counts", 0, 1));
    process.stop().await;
    append(&database.pool, Uuid::now_v7(), &["sales", "sales"]).await;
    assert_eq!(projections::lags(&database.pool).await.unwrap()[0].lag.events(), 2);
}

#[tokio::test]
async fn a_hub_survives_the_loss_of_its_connections() {
    let database = TestDatabase::new().await;
    let process = Process::start(&database).await;
    process.project(Counts::new());
    let changes = process.changes().await;
    let position = append(&database.pool, Uuid::now_v7(), &["sales"]).await;
    changes.wait_for("counts", position, PATIENCE).await.unwrap();
    let listeners = async |pool: &sqlx::PgPool| {
        sqlx::query_scalar::<_, i64>(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'LISTEN%'",
        )
        .fetch_one(pool)
        .await
        .unwrap()
    };
    until("two listeners", async || listeners(&database.pool).await == 2).await;
    sqlx::query(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
         WHERE datname = current_database() AND pid <> pg_backend_pid()",
    )
    .execute(&database.pool)
    .await
    .unwrap();
    // Connections of the pool that were used a moment ago are trusted, and each of them fails once.
    let fresh = sqlx::PgPool::connect(&database.url).await.unwrap();
    let position = append(&fresh, Uuid::now_v7(), &["sales"]).await;
    changes.wait_for("counts", position, PATIENCE).await.unwrap();
    until("two listeners again", async || listeners(&fresh).await == 2).await;
    fresh.close().await;
    process.stop().await;
}
