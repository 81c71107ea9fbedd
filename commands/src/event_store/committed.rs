//! What this process has committed, for those in it who follow the log: they need not read what has just been written.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use domain::{Committed, Position, Recorded, Version};
use serde_json::value::RawValue;
use tokio::sync::{broadcast, watch};

use super::queue::Pending;
use super::statement::Verdict;

/// Batches that wait for a slow follower before it is told that it lagged.
pub const COMMITTED_WAITING_MAX: usize = 64;
/// Bytes of payloads in one of these batches; those who follow read a larger one from the table. A thousand segments are a third
/// of that.
pub const COMMITTED_BATCH_BYTES_MAX: usize = 1024 * 1024;

/// The epoch of PostgreSQL's timestamps, 2000-01-01, in seconds of Unix time.
const TIMESTAMP_EPOCH_S: i64 = 946_684_800;

/// Tells those who follow.
pub(super) struct Told {
    head: watch::Sender<Position>,
    committed: broadcast::Sender<Committed>,
}

impl Told {
    pub(super) fn new(head: watch::Sender<Position>) -> Self {
        Self { head, committed: broadcast::Sender::new(COMMITTED_WAITING_MAX) }
    }

    pub(super) fn sender(&self) -> broadcast::Sender<Committed> {
        self.committed.clone()
    }

    /// The events of a batch, where somebody follows, everything about them is known, and they may wait in memory.
    pub(super) fn events(&self, batch: &[Pending], verdicts: &[Verdict]) -> Option<Committed> {
        if self.committed.receiver_count() == 0 || payload_bytes(batch) > COMMITTED_BATCH_BYTES_MAX {
            return None;
        }
        let mut events = Vec::with_capacity(batch.len());
        for (pending, verdict) in batch.iter().zip(verdicts) {
            match *verdict {
                Verdict::Appended { version, position, recorded_at: Some(at) } => {
                    events.extend(recorded(pending, version, position, at)?);
                }
                Verdict::Appended { recorded_at: None, .. } => return None,
                Verdict::Conflict { .. } | Verdict::AlreadyApplied { .. } => {}
            }
        }
        (!events.is_empty()).then(|| Arc::new(events))
    }

    /// Tells of what is committed now.
    pub(super) fn tell(&self, head: Position, events: Option<Committed>) {
        if let Some(events) = events {
            // They may have gone meanwhile.
            drop(self.committed.send(events));
        }
        self.head.send_if_modified(|known| {
            let moved = head > *known;
            *known = head.max(*known);
            moved
        });
    }
}

fn payload_bytes(batch: &[Pending]) -> usize {
    batch.iter().flat_map(|pending| &pending.append.events).map(|event| event.payload.len()).sum()
}

/// An append's events as they are stored. `version` and `position` are those of the last one. `None`: a payload is no JSON, which
/// the database would not have taken.
fn recorded(
    pending: &Pending,
    version: Version,
    position: Position,
    recorded_at: DateTime<Utc>,
) -> Option<Vec<Arc<Recorded>>> {
    let append = &pending.append;
    let count = i64::try_from(append.events.len()).ok()?;
    let event = |(nth, event): (i64, &super::NewEvent)| {
        Some(Arc::new(Recorded {
            id: event.id,
            position: position - count + nth,
            stream: append.stream,
            version: version - count + nth,
            event_type: event.event_type.to_owned(),
            schema_version: event.schema_version,
            occurred_at: as_stored(event.occurred_at)?,
            recorded_at,
            actor: event.actor.clone(),
            correlation_id: event.correlation_id,
            causation_id: event.causation_id,
            trace: event.trace.clone(),
            payload: RawValue::from_string(event.payload.clone()).ok()?,
        }))
    };
    (1..).zip(&append.events).map(event).collect()
}

/// A time as PostgreSQL keeps it: whole microseconds from its epoch, the rest of one is left out.
fn as_stored(at: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let epoch = DateTime::from_timestamp(TIMESTAMP_EPOCH_S, 0)?;
    Some(epoch + TimeDelta::microseconds((at - epoch).num_microseconds()?))
}

#[cfg(test)]
mod tests {
    use domain::{Actor, Category, StreamName};
    use tokio::sync::oneshot;
    use uuid::Uuid;

    use super::*;
    use crate::event_store::{Append, Expected, NewEvent};

    fn appended(payload_bytes: usize) -> (Pending, Verdict) {
        let stream = StreamName { category: Category::Transcript, id: Uuid::from_u128(1) };
        let event = NewEvent {
            id: Uuid::from_u128(2),
            event_type: "transcript.segment_added",
            schema_version: 1,
            occurred_at: Utc::now(),
            actor: Actor::system("test"),
            correlation_id: stream.id,
            causation_id: None,
            trace: None,
            payload: format!("\"{}\"", "x".repeat(payload_bytes - 2)),
        };
        let append = Append { key: "a".to_owned(), stream, expected: Expected::Exact(0), events: vec![event] };
        let verdict = Verdict::Appended { version: 1, position: 1, recorded_at: Some(Utc::now()) };
        (Pending { append, reply: oneshot::channel().0 }, verdict)
    }

    #[test]
    fn what_is_too_large_to_wait_in_memory_is_left_to_the_table() {
        let told = Told::new(watch::Sender::new(0));
        let _follower = told.sender().subscribe();
        for (bytes, handed) in [(COMMITTED_BATCH_BYTES_MAX, true), (COMMITTED_BATCH_BYTES_MAX + 1, false)] {
            let (pending, verdict) = appended(bytes);
            assert_eq!(told.events(&[pending], &[verdict]).is_some(), handed, "{bytes}");
        }
    }
}
