//! F1 to F6: writers and PostgreSQL.

use nix::sys::signal::Signal;
use rand::RngExt;

use super::super::edge::Trap;
use super::super::postgres::Postgres;
use super::{Cluster, Scale, projected, published, until, waiting_for_a_lock};

/// Bytes after which a connection is cut, at most: some appends long.
const CUT_AFTER_BYTES_MAX: usize = 20_000;

pub(super) async fn api_killed(cluster: &mut Cluster, scale: Scale) {
    for _ in 0..scale.of(4, 20) {
        let (commands, which) = (cluster.luck.random_range(1..=8), cluster.luck.random_range(0..cluster.apis.len()));
        cluster.load.more(commands).await;
        cluster.apis[which].kill_and_start().await;
    }
}

pub(super) async fn server_killed(cluster: &mut Cluster) {
    let backends = "SELECT pid FROM pg_stat_activity WHERE application_name = 'voice' ORDER BY pid";
    let backends: Vec<i32> = sqlx::query_scalar(backends).fetch_all(&cluster.pool).await.expect("the database");
    let chosen = backends[cluster.luck.random_range(0..backends.len())];
    cluster.load.more(3).await;
    // The server ends every other backend as well, because memory that they share may be damaged.
    Postgres::signal(chosen, Signal::SIGKILL);
    cluster.load.more(3).await;
    cluster.postgres.stop_immediately().await;
    cluster.postgres.back().await;
    cluster.load.more(3).await;
    cluster.postgres.kill().await;
    cluster.postgres.back().await;
}

pub(super) async fn connections_cut(cluster: &mut Cluster, scale: Scale) {
    for _ in 0..scale.of(1, 4) {
        for which in 0..cluster.apis.len() {
            let bytes = cluster.luck.random_range(0..CUT_AFTER_BYTES_MAX);
            for trap in [Trap::AppendAnswered, Trap::AppendSent, Trap::BytesUp(bytes), Trap::BytesDown(bytes)] {
                let mut sprung = cluster.apis[which].postgres.set(trap);
                until("a connection is cut", async || sprung.has_changed().is_ok_and(|moved| moved).then_some(()))
                    .await;
                sprung.mark_unchanged();
                cluster.load.more(2).await;
            }
            cluster.apis[which].postgres.cut();
        }
    }
}

pub(super) async fn backend_frozen(cluster: &mut Cluster, scale: Scale) {
    // Whoever has the counter is alone: an append waits for it, and is frozen there.
    let mut counter = cluster.pool.begin().await.expect("the database");
    sqlx::query("UPDATE event_log SET position = position").execute(&mut *counter).await.expect("the counter");
    let frozen = waiting_for_a_lock(&cluster.pool, "append").await;
    Postgres::signal(frozen, Signal::SIGSTOP);
    counter.rollback().await.expect("the database");
    // Those who read don't notice.
    let head = cluster.head().await;
    projected(&cluster.pool, head).await;
    published(&cluster.pool, head).await;
    if scale == Scale::Long {
        let unanswered = cluster.load.unanswered_and_repeated().0;
        until("a writer gives up waiting", async || {
            (cluster.load.unanswered_and_repeated().0 > unanswered).then_some(())
        })
        .await;
    }
    Postgres::signal(frozen, Signal::SIGCONT);
}

pub(super) async fn session_parked(cluster: &mut Cluster, scale: Scale) {
    let mut parked = cluster.pool.begin().await.expect("the database");
    sqlx::query("SELECT count(*) FROM events").execute(&mut *parked).await.expect("the log");
    cluster.load.more(scale.of(20, 200)).await;
    let head = cluster.head().await;
    projected(&cluster.pool, head).await;
    published(&cluster.pool, head).await;
    parked.rollback().await.expect("the database");
}
