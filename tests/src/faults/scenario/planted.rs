//! F17 and F18: the topic holds what it should not.

use chrono::SecondsFormat;
use commands::relay::{PARTITIONS, partition_of};
use domain::{Position, Recorded};
use projections::log;
use rand::RngExt;
use rdkafka::config::ClientConfig;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord};
use uuid::Uuid;

use super::super::cluster::CATCH_UP_WITHIN;
use super::super::collect::PLANTED;
use super::{Cluster, Scale, projected, published};

/// Events that are appended while the relays are frozen, and sent by us.
const SENT_EVENTS_MAX: usize = 5_000;

pub(super) async fn published_again(cluster: &mut Cluster, scale: Scale) {
    for _ in 0..scale.of(2, 6) {
        let head = cluster.head().await;
        let from = cluster.luck.random_range(1..=head);
        cluster.publish_from(from).await;
        cluster.load.more(3).await;
        let head = cluster.head().await;
        published(&cluster.pool, head).await;
    }
}

pub(super) async fn strange_records(cluster: &mut Cluster) {
    let head = cluster.head().await;
    published(&cluster.pool, head).await;
    cluster.relays.iter().for_each(|relay| relay.voice().freeze());
    cluster.load.more(12).await;
    let plant = Plant::new(cluster).await;
    let events = log::read_after(&cluster.pool, head, SENT_EVENTS_MAX).await.expect("the log");
    let store = plant.store.to_string();
    // Of another store, and unreadable: both in the way of what comes.
    plant.send(&events[0], &Uuid::new_v4().to_string(), 0).await;
    plant.rubbish().await;
    // Each pair swapped: the second one names a predecessor that has not come.
    for pair in events.chunks(2) {
        for event in pair.iter().rev() {
            plant.send(event, &store, plant.before(cluster, event).await).await;
        }
    }
    let head = cluster.head().await;
    projected(&cluster.pool, head).await;
    cluster.relays.iter().for_each(|relay| relay.voice().thaw());
    published(&cluster.pool, head).await;
}

/// Somebody who writes into the topic, and is not the relay.
struct Plant {
    producer: FutureProducer,
    topic: String,
    store: Uuid,
}

impl Plant {
    async fn new(cluster: &Cluster) -> Self {
        let producer = ClientConfig::new().set("bootstrap.servers", &cluster.kafka.brokers).create();
        let store = log::epoch(&cluster.pool).await.expect("the log");
        Self { producer: producer.expect("a producer"), topic: cluster.topic.clone(), store }
    }

    /// The position before an event in its partition.
    async fn before(&self, cluster: &Cluster, event: &Recorded) -> Position {
        let before = "SELECT position, stream_id FROM events WHERE position < $1 ORDER BY position DESC LIMIT 1000";
        let rows: Vec<(Position, Uuid)> =
            sqlx::query_as(before).bind(event.position).fetch_all(&cluster.pool).await.expect("the log");
        let partition = partition_of(event.stream.id, PARTITIONS);
        rows.iter().find(|(_, id)| partition_of(*id, PARTITIONS) == partition).map_or(0, |(position, _)| *position)
    }

    /// A record as the relay would send it, for this store or another one.
    async fn send(&self, event: &Recorded, store: &str, prev: Position) {
        let time = |at: chrono::DateTime<chrono::Utc>| at.to_rfc3339_opts(SecondsFormat::Micros, true);
        let values = [
            ("ce_specversion", "1.0".to_owned()),
            ("ce_id", event.id.to_string()),
            ("ce_source", format!("voice/{store}")),
            ("ce_type", event.event_type.clone()),
            ("ce_time", time(event.occurred_at)),
            ("ce_subject", event.stream.to_string()),
            ("position", event.position.to_string()),
            ("prev", prev.to_string()),
            ("epoch", "0".to_owned()),
            ("stream_version", event.version.to_string()),
            ("schema", event.schema_version.to_string()),
            ("recordedtime", time(event.recorded_at)),
            ("actor", event.actor.to_string()),
            ("correlationid", event.correlation_id.to_string()),
            (PLANTED, "yes".to_owned()),
        ];
        let causation = event.causation_id.map(|id| ("causationid", id.to_string()));
        let headers = values
            .into_iter()
            .chain(causation)
            .fold(OwnedHeaders::new(), |headers, (key, value)| headers.insert(Header { key, value: Some(&value) }));
        self.put(event.stream.id, headers, event.payload.get()).await;
    }

    async fn rubbish(&self) {
        let headers = OwnedHeaders::new().insert(Header { key: PLANTED, value: Some("yes") });
        self.put(Uuid::now_v7(), headers, "\u{0}{").await;
    }

    async fn put(&self, key: Uuid, headers: OwnedHeaders, payload: &str) {
        let partition = partition_of(key, PARTITIONS);
        let key = key.to_string();
        let record = FutureRecord::to(&self.topic).partition(partition).key(&key).headers(headers).payload(payload);
        self.producer.send(record, CATCH_UP_WITHIN).await.expect("the broker");
    }
}
