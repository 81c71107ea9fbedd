//! What can be asked of a call.

use uuid::Uuid;

use super::{Channel, Direction, EndReason, EndedBy, LegNumber, Party};
use crate::{AgentId, Label, LongText, PersonName, Personal, PhoneNumber, QueueName, ShortText};

/// Longest time an offer may ring, in milliseconds.
pub const RING_TIMEOUT_MS_MAX: u32 = 300_000;

/// What is known about an agent at the moment of the command, looked up by the one who gives it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AgentFacts {
    /// The agent exists.
    pub registered: bool,
    /// The agent is signed in and ready for a conversation.
    pub available: bool,
}

/// Where a blind transfer shall go, with what the rules need to know about it.
#[derive(Debug, Clone, PartialEq)]
pub enum Destination {
    /// To one agent, whose phone begins to ring.
    Agent {
        /// The agent.
        agent_id: AgentId,
        /// What is known about the agent now.
        agent: AgentFacts,
        /// How long it may ring, in milliseconds, 1 to [`RING_TIMEOUT_MS_MAX`].
        ring_timeout_ms: u32,
    },
    /// To whoever serves a queue.
    Queue {
        /// The queue.
        queue: QueueName,
        /// Higher is served first; 0 is normal.
        priority: i16,
    },
    /// Out of the house.
    External {
        /// The number to dial.
        number: Personal<PhoneNumber>,
    },
}

/// An order to a call. Where a command takes `leg: None`, the one connected leg that is not a consultation is meant.
#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    /// A call came in, or shall go out.
    Initiate {
        /// Who calls whom.
        direction: Direction,
        /// By telephone or in writing.
        channel: Channel,
        /// The calling number.
        from: Personal<PhoneNumber>,
        /// The called number.
        to: Personal<PhoneNumber>,
        /// Name shown for the customer.
        customer_name: Option<Personal<PersonName>>,
        /// Language, BCP 47.
        language: Option<Label>,
    },
    /// Let the caller wait in a queue, or move to another one.
    Queue {
        /// The queue.
        queue: QueueName,
        /// Higher is served first; 0 is normal.
        priority: i16,
    },
    /// Let an agent's phone ring.
    Offer {
        /// The agent.
        agent_id: AgentId,
        /// What is known about the agent now.
        agent: AgentFacts,
        /// How long it may ring, in milliseconds, 1 to [`RING_TIMEOUT_MS_MAX`].
        ring_timeout_ms: u32,
    },
    /// The agent refuses the offer.
    Decline {
        /// The agent.
        agent_id: AgentId,
        /// Why.
        reason: Option<ShortText>,
    },
    /// The offer rang for too long.
    ExpireOffer {
        /// The agent.
        agent_id: AgentId,
        /// The leg that rang for too long. A timer names it, so that a late one does not cut off a newer offer to the
        /// same agent; `None`: whichever rings.
        leg: Option<LegNumber>,
    },
    /// The agent takes the offer.
    Answer {
        /// The agent.
        agent_id: AgentId,
    },
    /// Put the customer on hold.
    Hold {
        /// The leg.
        leg: Option<LegNumber>,
    },
    /// Take the customer off hold.
    Resume {
        /// The leg.
        leg: Option<LegNumber>,
    },
    /// Silence one party.
    Mute {
        /// The leg.
        leg: Option<LegNumber>,
        /// The party.
        party: Party,
    },
    /// Let the party be heard again.
    Unmute {
        /// The leg.
        leg: Option<LegNumber>,
        /// The party.
        party: Party,
    },
    /// Pass the customer on without speaking to the target first.
    TransferBlind {
        /// The leg.
        leg: Option<LegNumber>,
        /// Where to.
        to: Destination,
    },
    /// Call a colleague while the customer is on hold.
    StartConsult {
        /// The leg.
        leg: Option<LegNumber>,
        /// The colleague.
        agent_id: AgentId,
        /// What is known about the colleague now.
        agent: AgentFacts,
        /// How long it may ring, in milliseconds, 1 to [`RING_TIMEOUT_MS_MAX`].
        ring_timeout_ms: u32,
    },
    /// Pass the customer on to the consulted colleague.
    TransferConsult {
        /// The leg.
        leg: Option<LegNumber>,
    },
    /// End the consultation and keep the customer.
    CancelConsult {
        /// The leg.
        leg: Option<LegNumber>,
    },
    /// Finish the work after the conversation.
    CompleteWrapUp {
        /// The leg; `None`: the one leg in wrap-up.
        leg: Option<LegNumber>,
        /// What came of it.
        disposition: Label,
        /// Notes.
        notes: Option<Personal<LongText>>,
    },
    /// End the call. By the customer while waiting in a queue, this is an abandonment.
    End {
        /// Who ends it.
        by: EndedBy,
        /// Why.
        reason: EndReason,
    },
    /// The caller hung up while waiting in a queue.
    Abandon,
    /// The call was lost by a technical fault.
    Fail {
        /// What went wrong.
        reason: ShortText,
    },
    /// Begin recording.
    StartRecording {
        /// Identity of the new recording.
        recording_id: Uuid,
    },
    /// Pause recording.
    PauseRecording {
        /// Why.
        reason: Option<ShortText>,
    },
    /// Go on recording.
    ResumeRecording,
    /// Stop recording.
    StopRecording,
}
