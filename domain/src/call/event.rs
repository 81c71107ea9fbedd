//! What can happen to a call. Field names and wire names never change once written.

use serde::{Deserialize, Serialize};

use crate::macros::events;
use crate::{AgentId, Label, LongText, PersonName, Personal, PhoneNumber, QueueName, ShortText};

/// Number of a leg within its call: 1, 2, 3, ... One leg is one offer to one agent and what became of it.
pub type LegNumber = u32;

events! {
    /// A fact of a call's life.
    Call:
    /// The call came in, or was started.
    Initiated = "call.initiated", 1;
    /// The caller began to wait in a queue. A second one while waiting means that the caller moved to another queue.
    Queued = "call.queued", 1;
    /// An agent's phone began to ring. Opens a leg.
    Offered = "call.offered", 1;
    /// The agent refused the offer.
    Declined = "call.declined", 1;
    /// The agent let the offer ring until it expired.
    OfferExpired = "call.offer_expired", 1;
    /// The offer was taken back because the call ended while it rang.
    OfferWithdrawn = "call.offer_withdrawn", 1;
    /// The agent took the offer: the leg is connected.
    Answered = "call.answered", 1;
    /// The customer was put on hold.
    Held = "call.held", 1;
    /// The customer was taken off hold.
    Resumed = "call.resumed", 1;
    /// One party can't be heard any more.
    Muted = "call.muted", 1;
    /// The party can be heard again.
    Unmuted = "call.unmuted", 1;
    /// The leg's agent passed the customer on without speaking to the target first. Closes the leg. What comes next for
    /// the customer follows at once: `queued` or `offered`, and nothing when the transfer goes out of the house.
    TransferredBlind = "call.transferred_blind", 1;
    /// The leg's agent calls a colleague while the customer waits. Opens the consult leg.
    ConsultStarted = "call.consult_started", 1;
    /// The leg's agent passed the customer on to the consulted colleague. Closes the leg.
    TransferredConsult = "call.transferred_consult", 1;
    /// The consultation ended: the customer stays with the leg's agent, or the call ends. Closes the consult leg.
    ConsultCancelled = "call.consult_cancelled", 1;
    /// The agent began the work after the conversation.
    WrapUpStarted = "call.wrap_up_started", 1;
    /// The agent finished the work after the conversation.
    WrapUpCompleted = "call.wrap_up_completed", 1;
    /// The call ended. Terminal; wrap-up may still follow.
    Ended = "call.ended", 1;
    /// The caller hung up while waiting. Terminal.
    Abandoned = "call.abandoned", 1;
    /// The call could not be set up or was lost by a technical fault. Terminal; wrap-up may still follow.
    Failed = "call.failed", 1;
    /// Recording began.
    RecordingStarted = "call.recording_started", 1;
    /// Recording paused, for instance while a card number is spoken.
    RecordingPaused = "call.recording_paused", 1;
    /// Recording went on.
    RecordingResumed = "call.recording_resumed", 1;
    /// Recording stopped.
    RecordingStopped = "call.recording_stopped", 1;
}

/// Who called whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// A customer called us.
    Inbound,
    /// We called a customer.
    Outbound,
}

/// How the conversation is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Channel {
    /// By telephone.
    #[default]
    Voice,
    /// In writing.
    Chat,
}

/// One side of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Party {
    /// The customer.
    Customer,
    /// The agent.
    Agent,
}

/// Who ended a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EndedBy {
    /// The customer hung up.
    Customer,
    /// The agent hung up.
    Agent,
    /// A supervisor ended the call.
    Supervisor,
    /// A rule of this system, such as closing time.
    System,
    /// The telephone network.
    Provider,
}

/// Why a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EndReason {
    /// The conversation was over.
    Completed,
    /// The other side was busy.
    Busy,
    /// Nobody answered.
    NoAnswer,
    /// The other side refused.
    Rejected,
    /// The call was cut by a time limit.
    TimeLimit,
    /// The queue closed or overflowed.
    QueueClosed,
    /// Anything else.
    Other,
}

/// Where a transfer goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum TransferTarget {
    /// To one agent.
    Agent {
        /// The agent.
        agent_id: AgentId,
    },
    /// To whoever serves a queue.
    Queue {
        /// The queue.
        queue: QueueName,
    },
    /// Out of the house.
    External {
        /// The number dialled.
        number: Personal<PhoneNumber>,
    },
}

/// See [`Event::Initiated`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Initiated {
    /// Who called whom.
    pub direction: Direction,
    /// By telephone or in writing.
    #[serde(default)]
    pub channel: Channel,
    /// The number that called.
    pub from: Personal<PhoneNumber>,
    /// The number that was called.
    pub to: Personal<PhoneNumber>,
    /// Name shown for the customer, where one is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub customer_name: Option<Personal<PersonName>>,
    /// Language of the conversation, BCP 47, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<Label>,
}

/// See [`Event::Queued`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Queued {
    /// The queue.
    pub queue: QueueName,
    /// Higher is served first; 0 is normal.
    #[serde(default)]
    pub priority: i16,
}

/// See [`Event::Offered`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Offered {
    /// The new leg.
    pub leg: LegNumber,
    /// The agent whose phone rings.
    pub agent_id: AgentId,
    /// How long it may ring, in milliseconds.
    pub ring_timeout_ms: u32,
}

/// See [`Event::Declined`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Declined {
    /// The leg.
    pub leg: LegNumber,
    /// Its agent.
    pub agent_id: AgentId,
    /// Why, if the agent said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<ShortText>,
}

/// A leg and its agent, and nothing else to say.
macro_rules! leg_facts {
    ($($name:ident),+) => {$(
        #[doc = concat!("See [`Event::", stringify!($name), "`].")]
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
        pub struct $name {
            /// The leg.
            pub leg: LegNumber,
            /// Its agent.
            pub agent_id: AgentId,
        }
    )+};
}
leg_facts!(OfferExpired, OfferWithdrawn, Answered, Held, Resumed, WrapUpStarted);

/// See [`Event::Muted`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Muted {
    /// The leg.
    pub leg: LegNumber,
    /// Who can't be heard.
    pub party: Party,
}

/// See [`Event::Unmuted`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Unmuted {
    /// The leg.
    pub leg: LegNumber,
    /// Who can be heard again.
    pub party: Party,
}

/// See [`Event::TransferredBlind`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TransferredBlind {
    /// The leg that closes.
    pub leg: LegNumber,
    /// Its agent.
    pub agent_id: AgentId,
    /// Where the customer goes.
    pub target: TransferTarget,
}

/// See [`Event::ConsultStarted`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ConsultStarted {
    /// The leg whose agent asks.
    pub leg: LegNumber,
    /// The new leg of the colleague, ringing.
    pub consult_leg: LegNumber,
    /// The colleague.
    pub agent_id: AgentId,
    /// How long it may ring, in milliseconds.
    pub ring_timeout_ms: u32,
}

/// See [`Event::TransferredConsult`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TransferredConsult {
    /// The leg that closes.
    pub leg: LegNumber,
    /// Its agent.
    pub agent_id: AgentId,
    /// The leg the customer goes on with.
    pub to_leg: LegNumber,
    /// Its agent.
    pub to_agent_id: AgentId,
}

/// See [`Event::ConsultCancelled`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ConsultCancelled {
    /// The leg whose agent asked.
    pub leg: LegNumber,
    /// The consult leg, closed.
    pub consult_leg: LegNumber,
}

/// See [`Event::WrapUpCompleted`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WrapUpCompleted {
    /// The leg.
    pub leg: LegNumber,
    /// Its agent.
    pub agent_id: AgentId,
    /// What came of the conversation.
    pub disposition: Label,
    /// What the agent wrote down.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notes: Option<Personal<LongText>>,
}

/// See [`Event::Ended`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Ended {
    /// Who ended it.
    pub by: EndedBy,
    /// Why.
    pub reason: EndReason,
}

/// See [`Event::Abandoned`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Abandoned {
    /// The queue the caller waited in.
    pub queue: QueueName,
}

/// See [`Event::Failed`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Failed {
    /// What went wrong.
    pub reason: ShortText,
}

/// See [`Event::RecordingStarted`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RecordingStarted {
    /// Identity of the recording.
    pub recording_id: uuid::Uuid,
}

/// See [`Event::RecordingPaused`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RecordingPaused {
    /// The recording.
    pub recording_id: uuid::Uuid,
    /// Why, such as `card payment`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<ShortText>,
}

/// See [`Event::RecordingResumed`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RecordingResumed {
    /// The recording.
    pub recording_id: uuid::Uuid,
}

/// See [`Event::RecordingStopped`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RecordingStopped {
    /// The recording.
    pub recording_id: uuid::Uuid,
}
