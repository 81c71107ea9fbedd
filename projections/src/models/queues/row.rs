//! What is known of a queue and of the waits in it.

use chrono::{DateTime, Utc};
use domain::{AgentId, CallId, Position};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Name space of the ids of queues; chosen once, never changed.
const QUEUE_NAMESPACE: Uuid = Uuid::from_u128(0x6f1d_3a54_0c0e_4f0b_9a57_2d4f_8f1b_7c21);

/// The id of a queue: derived from its name, so that a queue needs no registration.
#[must_use]
pub fn queue_key(name: &str) -> Uuid {
    Uuid::new_v5(&QUEUE_NAMESPACE, name.as_bytes())
}

/// A row of `queues`: a queue that a call has ever waited in. One that is empty is a row with 0 waiting.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueueRow {
    /// See [`queue_key`].
    pub queue_id: Uuid,
    /// Its name.
    pub name: String,
    /// Callers who wait now.
    pub waiting: i32,
    /// Begin of the longest wait of those. The age is this against the time of the question.
    pub oldest_enqueued_at: Option<DateTime<Utc>>,
    /// Position of the last event taken in.
    pub position: Position,
}

/// How a wait in a queue ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EntryOutcome {
    /// An agent answered.
    Answered,
    /// The caller hung up.
    Abandoned,
    /// The caller moved to another queue. Never an abandonment.
    FlowOut,
    /// The call was ended by somebody else than the caller.
    Ended,
    /// The call was lost by a technical fault.
    Failed,
}

/// A row of `queue_entries`: one wait of one call in one queue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EntryRow {
    /// The call.
    pub call_id: CallId,
    /// Number of the wait within the call, from 1.
    pub entry: i32,
    /// The queue.
    pub queue: String,
    /// Higher is served first; 0 is normal.
    pub priority: i16,
    /// Begin. An offer that is declined or expires leaves it as it is.
    pub enqueued_at: DateTime<Utc>,
    /// End.
    pub left_at: Option<DateTime<Utc>>,
    /// How it ended.
    pub outcome: Option<EntryOutcome>,
    /// Who answered.
    pub agent_id: Option<AgentId>,
    /// How long it took, milliseconds.
    pub wait_ms: Option<i64>,
    /// Agents' phones that rang during this wait, whatever came of it.
    pub offers: i32,
    /// Offers that were not answered because the agent declined.
    pub declined: i32,
    /// Offers that were not answered because they rang too long.
    pub expired: i32,
    /// Offers that were not answered because the call ended while the phone rang: no fault of the agent.
    pub withdrawn: i32,
    /// Position of the last event taken in.
    pub position: Position,
}

/// A call that waits now, with its place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WaitingRow {
    /// The wait.
    #[serde(flatten)]
    pub entry: EntryRow,
    /// Place in its queue, from 1: by priority, then by begin, then by call id.
    pub place: i64,
}
