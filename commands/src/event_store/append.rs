//! What is appended, and what is answered.

use chrono::{DateTime, Utc};
use domain::{Actor, Position, StreamName, Version};
use uuid::Uuid;

/// The version a stream must have for an append to be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    /// Whatever it is.
    Any,
    /// Exactly this one; 0: the stream must not exist yet.
    Exact(Version),
}

/// An event to be appended.
#[derive(Debug, Clone)]
pub struct NewEvent {
    /// Identity, UUIDv7.
    pub id: Uuid,
    /// Wire name.
    pub event_type: &'static str,
    /// Shape of the payload.
    pub schema_version: i16,
    /// When it happened.
    pub occurred_at: DateTime<Utc>,
    /// Who caused it.
    pub actor: Actor,
    /// Groups what came from one beginning.
    pub correlation_id: Uuid,
    /// The command or event that led to it.
    pub causation_id: Option<Uuid>,
    /// W3C `traceparent`.
    pub trace: Option<String>,
    /// JSON text, stored verbatim.
    pub payload: String,
}

/// One append: some events, to one stream, once.
#[derive(Debug, Clone)]
pub struct Append {
    /// Idempotency key. The second append under a key changes nothing and is answered like the first.
    pub key: String,
    /// The stream.
    pub stream: StreamName,
    /// The version it must have.
    pub expected: Expected,
    /// The events, in order.
    pub events: Vec<NewEvent>,
}

/// The answer to an append that is in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Appended {
    /// Version of the stream after the append.
    pub version: Version,
    /// Position of the append's last event.
    pub position: Position,
    /// An earlier append under the same key did it.
    pub already_applied: bool,
}

/// What an idempotency key stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyRecord {
    /// The key.
    pub key: String,
    /// The stream appended to.
    pub stream: StreamName,
    /// Its version after the append.
    pub version: Version,
    /// Position of the last event.
    pub position: Position,
}

/// Why an append was not taken.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// Somebody else was faster.
    #[error("the stream is at version {actual}")]
    Conflict {
        /// Version the stream really has.
        actual: Version,
    },
    /// Too many appends wait; nothing was done, try again shortly.
    #[error("too many appends are waiting")]
    Overloaded,
    /// The process is ending; nothing was done.
    #[error("the event store is shutting down")]
    ShuttingDown,
    /// The connection broke and could not be restored in time to find out. Sending the same append again is safe.
    #[error("it is not known whether the append was committed")]
    OutcomeUnknown,
    /// An append has at least one event and not too many.
    #[error("an append holds from 1 to {count_max} events, not {count}")]
    EventCount {
        /// How many there were.
        count: usize,
        /// How many there may be.
        count_max: usize,
    },
    /// The database refused it; nothing was done by this try, but an earlier one under the same key, whose outcome is not
    /// known, may have been applied.
    #[error("the database refused the append")]
    Refused(#[source] sqlx::Error),
}
