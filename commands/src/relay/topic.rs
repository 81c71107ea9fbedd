//! The topic: made when it is missing, never changed.

use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use super::client::Client;
use super::{PARTITIONS, RelayConfig, RelayError};

/// How long Kafka may take to answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// How long the topic keeps events, in milliseconds: 14 days. PostgreSQL keeps them all.
const RETENTION_MS: &str = "1209600000";

/// Makes the topic if it is missing; answers how many partitions it has.
pub(super) async fn ensure(config: &RelayConfig) -> Result<i32, RelayError> {
    let mut settings = ClientConfig::new();
    settings.set("bootstrap.servers", &config.brokers).set("client.id", "voice-relay-admin");
    let admin = Client::<AdminClient<DefaultClientContext>>::create(settings).await?;
    // -1: the broker's own default replication factor.
    let topic = NewTopic::new(&config.topic, PARTITIONS, TopicReplication::Fixed(-1))
        .set("retention.ms", RETENTION_MS)
        .set("cleanup.policy", "delete");
    let options = AdminOptions::new().request_timeout(Some(ANSWER_WITHIN)).operation_timeout(Some(ANSWER_WITHIN));
    for created in admin.create_topics([&topic], &options).await? {
        match created {
            Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
            Err((_, code)) => return Err(KafkaError::AdminOp(code).into()),
        }
    }
    let name = config.topic.clone();
    // Blocks on the network, so not on a thread of the runtime.
    let metadata = tokio::task::spawn_blocking(move || admin.inner().fetch_metadata(Some(&name), ANSWER_WITHIN)).await;
    let metadata = metadata.map_err(|_| KafkaError::Canceled)??;
    let count = metadata.topics().first().map_or(0, |topic| topic.partitions().len());
    if count == 0 {
        // Just created, and not known everywhere yet.
        return Err(KafkaError::MetadataFetch(RDKafkaErrorCode::LeaderNotAvailable).into());
    }
    Ok(i32::try_from(count).unwrap_or(i32::MAX))
}
