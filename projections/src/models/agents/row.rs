//! What is known of an agent: three independent dimensions, and the one tile drawn from them.

use chrono::{DateTime, Utc};
use domain::agent::{Capability, Presence};
use domain::call::LegNumber;
use domain::{AgentId, CallId, Personal, Position, Version};
use serde::{Deserialize, Serialize};

use crate::models::LegState;

/// What an agent does, as one word for a tile. Of what holds at the same time, the highest precedence is shown:
/// on contact, after-contact work, ringing, presence. Presence and contacts are kept beside it and hide nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Activity {
    /// In a conversation: with a customer, held or not, or with a colleague.
    OnContact,
    /// Working after a conversation.
    AfterContactWork,
    /// The phone rings.
    Ringing,
    /// Ready for a conversation.
    Available,
    /// Away from the desk for a short time.
    Away,
    /// On a paid break.
    OnBreak,
    /// At lunch or dinner.
    AtMeal,
    /// In a meeting.
    InMeeting,
    /// In training.
    InTraining,
    /// Not working.
    SignedOut,
}

impl Activity {
    /// Every activity, highest precedence first.
    pub const ALL: [Self; 10] = [
        Self::OnContact,
        Self::AfterContactWork,
        Self::Ringing,
        Self::Available,
        Self::Away,
        Self::OnBreak,
        Self::AtMeal,
        Self::InMeeting,
        Self::InTraining,
        Self::SignedOut,
    ];

    /// The tile for a presence and the states of the agent's contacts.
    #[must_use]
    pub fn of(presence: Option<Presence>, contacts: impl IntoIterator<Item = LegState>) -> Self {
        let of_contact = |state: LegState| match state {
            LegState::Consulting | LegState::Connected | LegState::OnHold => Some(Self::OnContact),
            LegState::WrapUp => Some(Self::AfterContactWork),
            LegState::Ringing => Some(Self::Ringing),
            LegState::Closed => None,
        };
        // The order of declaration is the order of precedence.
        contacts.into_iter().filter_map(of_contact).min().unwrap_or_else(|| Self::of_presence(presence))
    }

    fn of_presence(presence: Option<Presence>) -> Self {
        match presence {
            None => Self::SignedOut,
            Some(Presence::Available) => Self::Available,
            Some(Presence::Away) => Self::Away,
            Some(Presence::OnBreak) => Self::OnBreak,
            Some(Presence::AtMeal) => Self::AtMeal,
            Some(Presence::InMeeting) => Self::InMeeting,
            Some(Presence::InTraining) => Self::InTraining,
        }
    }
}

/// Who an agent is and what the agent can do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentProfile {
    /// The agent.
    pub agent_id: AgentId,
    /// The agent's name.
    pub name: Personal<String>,
    /// The team, if any.
    pub team: Option<String>,
    /// How many conversations at once.
    pub capacity: u8,
    /// What the agent can do, by name.
    pub capabilities: Vec<Capability>,
}

/// A contact an agent has now: a leg that is not closed. A row of `agent_contacts`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContactRow {
    /// The agent.
    pub agent_id: AgentId,
    /// The call.
    pub call_id: CallId,
    /// The leg.
    pub leg: LegNumber,
    /// What happens on the leg.
    pub state: LegState,
    /// Since when.
    pub state_since: DateTime<Utc>,
    /// Opened by a colleague who asked.
    pub consult: bool,
    /// When it began to ring.
    pub began_at: DateTime<Utc>,
    /// Position of the last event taken in.
    pub position: Position,
}

/// An agent now: a row of `agents` with its capabilities and contacts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentView {
    /// Who the agent is.
    #[serde(flatten)]
    pub profile: AgentProfile,
    /// First dimension, presence. None: signed out.
    pub presence: Option<Presence>,
    /// Why the agent has this presence, or signed out, if that was said.
    pub presence_reason: Option<String>,
    /// Since when. None: never signed in.
    pub presence_since: Option<DateTime<Utc>>,
    /// The tile.
    pub activity: Activity,
    /// Since when. None: never signed in.
    pub activity_since: Option<DateTime<Utc>>,
    /// Second dimension, contacts: in order of their begin.
    pub contacts: Vec<ContactRow>,
    /// Version of the agent's own stream.
    pub version: Version,
    /// Position of the last event taken in, of the agent or of one of its calls.
    pub position: Position,
}

impl AgentView {
    /// Conversations the agent could still be offered, if available: capacity less all contacts, wrap-up among them.
    #[must_use]
    pub fn free_slots(&self) -> usize {
        usize::from(self.profile.capacity).saturating_sub(self.contacts.len())
    }
}

/// What an interval is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Dimension {
    /// Signed out, or a presence. Without gap or overlap from the first sign-in on.
    Presence,
    /// State of one leg. Intervals of different legs may overlap.
    Contact,
    /// The tile. Without gap or overlap from the first sign-in on.
    Activity,
}

/// A row of `agent_intervals`: from when to when something was so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IntervalRow {
    /// The agent.
    pub agent_id: AgentId,
    /// What it is about.
    pub dimension: Dimension,
    /// Position of the event that began it; with agent and dimension, the key.
    pub began_position: Position,
    /// Begin.
    pub began_at: DateTime<Utc>,
    /// End, exclusive. None: still so.
    pub ended_at: Option<DateTime<Utc>>,
    /// Position of the event that ended it.
    pub ended_position: Option<Position>,
    /// What was so: the word of a [`Presence`] or `signed_out`, of a [`LegState`], or of an [`Activity`].
    pub state: String,
    /// Why, on presence, if that was said.
    pub reason: Option<String>,
    /// The call, on a contact.
    pub call_id: Option<CallId>,
    /// The leg, on a contact.
    pub leg: Option<LegNumber>,
}
