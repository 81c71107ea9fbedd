//! F23, F24 and F26: thousands who watch.

use std::time::{Duration, Instant};

use rand::RngExt;

use super::super::crowd::{Begin, Crowd, Ends};
use super::super::load::Load;
use super::super::quiet::MEMORY_KIB_MAX;
use super::{Cluster, Scale, until};
use crate::history::Entry;

/// Slow ones of F23; as many others are beside them.
const SLOW: (usize, usize) = (250, 1_000);
/// Subscribers of F24 and of F26.
const CROWD: (usize, usize) = (2_000, 10_000);
/// Remarks whose way to everybody is measured.
const MEASURED: usize = 15;
/// How much longer a remark may take to those who read while others don't, at the median: far more than it does, because other
/// things run on the machine, and far less than it would if anybody waited for the slow ones.
const SLOWER_MAX: u32 = 5;
/// What is not worth comparing.
const SLOWER_FLOOR: Duration = Duration::from_millis(200);
/// What is said to fill the sockets and queues of those who don't read, and each remark of it: more than the kernel, the
/// writer (64 KiB) and the queue (256 KiB) take for a client.
const FILL_BYTES: usize = 768 * 1024;
const REMARK_BYTES: usize = 16 * 1024;
/// After how long a node cuts off a client that takes nothing: one that reads again later is not told why.
const CUT_OFF_AFTER: Duration = Duration::from_secs(30);
/// Share of the files of slow ones that may be something else's.
const OTHER_FILES: usize = 10;
/// Statements that a storm may cost, beyond one for each so many subscribers: signing in and catching up are shared.
const STATEMENTS_FLOOR: u64 = 200;
const SUBSCRIBERS_A_STATEMENT: u64 = 20;

/// F23: many read a byte a second, beside as many who read.
pub(super) async fn slow(cluster: &mut Cluster, scale: Scale) {
    let slow = scale.of(SLOW.0, SLOW.1);
    cluster.gather(2 * slow, Begin::At(0)).await;
    let (crowd, load, node) = (&cluster.crowds[cluster.crowds.len() - 1], &cluster.load, &cluster.apis[0]);
    let before = median_way(crowd, load, slow).await;
    let files = node.voice().open_files();
    crowd.slow_down(slow);
    let begun = Instant::now();
    for _ in 0..FILL_BYTES / REMARK_BYTES {
        let position = load.say(crowd.call(), REMARK_BYTES).await;
        crowd.reached_by_all_but(slow, position).await;
    }
    let beside = median_way(crowd, load, slow).await;
    let filled = begun.elapsed();
    let (value, name) = (node.voice().memory_kib("VmRSS"), format!("memory of {} beside slow clients", node.name));
    cluster.journal.note(Entry::Measured { name, value, bound: MEMORY_KIB_MAX });
    let most = (before * SLOWER_MAX).max(SLOWER_FLOOR);
    assert!(beside <= most, "{beside:?} to everybody who reads, and {before:?} without those who don't");
    // Half of them read again; the node lets go of the others, who still read what was sent long ago.
    crowd.slow_down(slow / 2);
    let gone = u64::try_from(slow - slow / OTHER_FILES).unwrap_or(u64::MAX);
    until("the node has let go of who is slow", async || (node.voice().open_files() + gone <= files).then_some(()))
        .await;
    crowd.slow_down(0);
    let position = load.say(crowd.call(), 0).await;
    crowd.reached(position).await;
    let ends = crowd.ends();
    let (were_slow, others) = ends.split_at(slow);
    assert!(others.iter().all(|ends| *ends == Ends::default()), "who reads is not cut off: {others:?}");
    assert!(were_slow.iter().all(|ends| *ends != Ends::default()), "who does not read is: {were_slow:?}");
    let told = were_slow.iter().filter(|ends| ends.too_slow > 0).count();
    assert!(told > 0 || filled > CUT_OFF_AFTER, "nobody who reads again is told why: {were_slow:?}");
}

/// How long something said takes to everybody but the first so many, at the median.
async fn median_way(crowd: &Crowd, load: &Load, but: usize) -> Duration {
    let mut ways = Vec::new();
    for _ in 0..MEASURED {
        let begun = Instant::now();
        let position = load.say(crowd.call(), 0).await;
        crowd.reached_by_all_but(but, position).await;
        ways.push(begun.elapsed());
    }
    ways.sort_unstable();
    ways[MEASURED / 2]
}

/// F24: sockets are cut at random, then all of them at once, and all come back with their cursors.
pub(super) async fn storm(cluster: &mut Cluster, scale: Scale) {
    let count = scale.of(CROWD.0, CROWD.1);
    cluster.gather(count, Begin::Everywhere).await;
    let (crowd, load) = (&cluster.crowds[cluster.crowds.len() - 1], &cluster.load);
    for _ in 0..scale.of(2, 5) {
        crowd.cut(cluster.luck.random_range(5..50), cluster.luck.random());
        let position = load.say(crowd.call(), 0).await;
        crowd.reached(position).await;
    }
    // Nobody else asks while statements are counted.
    assert!(load.pause().await, "a writer is not answered");
    let statements = |cluster: &Cluster| cluster.apis.iter().map(|api| api.postgres.statements()).sum::<u64>();
    let before = statements(cluster);
    crowd.cut(100, 0);
    let position = load.say(crowd.call(), 0).await;
    crowd.reached(position).await;
    let asked = statements(cluster) - before;
    load.go_on();
    let most = STATEMENTS_FLOOR + count as u64 / SUBSCRIBERS_A_STATEMENT;
    cluster.journal.note(Entry::Measured {
        name: format!("statements when {count} come back"),
        value: asked,
        bound: most,
    });
}

/// F26: the node of all of them is killed.
pub(super) async fn node_killed(cluster: &mut Cluster, scale: Scale) {
    let which = cluster.luck.random_range(0..cluster.apis.len());
    cluster.gather(scale.of(CROWD.0, CROWD.1), Begin::At(which)).await;
    cluster.apis[which].kill().await;
    let (crowd, load) = (&cluster.crowds[cluster.crowds.len() - 1], &cluster.load);
    let position = load.say(crowd.call(), 0).await;
    // On the other node, without the one that is gone.
    crowd.reached(position).await;
    cluster.apis[which].start().await;
}
