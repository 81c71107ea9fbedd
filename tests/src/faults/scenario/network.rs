//! F12 and F13: lines that are half dead, slow, or bad.

use std::time::Duration;

use rand::RngExt;

use super::super::edge::Weather;
use super::super::role::Role;
use super::{Cluster, Scale, projected, published, until};

pub(super) async fn relay_cut_off(cluster: &mut Cluster, scale: Scale) {
    for (frozen_up, frozen_down) in [(true, false), (false, true), (true, true)] {
        let weather = Weather { frozen_up, frozen_down, ..Weather::default() };
        cluster.relays.iter().for_each(|relay| relay.kafka.weather(weather));
        cluster.load.more(scale.of(8, 60)).await;
        // What Kafka does not bring is read from the table.
        let head = cluster.head().await;
        projected(&cluster.pool, head).await;
        if scale == Scale::Long {
            // The leader notices by itself, and tries with another producer.
            let gives_up = "nothing is acknowledged any more";
            let log = |relay: &Role| relay.voice().log().matches(gives_up).count();
            let before: usize = cluster.relays.iter().map(log).sum();
            until("the leader gives its producer up", async || {
                (cluster.relays.iter().map(log).sum::<usize>() > before).then_some(())
            })
            .await;
        }
        cluster.relays.iter().for_each(|relay| relay.kafka.clear());
        if frozen_up && frozen_down {
            // Half open: the connections that nobody knows to be dead are gone.
            cluster.relays.iter().for_each(|relay| relay.kafka.cut());
        }
        published(&cluster.pool, head).await;
    }
}

pub(super) async fn slow_and_lossy(cluster: &mut Cluster, scale: Scale) {
    let delay = Duration::from_millis(cluster.luck.random_range(scale.of(5..=25, 10..=150)));
    cluster.weather(Weather { delay, loss_percent: 5, ..Weather::default() });
    cluster.load.more(scale.of(12, 100)).await;
    let head = cluster.head().await;
    projected(&cluster.pool, head).await;
    published(&cluster.pool, head).await;
    cluster.weather(Weather::default());
}
