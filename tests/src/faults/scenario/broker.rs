//! F9: Kafka is away, silent, and forgetful. PostgreSQL is what counts, so nobody but the relay waits for it.

use super::{Cluster, Scale, projected, published};

pub(super) async fn lost(cluster: &mut Cluster, scale: Scale) {
    cluster.kafka.freeze();
    goes_on(cluster, scale).await;
    cluster.kafka.thaw();
    let head = cluster.head().await;
    published(&cluster.pool, head).await;

    cluster.kafka.kill().await;
    goes_on(cluster, scale).await;
    cluster.kafka.forget(&cluster.topic);
    cluster.kafka.back().await;
    // What the relay had published is gone, and it can't know.
    cluster.publish_from(1).await;
    let head = cluster.head().await;
    published(&cluster.pool, head).await;
}

/// Commands are answered, and read models follow, without Kafka.
async fn goes_on(cluster: &Cluster, scale: Scale) {
    cluster.load.more(scale.of(10, 100)).await;
    let head = cluster.head().await;
    projected(&cluster.pool, head).await;
}
