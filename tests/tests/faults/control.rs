//! F4, the negative control: a server that acknowledged what it never wrote. The checker has to see it, or the silence of all
//! the other tests means nothing.

use tests::faults::{Cluster, Depth};
use tests::history::Invariant;

/// The server's data are set back to before the last commits, as a disk does that lies about flushing.
#[tokio::test]
async fn commits_that_the_disk_forgets_are_seen_and_named() {
    let _turn = super::turn().await;
    let mut cluster = Cluster::start(super::seed()).await;
    cluster.load.more(20).await;
    let kept = cluster.settle().await;
    assert_eq!(kept.stuck, None);
    cluster.postgres.stop_immediately().await;
    cluster.postgres.keep_image().await;
    cluster.postgres.back().await;
    let (_, violations) = cluster.verify(Depth::Views).await;
    assert_eq!(violations, [], "nothing was lost so far");

    cluster.load.go_on();
    cluster.load.more(20).await;
    let head = cluster.settle().await.head;
    assert!(head > kept.head);
    // Nobody may append in place of what is lost.
    for role in cluster.roles_mut() {
        role.kill().await;
    }
    cluster.postgres.kill().await;
    cluster.postgres.restore_image().await;
    cluster.postgres.back().await;
    let (history, violations) = cluster.verify(Depth::Log).await;
    assert_eq!(history.log.head, kept.head);

    let first = |invariant| {
        let broken = violations.iter().find(|violation| violation.invariant == invariant);
        broken.unwrap_or_else(|| panic!("{invariant:?} is not broken: {violations:?}")).position
    };
    // Everything after the image was published and seen, and what a writer was told of is lost to the writer.
    for invariant in [Invariant::I6TopicIsTheLog, Invariant::I9SubscribersMissNothing] {
        assert!(first(invariant).is_some_and(|position| position > kept.head), "{invariant:?}: {violations:?}");
    }
    // Checkpoints were beyond what is left; the observer may see them go back as well, to where they were.
    let beyond = violations.iter().filter(|violation| violation.invariant == Invariant::I8CheckpointsMoveOn);
    assert!(beyond.filter_map(|violation| violation.position).any(|position| position > kept.head), "{violations:?}");
    let lost = first(Invariant::I1AcknowledgedIsKept).unwrap_or(0);
    assert!(lost > kept.head && lost <= kept.head + 4, "the first one lost is {lost}: {violations:?}");
    // It is not the rest of the log that broke.
    assert!(!violations.iter().any(|violation| violation.invariant == Invariant::I4PositionsAreInCommitOrder));
}
