//! What is known of a call and its legs.

use chrono::{DateTime, Utc};
use domain::call::{Channel, Direction, EndReason, EndedBy, LegNumber};
use domain::{AgentId, CallId, Personal, Position, Version};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::models::{LegState, LegTimes};

/// Where a call is. Exactly one holds at any time; see `state_of` in `fold` for how they are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CallState {
    /// Set up, and nobody has it yet: neither a queue nor an agent.
    Initiated,
    /// The caller waits in a queue and nobody's phone rings.
    Waiting,
    /// An agent's phone rings, and no agent has the customer. The caller may still wait in a queue.
    Offered,
    /// An agent speaks to the customer.
    Connected,
    /// An agent has the customer on hold.
    OnHold,
    /// Passed on, and nobody has it yet: on the way to an agent, or out of the house.
    Transferring,
    /// Over, by one side hanging up or by a rule. Wrap-up may go on: see `wrap_up_open`.
    Ended,
    /// Over: the caller hung up while waiting.
    Abandoned,
    /// Over, by a technical fault. Wrap-up may go on.
    Failed,
}

impl CallState {
    /// Every state.
    pub const ALL: [Self; 9] = [
        Self::Initiated,
        Self::Waiting,
        Self::Offered,
        Self::Connected,
        Self::OnHold,
        Self::Transferring,
        Self::Ended,
        Self::Abandoned,
        Self::Failed,
    ];

    /// The call is over.
    #[must_use]
    pub fn is_over(self) -> bool {
        matches!(self, Self::Ended | Self::Abandoned | Self::Failed)
    }
}

/// Whether a call is being recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RecordingState {
    /// Not recorded, or no more.
    Off,
    /// Being recorded.
    On,
    /// Recording is paused.
    Paused,
}

/// A row of `calls`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallRow {
    /// The call.
    pub call_id: CallId,
    /// Who called whom.
    pub direction: Direction,
    /// By telephone or in writing.
    pub channel: Channel,
    /// The calling number.
    pub from_number: Personal<String>,
    /// The called number.
    pub to_number: Personal<String>,
    /// Name shown for the customer.
    pub customer_name: Option<Personal<String>>,
    /// Language, BCP 47.
    pub language: Option<String>,
    /// Where the call is.
    pub state: CallState,
    /// Since when.
    pub state_since: DateTime<Utc>,
    /// An agent works after the conversation, whether or not the call is over.
    pub wrap_up_open: bool,
    /// The queue last entered; the caller waits in it while `waiting_since` is set.
    pub queue: Option<String>,
    /// The agent who has the customer, or who had it last.
    pub agent_id: Option<AgentId>,
    /// Begin.
    pub initiated_at: DateTime<Utc>,
    /// First time in a queue.
    pub first_queued_at: Option<DateTime<Utc>>,
    /// Begin of the present wait, in `queue`.
    pub waiting_since: Option<DateTime<Utc>>,
    /// First answer by an agent, of the customer.
    pub answered_at: Option<DateTime<Utc>>,
    /// End of the call. Wrap-up may go on.
    pub ended_at: Option<DateTime<Utc>>,
    /// Who ended it: the customer, if abandoned; nobody, if failed.
    pub ended_by: Option<EndedBy>,
    /// Why it ended; none if abandoned or failed.
    pub end_reason: Option<EndReason>,
    /// What went wrong, if failed.
    pub failure: Option<String>,
    /// Wait of the first answer, milliseconds: from entering the queue it was answered from. An offer that was
    /// declined or expired does not begin the wait anew. None: not answered from a queue.
    pub wait_ms: Option<i64>,
    /// All waits in all queues that have ended, however they ended, milliseconds.
    pub wait_total_ms: i64,
    /// Agents speaking to the customer, finished stretches, milliseconds.
    pub talk_ms: i64,
    /// Customer on hold, finished holds, milliseconds.
    pub hold_ms: i64,
    /// Work after the conversation, finished, milliseconds. Of several agents at a time, the sum.
    pub wrap_up_ms: i64,
    /// Times the customer was passed on, blind or after a consultation.
    pub transfers: i32,
    /// The customer can't be heard now.
    pub customer_muted: bool,
    /// The agent who has the customer can't be heard now.
    pub agent_muted: bool,
    /// Whether it is recorded now.
    pub recording: RecordingState,
    /// The last recording.
    pub recording_id: Option<Uuid>,
    /// Result of the wrap-up completed last.
    pub disposition: Option<String>,
    /// Version of the call's stream.
    pub version: Version,
    /// Position of the last event taken in.
    pub position: Position,
}

/// How a leg was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LegKind {
    /// Offered for the customer.
    Primary,
    /// Asked by a colleague. Stays so when the customer is passed on to it.
    Consult,
}

/// How a leg's ringing or conversation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LegOutcome {
    /// Never answered: the agent refused.
    Declined,
    /// Never answered: rang for too long.
    Expired,
    /// Never answered: taken back, because the call ended or the colleague gave up asking.
    Withdrawn,
    /// The call ended on it.
    Completed,
    /// The call was lost on it by a technical fault.
    Failed,
    /// The customer was passed on without speaking to the target first.
    TransferredBlind,
    /// The customer was passed on after a consultation.
    TransferredConsult,
    /// A consultation that ended, and the customer stayed with the one who asked.
    ConsultCancelled,
}

/// A row of `call_legs`: one offer to one agent and what became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LegRow {
    /// The call.
    pub call_id: CallId,
    /// Number within the call, from 1.
    pub leg: LegNumber,
    /// The agent.
    pub agent_id: AgentId,
    /// How it was opened.
    pub kind: LegKind,
    /// The leg whose agent asked, on a consult leg.
    pub consulted_by: Option<LegNumber>,
    /// The queue the caller waited in when it was offered. None: offered directly, or a consult leg.
    pub queue: Option<String>,
    /// When that wait had begun.
    pub enqueued_at: Option<DateTime<Utc>>,
    /// The phone began to ring.
    pub offered_at: DateTime<Utc>,
    /// How long it may ring, milliseconds.
    pub ring_timeout_ms: i64,
    /// The agent answered, the customer or the colleague.
    pub answered_at: Option<DateTime<Utc>>,
    /// The customer was passed on to this consult leg.
    pub took_over_at: Option<DateTime<Utc>>,
    /// The ringing or the conversation ended. Wrap-up comes after it.
    pub ended_at: Option<DateTime<Utc>>,
    /// How. None: not yet, or the call ends in this moment.
    pub outcome: Option<LegOutcome>,
    /// Why it was declined.
    pub decline_reason: Option<String>,
    /// The agent began the work after the conversation.
    pub wrap_up_started_at: Option<DateTime<Utc>>,
    /// The agent finished it.
    pub wrap_up_completed_at: Option<DateTime<Utc>>,
    /// State, and milliseconds in each.
    #[serde(flatten)]
    pub times: LegTimes,
    /// The customer can't be heard on this leg.
    pub customer_muted: bool,
    /// The agent can't be heard on this leg.
    pub agent_muted: bool,
    /// What came of the conversation.
    pub disposition: Option<String>,
    /// What the agent wrote down.
    pub notes: Option<Personal<String>>,
}

impl LegRow {
    /// The agent of this leg has the customer now.
    #[must_use]
    pub fn has_customer(&self) -> bool {
        self.times.state.has_customer()
    }

    /// What happens on the leg now.
    #[must_use]
    pub fn state(&self) -> LegState {
        self.times.state
    }
}

/// A call with its legs, in order of their numbers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallView {
    /// The call.
    pub call: CallRow,
    /// Its legs.
    pub legs: Vec<LegRow>,
}
