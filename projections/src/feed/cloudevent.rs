//! The Kafka record of an event: CloudEvents 1.0, binary content mode (Kafka protocol binding), read back.
//!
//! `position` and `prev` are ours: the event's place in the log, and the position of the record before it in the same
//! partition.

use std::str::{FromStr, from_utf8};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use domain::{Actor, Category, Position, Recorded, StreamName, Version};
use serde_json::value::RawValue;
use uuid::Uuid;

/// The one version of CloudEvents that is written.
const SPEC_VERSION: &str = "1.0";

/// An event as Kafka brought it.
#[derive(Debug)]
pub(super) struct Record {
    /// The event.
    pub(super) event: Arc<Recorded>,
    /// Position of the record before it in the same partition; 0: none.
    pub(super) prev: Position,
}

/// Why a record was ignored.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refused {
    /// It belongs to another log, such as one that was restored or replaced.
    #[error("the record comes from {found:?}, not from {expected:?}")]
    ForeignStore { expected: String, found: String },
    #[error("the record has no header {0:?}")]
    Missing(&'static str),
    #[error("header {name:?} of the record can't be read: {value:?}")]
    Header { name: &'static str, value: String },
    #[error("the record's payload is not JSON")]
    Payload(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// `ce_source` of a log's records.
pub(super) fn source(epoch: Uuid) -> String {
    format!("voice/{epoch}")
}

/// Reads a record of the log that is named by `source`.
pub(super) fn decode<'a>(
    source: &str,
    headers: impl Iterator<Item = (&'a str, Option<&'a [u8]>)>,
    payload: Option<&[u8]>,
) -> Result<Record, Refused> {
    let headers = Headers::collect(headers);
    let found = headers.text(SOURCE)?;
    if found != source {
        return Err(Refused::ForeignStore { expected: source.to_owned(), found: found.to_owned() });
    }
    if headers.text(SPECVERSION)? != SPEC_VERSION {
        return Err(headers.unreadable(SPECVERSION));
    }
    let payload = from_utf8(payload.unwrap_or_default()).map_err(|error| Refused::Payload(error.into()))?;
    let payload = RawValue::from_string(payload.to_owned()).map_err(|error| Refused::Payload(error.into()))?;
    let event = Recorded {
        id: headers.parsed::<Uuid>(ID)?,
        position: headers.parsed::<Position>(POSITION)?,
        stream: stream(&headers)?,
        version: headers.parsed::<Version>(STREAM_VERSION)?,
        event_type: headers.text(TYPE)?.to_owned(),
        schema_version: headers.parsed::<i16>(SCHEMA)?,
        occurred_at: headers.time(TIME)?,
        recorded_at: headers.time(RECORDED_TIME)?,
        actor: headers.parsed::<Actor>(ACTOR)?,
        correlation_id: headers.parsed::<Uuid>(CORRELATION_ID)?,
        causation_id: headers.optional(CAUSATION_ID).map(|_| headers.parsed::<Uuid>(CAUSATION_ID)).transpose()?,
        trace: headers.optional(TRACEPARENT).map(|_| headers.text(TRACEPARENT)).transpose()?.map(str::to_owned),
        payload,
    };
    Ok(Record { event: Arc::new(event), prev: headers.parsed::<Position>(PREV)? })
}

/// `ce_subject` is the stream's name: category, hyphen, id.
fn stream(headers: &Headers<'_>) -> Result<StreamName, Refused> {
    let subject = headers.text(SUBJECT)?;
    let named = subject.split_once('-').and_then(|(category, id)| {
        Some(StreamName { category: category.parse::<Category>().ok()?, id: id.parse::<Uuid>().ok()? })
    });
    named.ok_or_else(|| headers.unreadable(SUBJECT))
}

/// Index of a header in [`NAMES`].
type Name = usize;
const SPECVERSION: Name = 0;
const ID: Name = 1;
const SOURCE: Name = 2;
const TYPE: Name = 3;
const TIME: Name = 4;
const SUBJECT: Name = 5;
const POSITION: Name = 6;
const PREV: Name = 7;
const STREAM_VERSION: Name = 8;
const SCHEMA: Name = 9;
const RECORDED_TIME: Name = 10;
const ACTOR: Name = 11;
const CORRELATION_ID: Name = 12;
const CAUSATION_ID: Name = 13;
const TRACEPARENT: Name = 14;
const NAMES: [&str; 15] = [
    "ce_specversion",
    "ce_id",
    "ce_source",
    "ce_type",
    "ce_time",
    "ce_subject",
    "position",
    "prev",
    "stream_version",
    "schema",
    "recordedtime",
    "actor",
    "correlationid",
    "causationid",
    "traceparent",
];

/// The headers that matter; others are for other readers.
struct Headers<'a>([Option<&'a [u8]>; NAMES.len()]);

impl<'a> Headers<'a> {
    fn collect(headers: impl Iterator<Item = (&'a str, Option<&'a [u8]>)>) -> Self {
        let mut values = [None; NAMES.len()];
        for (name, value) in headers {
            if let Some(index) = NAMES.iter().position(|known| *known == name) {
                values[index] = value;
            }
        }
        Self(values)
    }

    fn optional(&self, name: Name) -> Option<&'a [u8]> {
        self.0[name]
    }

    fn text(&self, name: Name) -> Result<&'a str, Refused> {
        let value = self.0[name].ok_or(Refused::Missing(NAMES[name]))?;
        from_utf8(value).map_err(|_| self.unreadable(name))
    }

    fn parsed<T: FromStr>(&self, name: Name) -> Result<T, Refused> {
        self.text(name)?.parse().map_err(|_| self.unreadable(name))
    }

    fn time(&self, name: Name) -> Result<DateTime<Utc>, Refused> {
        let parsed = DateTime::parse_from_rfc3339(self.text(name)?).map_err(|_| self.unreadable(name))?;
        Ok(parsed.with_timezone(&Utc))
    }

    fn unreadable(&self, name: Name) -> Refused {
        let value = String::from_utf8_lossy(self.0[name].unwrap_or_default()).into_owned();
        Refused::Header { name: NAMES[name], value }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test ends where its world is not as expected")]

    use super::*;

    const EPOCH: Uuid = Uuid::from_u128(7);
    const STREAM: &str = "0192f0c1-2b3a-7c4d-8e5f-001122334455";

    fn headers() -> Vec<(&'static str, &'static str)> {
        vec![
            ("ce_specversion", "1.0"),
            ("ce_id", "0192f0c1-0000-7000-8000-000000000001"),
            ("ce_source", "voice/00000000-0000-0000-0000-000000000007"),
            ("ce_type", "call.queued"),
            ("ce_time", "2026-11-23T05:06:07.123456Z"),
            ("ce_subject", "call-0192f0c1-2b3a-7c4d-8e5f-001122334455"),
            ("ce_partitionkey", STREAM),
            ("content-type", "application/json"),
            ("position", "42"),
            ("prev", "17"),
            ("epoch", "3"),
            ("stream_version", "2"),
            ("schema", "1"),
            ("recordedtime", "2026-11-23T05:06:07.000001Z"),
            ("actor", "system:test"),
            ("correlationid", STREAM),
            ("causationid", STREAM),
            ("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
        ]
    }

    fn read(headers: &[(&'static str, &'static str)], payload: &str) -> Result<Record, Refused> {
        let headers = headers.iter().map(|(name, value)| (*name, Some(value.as_bytes())));
        decode(&source(EPOCH), headers, Some(payload.as_bytes()))
    }

    fn with(name: &'static str, value: Option<&'static str>) -> Vec<(&'static str, &'static str)> {
        let mut headers = headers();
        headers.retain(|(known, _)| *known != name);
        headers.extend(value.map(|value| (name, value)));
        headers
    }

    #[test]
    fn everything_comes_back_to_the_byte_and_the_microsecond() {
        let payload = r#"{"queue":  "sales"}"#;
        let record = read(&headers(), payload).unwrap();
        assert_eq!(record.prev, 17);
        let event = record.event;
        assert_eq!((event.position, event.version, event.schema_version), (42, 2, 1));
        assert_eq!(event.stream.to_string(), format!("call-{STREAM}"));
        assert_eq!(event.occurred_at.to_rfc3339(), "2026-11-23T05:06:07.123456+00:00");
        assert_eq!(event.recorded_at.timestamp_subsec_nanos(), 1_000);
        assert_eq!(event.actor, Actor::system("test"));
        assert_eq!(event.causation_id, Some(STREAM.parse().unwrap()));
        assert_eq!(event.trace.as_deref(), Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"));
        assert_eq!(event.payload.get(), payload);
    }

    #[test]
    fn what_may_be_missing_may_be_missing() {
        let mut headers = with("causationid", None);
        headers.retain(|(name, _)| *name != "traceparent" && *name != "epoch");
        let event = read(&headers, "{}").unwrap().event;
        assert_eq!((event.causation_id, event.trace.as_deref()), (None, None));
    }

    #[test]
    fn records_of_another_log_are_refused_before_anything_else_is_read() {
        let mut foreign = with("ce_source", Some("voice/00000000-0000-0000-0000-000000000008"));
        foreign.retain(|(name, _)| *name != "position");
        assert!(matches!(read(&foreign, "{}"), Err(Refused::ForeignStore { .. })));
    }

    #[test]
    fn damaged_records_are_refused_by_name() {
        for name in NAMES.iter().filter(|name| !["causationid", "traceparent"].contains(*name)) {
            assert!(matches!(read(&with(name, None), "{}"), Err(Refused::Missing(missing)) if missing == *name));
        }
        for name in ["ce_id", "ce_time", "ce_subject", "position", "prev", "actor", "causationid", "ce_specversion"] {
            let error = read(&with(name, Some("?")), "{}");
            assert!(matches!(error, Err(Refused::Header { name: bad, .. }) if bad == name), "{name}: {error:?}");
        }
        assert!(matches!(read(&headers(), "{"), Err(Refused::Payload(_))));
    }
}
