//! F14 to F16: projectors die, multiply, and sleep.

use rand::RngExt;

use super::super::role::CONNECTIONS;
use super::{Cluster, Scale, projected, waiting_for_a_lock};

pub(super) async fn killed_before_commit(cluster: &mut Cluster) {
    // Rows and checkpoint are written, and what changed comes last: there they wait, and there they die.
    let mut lock = cluster.pool.begin().await.expect("the database");
    sqlx::query("LOCK TABLE change_sets IN SHARE MODE").execute(&mut *lock).await.expect("a lock");
    cluster.load.more(5).await;
    waiting_for_a_lock(&cluster.pool, "INSERT INTO public.change_sets").await;
    for projections in &mut cluster.projections {
        projections.kill().await;
    }
    lock.rollback().await.expect("the database");
    for projections in &mut cluster.projections {
        projections.start().await;
    }
    let head = cluster.head().await;
    projected(&cluster.pool, head).await;
}

pub(super) async fn come_and_go(cluster: &mut Cluster, scale: Scale) {
    for _ in 0..scale.of(2, 8) {
        let role = ["projections", "--listen", "127.0.0.1:0", "--database-connections", CONNECTIONS];
        let another = cluster.tool(&role);
        another.address().await;
        // One of those who were there goes while the new one looks around, and comes back.
        let which = cluster.luck.random_range(0..cluster.projections.len());
        cluster.projections[which].kill().await;
        cluster.load.more(4).await;
        let head = cluster.head().await;
        projected(&cluster.pool, head).await;
        cluster.projections[which].start().await;
        if cluster.luck.random() {
            another.kill().await;
        } else {
            assert!(another.terminate().await.success());
        }
    }
}

pub(super) async fn frozen(cluster: &mut Cluster) {
    // All that project now, so that others have to take over: as many again, who stand by.
    let role = ["projections", "--listen", "127.0.0.1:0", "--database-connections", CONNECTIONS];
    let others = cluster.tool(&role);
    others.address().await;
    cluster.projections.iter().for_each(|projections| projections.voice().freeze());
    cluster.load.more(8).await;
    // Also when they were frozen in a transaction: the server ends it after 30 s.
    let head = cluster.head().await;
    projected(&cluster.pool, head).await;
    cluster.projections.iter().for_each(|projections| projections.voice().thaw());
    cluster.load.more(8).await;
    assert!(others.terminate().await.success());
}
