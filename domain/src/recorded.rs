//! An event as it was stored: the envelope, and the wire format.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use uuid::Uuid;

use crate::Actor;

/// Place of an event in the log: 1, 2, 3, ... without a hole, in commit order. 0 is "before the first".
pub type Position = i64;
/// Place of an event in its stream: 1, 2, 3, ... without a hole. 0 is "no stream yet".
pub type Version = i64;

/// Kind of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Category {
    /// Life of a call and its legs.
    Call,
    /// Working state of an agent.
    Agent,
    /// What was said in a call.
    Transcript,
    /// How it was said.
    Sentiment,
}

impl Category {
    /// Every category.
    pub const ALL: [Self; 4] = [Self::Call, Self::Agent, Self::Transcript, Self::Sentiment];

    /// Name on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Call => "call",
            Self::Agent => "agent",
            Self::Transcript => "transcript",
            Self::Sentiment => "sentiment",
        }
    }
}

impl fmt::Display for Category {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A category that this program does not know.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown stream category {0:?}")]
pub struct UnknownCategory(pub String);

impl FromStr for Category {
    type Err = UnknownCategory;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|c| c.as_str() == text).ok_or_else(|| UnknownCategory(text.to_owned()))
    }
}

/// Name of a stream: its category and the identity of what it tells about. A call's own stream, its transcript and its
/// sentiment share the call's identity, so one identity finds everything that was recorded about a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct StreamName {
    /// Kind of stream.
    pub category: Category,
    /// Call id or agent id. Also the key that chooses the Kafka partition.
    pub id: Uuid,
}

impl fmt::Display for StreamName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.category, self.id)
    }
}

/// A stored event with its envelope. Its JSON is the wire format.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Recorded {
    /// Identity of the event, UUIDv7.
    pub id: Uuid,
    /// Place in the log.
    pub position: Position,
    /// Stream it belongs to.
    pub stream: StreamName,
    /// Place in the stream.
    pub version: Version,
    /// Wire name, such as `call.answered`.
    #[serde(rename = "type")]
    pub event_type: String,
    /// Shape of the payload, counted from 1 for each type.
    pub schema_version: i16,
    /// When it happened, by the clock of the one who said so.
    pub occurred_at: DateTime<Utc>,
    /// When it was stored, by the clock of the database.
    pub recorded_at: DateTime<Utc>,
    /// Who caused it.
    pub actor: Actor,
    /// Groups everything that came from one beginning, such as one incoming call.
    pub correlation_id: Uuid,
    /// The command or event that led to it directly.
    pub causation_id: Option<Uuid>,
    /// W3C `traceparent` of the request.
    pub trace: Option<String>,
    /// The event itself, verbatim as stored.
    pub payload: Box<RawValue>,
}

/// Events that were committed together, in order and without a gap, as they are stored.
pub type Committed = Arc<Vec<Arc<Recorded>>>;
