//! Reading a topic: a blocking consumer on a thread of its own.
//!
//! All partitions are assigned by hand, from their present ends: no consumer group, so nothing is rebalanced and nobody
//! else's absence is waited for. The thread hands records over through a bounded channel; while that is full, nothing is
//! fetched beyond the library's own small queue. It ends when told to, when nobody takes the records, or when the topic is
//! not what it was.

use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Headers as _, Message as _};
use rdkafka::{Offset, TopicPartitionList};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::KafkaSource;
use super::cloudevent::{self, Record, Refused};

/// Most records handed over at once.
const BATCH_RECORDS_MAX: usize = 256;
/// Batches that wait to be taken.
const BATCHES_WAITING_MAX: usize = 16;
/// How long Kafka may take to answer a question about the topic.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
/// How often the thread looks whether it should end.
const POLL: Duration = Duration::from_millis(100);

/// A record with its partition, or why it can't be used.
pub(super) struct Arrival {
    pub(super) partition: i32,
    pub(super) record: Result<Record, Refused>,
}

/// The thread, seen from outside. Dropping it makes the thread end.
pub(super) struct Consumer {
    /// Answers once: assigned, or why not.
    pub(super) assigned: oneshot::Receiver<Result<(), KafkaError>>,
    /// Records in the order of their partitions. Closed: the thread has ended.
    pub(super) arrivals: mpsc::Receiver<Vec<Arrival>>,
    stop: CancellationToken,
}

impl Consumer {
    pub(super) fn start(source: KafkaSource, epoch: Uuid) -> std::io::Result<Self> {
        let (answer, assigned) = oneshot::channel();
        let (batches, arrivals) = mpsc::channel(BATCHES_WAITING_MAX);
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        std::thread::Builder::new()
            .name("kafka-feed".to_owned())
            .spawn(move || consume(&source, &cloudevent::source(epoch), answer, &batches, &stopped))?;
        Ok(Self { assigned, arrivals, stop })
    }
}

impl Drop for Consumer {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

fn consume(
    topic: &KafkaSource,
    source: &str,
    answer: oneshot::Sender<Result<(), KafkaError>>,
    batches: &mpsc::Sender<Vec<Arrival>>,
    stop: &CancellationToken,
) {
    let consumer = match connect(topic).and_then(|consumer| assign_ends(&consumer, topic).map(|()| consumer)) {
        Ok(consumer) => consumer,
        Err(error) => return drop(answer.send(Err(error))),
    };
    if answer.send(Ok(())).is_err() {
        return;
    }
    let mut complained = false;
    while !stop.is_cancelled() {
        let mut batch = Vec::new();
        let mut next = consumer.poll(POLL);
        while let Some(polled) = next {
            match polled {
                Ok(message) => {
                    complained = false;
                    batch.push(arrival(source, &message));
                }
                Err(error) if is_final(&error) => {
                    tracing::warn!(topic = topic.topic, %error, "the topic is not what it was; reading it anew");
                    return;
                }
                // The library restores connections by itself; said once, not at every try.
                Err(error) if !complained => {
                    complained = true;
                    tracing::warn!(topic = topic.topic, %error, "Kafka does not answer");
                }
                Err(error) => tracing::debug!(topic = topic.topic, %error, "Kafka does not answer"),
            }
            next = if batch.len() < BATCH_RECORDS_MAX { consumer.poll(Duration::ZERO) } else { None };
        }
        if !batch.is_empty() && batches.blocking_send(batch).is_err() {
            return;
        }
    }
}

fn connect(topic: &KafkaSource) -> Result<BaseConsumer, KafkaError> {
    // Required by the library; no group of this name is ever joined, and no offset is committed.
    let name = format!("voice-feed-{}", Uuid::new_v4());
    ClientConfig::new()
        .set("bootstrap.servers", &topic.brokers)
        .set("client.id", &name)
        .set("group.id", &name)
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        // An offset that is gone is an event to be noticed, not to be skipped over.
        .set("auto.offset.reset", "error")
        .set("isolation.level", "read_uncommitted")
        .set("fetch.wait.max.ms", "50")
        .set("fetch.queue.backoff.ms", "5")
        .set("fetch.error.backoff.ms", "100")
        // Small, so that no partition runs far ahead of the others.
        .set("fetch.message.max.bytes", "262144")
        .set("queued.max.messages.kbytes", "16384")
        .set("reconnect.backoff.ms", "100")
        .set("reconnect.backoff.max.ms", "2000")
        .set("socket.keepalive.enable", "true")
        // There is no group that could take the partitions away from a slow reader; the largest value allowed.
        .set("max.poll.interval.ms", "86400000")
        .create()
}

/// Assigns every partition from its end. Everything that is published after this call began is read.
fn assign_ends(consumer: &BaseConsumer, source: &KafkaSource) -> Result<(), KafkaError> {
    let metadata = consumer.fetch_metadata(Some(&source.topic), ANSWER_WITHIN)?;
    let topic = metadata.topics().first().ok_or(KafkaError::MetadataFetch(RDKafkaErrorCode::UnknownTopic))?;
    if let Some(error) = topic.error() {
        return Err(KafkaError::MetadataFetch(error.into()));
    }
    if topic.partitions().is_empty() {
        return Err(KafkaError::MetadataFetch(RDKafkaErrorCode::LeaderNotAvailable));
    }
    let mut ends = TopicPartitionList::with_capacity(topic.partitions().len());
    for partition in topic.partitions() {
        let (_, end) = consumer.fetch_watermarks(&source.topic, partition.id(), ANSWER_WITHIN)?;
        ends.add_partition_offset(&source.topic, partition.id(), Offset::Offset(end))?;
    }
    consumer.assign(&ends)
}

fn arrival(source: &str, message: &BorrowedMessage<'_>) -> Arrival {
    let headers = message.headers().into_iter().flat_map(|headers| headers.iter());
    let record = cloudevent::decode(source, headers.map(|header| (header.key, header.value)), message.payload());
    Arrival { partition: message.partition(), record }
}

/// Errors after which the partitions have to be looked up again.
fn is_final(error: &KafkaError) -> bool {
    let fatal = matches!(error, KafkaError::MessageConsumptionFatal(_));
    fatal
        || matches!(
            error.rdkafka_error_code(),
            Some(
                RDKafkaErrorCode::AutoOffsetReset
                    | RDKafkaErrorCode::OffsetOutOfRange
                    | RDKafkaErrorCode::UnknownTopic
                    | RDKafkaErrorCode::UnknownTopicOrPartition
                    | RDKafkaErrorCode::UnknownPartition
                    | RDKafkaErrorCode::Fatal
            )
        )
}
