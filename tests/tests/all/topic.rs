//! A Kafka topic that is written by hand: as the relay does, or as it never should.

use std::collections::HashMap;

use chrono::SecondsFormat;
use domain::{Position, Recorded};
use projections::{KafkaSource, Source, log};
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord};
use tests::TestDatabase;
use uuid::Uuid;

use crate::view::{PATIENCE, Process, until};

/// A topic of its own for a test.
pub(crate) struct Topic {
    pub(crate) source: KafkaSource,
    pub(crate) producer: FutureProducer,
    pub(crate) epoch: Uuid,
    /// Position last sent to each partition.
    pub(crate) previous: HashMap<i32, Position>,
}

impl Topic {
    pub(crate) async fn new(database: &TestDatabase, partitions: i32) -> Self {
        let brokers = std::env::var("KAFKA_BROKERS").expect("KAFKA_BROKERS is not set: run the tests by .dev/test");
        let name = format!("feed-{}", Uuid::now_v7());
        let config = ClientConfig::new().set("bootstrap.servers", &brokers).clone();
        let admin: AdminClient<DefaultClientContext> = config.create().unwrap();
        let topic = NewTopic::new(&name, partitions, TopicReplication::Fixed(1));
        admin.create_topics([&topic], &AdminOptions::new()).await.unwrap()[0].as_ref().unwrap();
        let epoch = log::epoch(&database.pool).await.unwrap();
        let source = KafkaSource { brokers, topic: name };
        Self { source, producer: config.create().unwrap(), epoch, previous: HashMap::new() }
    }

    /// A process that follows the topic, and does so already.
    pub(crate) async fn followed(&self, database: &TestDatabase) -> Process {
        let process = Process::fed_by(database, Source::Kafka(self.source.clone())).await;
        until("Kafka is followed", || async { !process.tail.stats().stalled }).await;
        process
    }

    /// Passes over a record as the relay would, had it been sent.
    pub(crate) fn lose(&mut self, partition: i32, event: &Recorded) {
        self.previous.insert(partition, event.position);
    }

    /// Sends a record as the relay does.
    pub(crate) async fn send(&mut self, partition: i32, event: &Recorded) {
        let prev = self.previous.insert(partition, event.position).unwrap_or(0);
        self.send_as(partition, event, prev, &format!("voice/{}", self.epoch), event.position).await;
    }

    pub(crate) async fn send_as(
        &self,
        partition: i32,
        event: &Recorded,
        prev: Position,
        source: &str,
        position: Position,
    ) {
        let time = |at: chrono::DateTime<chrono::Utc>| at.to_rfc3339_opts(SecondsFormat::Micros, true);
        let mut values = vec![
            ("ce_specversion", "1.0".to_owned()),
            ("ce_id", event.id.to_string()),
            ("ce_source", source.to_owned()),
            ("ce_type", event.event_type.clone()),
            ("ce_time", time(event.occurred_at)),
            ("ce_subject", event.stream.to_string()),
            ("ce_partitionkey", event.stream.id.to_string()),
            ("content-type", "application/json".to_owned()),
            ("position", position.to_string()),
            ("prev", prev.to_string()),
            ("epoch", "1".to_owned()),
            ("stream_version", event.version.to_string()),
            ("schema", event.schema_version.to_string()),
            ("recordedtime", time(event.recorded_at)),
            ("actor", event.actor.to_string()),
            ("correlationid", event.correlation_id.to_string()),
        ];
        values.extend(event.causation_id.map(|id| ("causationid", id.to_string())));
        values.extend(event.trace.clone().map(|trace| ("traceparent", trace)));
        let headers = values
            .iter()
            .fold(OwnedHeaders::new(), |headers, (key, value)| headers.insert(Header { key, value: Some(value) }));
        let key = event.stream.id.to_string();
        let record = FutureRecord::to(&self.source.topic)
            .partition(partition)
            .key(&key)
            .headers(headers)
            .payload(event.payload.get());
        self.producer.send(record, PATIENCE).await.unwrap();
    }
}
