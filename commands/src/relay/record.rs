//! The Kafka record of an event: CloudEvents 1.0, binary content mode (Kafka protocol binding), with the extension
//! attributes that make loss and repetition visible to a consumer.

use chrono::SecondsFormat;
use domain::{Position, Recorded};
use rdkafka::message::{Header, OwnedHeaders};
use uuid::Uuid;

/// Where a record stands in the topic.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    /// Position of the record before it in the same partition; 0: none.
    pub(super) previous: Position,
    /// Epoch of the relay's lease.
    pub(super) epoch: i64,
    /// Identity of the log.
    pub(super) store: Uuid,
}

/// Headers of an event's record. `position` and `prev` let a consumer drop what it has seen and notice what it has not:
/// in a partition, each record's `prev` is the `position` of the one before.
pub(super) fn headers(event: &Recorded, place: Place) -> OwnedHeaders {
    let time = |at: chrono::DateTime<chrono::Utc>| at.to_rfc3339_opts(SecondsFormat::Micros, true);
    let mut headers = OwnedHeaders::new_with_capacity(18);
    let mut add = |key: &str, value: &str| {
        headers = std::mem::take(&mut headers).insert(Header { key, value: Some(value) });
    };
    add("ce_specversion", "1.0");
    add("ce_id", &event.id.to_string());
    add("ce_source", &format!("voice/{}", place.store));
    add("ce_type", &event.event_type);
    add("ce_time", &time(event.occurred_at));
    add("ce_subject", &event.stream.to_string());
    add("ce_partitionkey", &event.stream.id.to_string());
    add("content-type", "application/json");
    add("position", &event.position.to_string());
    add("prev", &place.previous.to_string());
    add("epoch", &place.epoch.to_string());
    add("stream_version", &event.version.to_string());
    add("schema", &event.schema_version.to_string());
    add("recordedtime", &time(event.recorded_at));
    add("actor", &event.actor.to_string());
    add("correlationid", &event.correlation_id.to_string());
    if let Some(causation) = event.causation_id {
        add("causationid", &causation.to_string());
    }
    if let Some(trace) = &event.trace {
        add("traceparent", trace);
    }
    headers
}
