//! What store, topic and read models hold in the end, read from themselves.

use std::time::Duration;

use domain::Position;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{BorrowedMessage, Headers, Message};
use rdkafka::{Offset, TopicPartitionList};
use serde_json::Value;
use sqlx::PgPool;
use uuid::Uuid;

use super::cluster::Cluster;
use super::folded::views;
use crate::history::{History, Log, Published, Stored, StoredKey, Topic, Violation, check};

/// How long one answer of Kafka may take.
const KAFKA_WITHIN: Duration = Duration::from_secs(60);
/// Header of records that a scenario has put into the topic by itself.
pub(super) const PLANTED: &str = "planted";

/// How much of a history is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// Everything but the read models.
    Log,
    /// Everything; the read models are folded anew from the first event.
    Views,
}

impl Cluster {
    /// Reads everything and holds it against the invariants. To be called after [`Cluster::settle`].
    ///
    /// # Panics
    /// Something can't be read.
    pub async fn verify(&self, depth: Depth) -> (History, Vec<Violation>) {
        let log = read_log(&self.pool).await.expect("the log");
        let source = sqlx::query_scalar::<_, Uuid>("SELECT epoch FROM event_log").fetch_one(&self.pool).await;
        let source = format!("voice/{}", source.expect("the log"));
        let (brokers, topic) = (self.kafka.brokers.clone(), self.topic.clone());
        let topic = tokio::task::spawn_blocking(move || read_topic(&brokers, &topic, source)).await.expect("the topic");
        let views = if depth == Depth::Views { views(&self.pool, &self.postgres, log.head).await } else { Vec::new() };
        let journals = self.journals.read().expect("the journals");
        let history = History { journals, log, topic: Some(topic), views };
        let violations = check(&history);
        (history, violations)
    }
}

type EventRow = (Position, Uuid, Uuid, String, i64, Option<Uuid>, Value);

/// The store.
pub(super) async fn read_log(pool: &PgPool) -> Result<Log, sqlx::Error> {
    // All of one moment: after a fault that ended badly somebody may still be appending.
    let mut snapshot = pool.begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?;
    let head = sqlx::query_scalar("SELECT position FROM event_log").fetch_one(&mut *snapshot).await?;
    let events: Vec<EventRow> = sqlx::query_as(
        "SELECT position, id, stream_id, category, version, causation_id, payload FROM events ORDER BY position",
    )
    .fetch_all(&mut *snapshot)
    .await?;
    let event = |(position, id, stream, category, version, causation, payload)| Stored {
        position,
        id,
        stream,
        category,
        version,
        causation,
        payload,
    };
    let keys: Vec<(String, Uuid, i64, Position, i64)> =
        // A key does not say how many events it stands for: those after the key before it in its stream.
        sqlx::query_as(
            "SELECT key, stream_id, version, position,
                    version - lag(version, 1, 0::bigint) OVER (PARTITION BY stream_id, category ORDER BY version)
             FROM append_keys",
        )
            .fetch_all(&mut *snapshot)
            .await?;
    let key = |(key, stream, version, position, event_count)| StoredKey { key, stream, version, position, event_count };
    let streams = sqlx::query_as("SELECT stream_id, category, version FROM streams").fetch_all(&mut *snapshot).await?;
    snapshot.commit().await?;
    let (events, keys) = (events.into_iter().map(event).collect(), keys.into_iter().map(key).collect());
    Ok(Log { head, events, keys, streams })
}

/// The topic from its beginning to where it ends now, without what scenarios have planted.
fn read_topic(brokers: &str, topic: &str, source: String) -> Topic {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("group.id", "nobody")
        .set("enable.auto.commit", "false")
        .set("enable.partition.eof", "false")
        .create()
        .expect("a consumer");
    let metadata = consumer.fetch_metadata(Some(topic), KAFKA_WITHIN).expect("the topic");
    let partitions = i32::try_from(metadata.topics()[0].partitions().len()).expect("partitions");
    let (mut assignment, mut due) = (TopicPartitionList::new(), 0);
    for partition in 0..partitions {
        let (low, high) = consumer.fetch_watermarks(topic, partition, KAFKA_WITHIN).expect("ends of the partition");
        assignment.add_partition_offset(topic, partition, Offset::Offset(low)).expect("a partition");
        due += high - low;
    }
    consumer.assign(&assignment).expect("partitions");
    let mut records = Vec::new();
    while due > 0 {
        let message = consumer.poll(KAFKA_WITHIN).expect("a record in time").expect("a record");
        due -= 1;
        records.extend(published(&message));
    }
    Topic { partitions, source, records }
}

/// A record; nothing when a scenario has planted it.
fn published(message: &BorrowedMessage<'_>) -> Option<Published> {
    let header = |name: &str| {
        let header = message.headers()?.iter().find(|header| header.key == name)?;
        header.value.map(|value| String::from_utf8_lossy(value).into_owned())
    };
    if header(PLANTED).is_some() {
        return None;
    }
    let number = |name| header(name).and_then(|text| text.parse().ok()).unwrap_or(-1);
    Some(Published {
        partition: message.partition(),
        offset: message.offset(),
        position: number("position"),
        prev: number("prev"),
        epoch: number("epoch"),
        source: header("ce_source").unwrap_or_default(),
        id: header("ce_id").and_then(|text| text.parse().ok()).unwrap_or_default(),
        key: String::from_utf8_lossy(message.key().unwrap_or_default()).into_owned(),
        payload: serde_json::from_slice(message.payload().unwrap_or_default()).unwrap_or_default(),
    })
}
