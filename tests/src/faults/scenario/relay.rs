//! F7 and F8: the relay dies, or is taken for dead.

use super::{Cluster, published, until, waiting_for_a_lock};

/// Index of the relay that leads, by what it says, and its epoch.
async fn leader(cluster: &Cluster) -> (usize, i64) {
    until("a relay leads", async || {
        let epoch = "SELECT epoch FROM leases WHERE name = 'relay:' || $1 AND expires_at > clock_timestamp()";
        let epoch: i64 = sqlx::query_scalar(epoch).bind(&cluster.topic).fetch_optional(&cluster.pool).await.ok()??;
        let says = format!("epoch={epoch}");
        let leads = |log: String| log.lines().any(|line| line.contains("relay leads") && line.ends_with(&says));
        let relays = cluster.relays.iter().enumerate();
        relays
            .filter(|(_, relay)| relay.runs())
            .find(|(_, relay)| leads(relay.voice().log()))
            .map(|(index, _)| (index, epoch))
    })
    .await
}

pub(super) async fn killed_before_checkpoint(cluster: &mut Cluster) {
    let (leading, epoch) = leader(cluster).await;
    // It says that it leads before it has its checkpoint, and a row that is not there cannot be locked.
    until("the leader has its checkpoint", async || {
        let its = "SELECT position FROM relay_checkpoints WHERE epoch = $1";
        let _: i64 = sqlx::query_scalar(its).bind(epoch).fetch_optional(&cluster.pool).await.ok()??;
        Some(())
    })
    .await;
    // Nobody can store progress for now, and what was sent is acknowledged all the same.
    let mut lock = cluster.pool.begin().await.expect("the database");
    let row = "SELECT FROM relay_checkpoints FOR UPDATE";
    sqlx::query(row).execute(&mut *lock).await.expect("the checkpoint");
    cluster.load.more(10).await;
    let waiting = waiting_for_a_lock(&cluster.pool, "UPDATE relay_checkpoints").await;
    cluster.relays[leading].kill().await;
    // Its machine goes too, and with it what it had asked for.
    let end = sqlx::query("SELECT pg_terminate_backend($1)").bind(waiting);
    end.execute(&cluster.pool).await.expect("the database");
    lock.rollback().await.expect("the database");
    cluster.relays[leading].start().await;
    let head = cluster.head().await;
    published(&cluster.pool, head).await;
}

pub(super) async fn zombie(cluster: &mut Cluster) {
    let (leading, epoch) = leader(cluster).await;
    cluster.relays[leading].voice().freeze();
    until("another relay leads", async || {
        let next: i64 = sqlx::query_scalar("SELECT max(epoch) FROM leases").fetch_one(&cluster.pool).await.ok()?;
        (next > epoch).then_some(())
    })
    .await;
    cluster.load.more(10).await;
    let head = cluster.head().await;
    published(&cluster.pool, head).await;
    cluster.relays[leading].voice().thaw();
    // By its lease or its checkpoint, whichever it looks at first, or by a connection that was given up meanwhile.
    cluster.relays[leading].voice().logged("term ended early").await;
}
