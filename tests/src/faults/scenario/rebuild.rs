//! F21 and F22: a read model is made anew while everything goes on, and it does not go well.

use serde_json::json;

use super::{Cluster, projected, until};
use crate::Client;

const MODEL: &str = "calls";

/// Holds the switch up: snapshots may be taken, and nothing may be switched.
const HOLD_SWITCH: &str = "LOCK TABLE projection_switch IN ACCESS SHARE MODE";

async fn rebuild_has_begun(cluster: &Cluster) {
    until("the rebuild has begun", async || {
        let begun = "SELECT to_regclass('rebuild_calls.calls') IS NOT NULL";
        sqlx::query_scalar::<_, bool>(begun).fetch_one(&cluster.pool).await.ok()?.then_some(())
    })
    .await;
}

/// The old view is served, and up to date.
async fn serves(cluster: &Cluster) {
    let head = cluster.head().await;
    projected(&cluster.pool, head).await;
    let client = Client::new(cluster.apis[0].clients.address, Some(cluster.token.clone()));
    let calls = client.query("{ calls(first: 1) { edges { node { callId } } } }", json!({})).await;
    assert_eq!(calls["calls"]["edges"].as_array().map(Vec::len), Some(1), "{calls}");
}

pub(super) async fn killed(cluster: &mut Cluster) {
    cluster.load.hurry(true);
    // Or it would be over before anybody has looked.
    let mut hold = cluster.pool.begin().await.expect("the database");
    sqlx::query(HOLD_SWITCH).execute(&mut *hold).await.expect("a lock");
    let early = cluster.tool(&["rebuild", MODEL]);
    rebuild_has_begun(cluster).await;
    early.kill().await;
    // Its lock goes with its last connection.
    until("the killed rebuild has let go", async || {
        let held = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND classid = 7301002";
        let held: i64 = sqlx::query_scalar(held).fetch_one(&cluster.pool).await.ok()?;
        (held == 0).then_some(())
    })
    .await;
    let late = cluster.tool(&["rebuild", MODEL]);
    super::waiting_for_a_lock(&cluster.pool, "projection_switch").await;
    late.kill().await;
    hold.rollback().await.expect("the database");
    serves(cluster).await;
    cluster.load.hurry(false);

    let whole = cluster.tool(&["rebuild", MODEL]).ended_of().await;
    let equal = whole.output.iter().any(|line| line.contains("equal to the view before"));
    assert!(whole.status.success() && equal, "{whole:?}");
    serves(cluster).await;
}

pub(super) async fn twice(cluster: &mut Cluster) {
    let mut hold = cluster.pool.begin().await.expect("the database");
    sqlx::query(HOLD_SWITCH).execute(&mut *hold).await.expect("a lock");
    let first = cluster.tool(&["rebuild", MODEL]);
    super::waiting_for_a_lock(&cluster.pool, "projection_switch").await;
    let second = cluster.tool(&["rebuild", MODEL]).ended_of().await;
    assert!(!second.status.success() && second.log.contains("is being rebuilt already"), "{second:?}");
    hold.rollback().await.expect("the database");
    let first = first.ended_of().await;
    assert!(first.status.success(), "{first:?}");
    cluster.load.more(2).await;
    serves(cluster).await;
}
