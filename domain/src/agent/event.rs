//! What can happen to an agent's working state. Field names and wire names never change once written.

use serde::{Deserialize, Serialize};

use crate::macros::events;
use crate::{Label, PersonName, Personal, ShortText, TeamName};

events! {
    /// A fact of an agent's working life.
    Agent:
    /// The agent was made known.
    Registered = "agent.registered", 1;
    /// The agent began to work.
    SignedIn = "agent.signed_in", 1;
    /// The agent stopped working.
    SignedOut = "agent.signed_out", 1;
    /// The agent became available, or went on break, to lunch, into a meeting, ...
    PresenceChanged = "agent.presence_changed", 1;
    /// The agent learned something, or a level was corrected.
    CapabilitySet = "agent.capability_set", 1;
    /// A capability was taken away.
    CapabilityRemoved = "agent.capability_removed", 1;
    /// The agent joined a team, moved to another, or left.
    TeamAssigned = "agent.team_assigned", 1;
    /// The number of conversations the agent can hold at once changed.
    CapacityChanged = "agent.capacity_changed", 1;
}

/// Whether an agent who is signed in can be offered a conversation, and if not, why in broad terms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Presence {
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
}

impl Presence {
    /// Every presence.
    pub const ALL: [Self; 6] =
        [Self::Available, Self::Away, Self::OnBreak, Self::AtMeal, Self::InMeeting, Self::InTraining];
}

/// Something an agent can do, and how well.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Capability {
    /// What: a language, a product, a task.
    pub name: Label,
    /// How well, from 1 (learning) to 10 (expert).
    pub level: u8,
}

/// See [`Event::Registered`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Registered {
    /// The agent's name.
    pub name: Personal<PersonName>,
    /// The team, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub team: Option<TeamName>,
    /// How many conversations at once.
    pub capacity: u8,
    /// What the agent can do.
    #[serde(default)]
    pub capabilities: Vec<Capability>,
}

/// See [`Event::SignedIn`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SignedIn {
    /// The presence the agent begins with.
    pub presence: Presence,
}

/// See [`Event::SignedOut`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SignedOut {
    /// Why, such as `end of shift`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<ShortText>,
}

/// See [`Event::PresenceChanged`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PresenceChanged {
    /// The new presence.
    pub presence: Presence,
    /// Why, in the agent's words or from the house's list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<ShortText>,
}

/// See [`Event::CapabilitySet`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CapabilitySet {
    /// The capability with its new level.
    pub capability: Capability,
}

/// See [`Event::CapabilityRemoved`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CapabilityRemoved {
    /// The capability's name.
    pub name: Label,
}

/// See [`Event::TeamAssigned`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TeamAssigned {
    /// The new team; none: the agent left the old one.
    pub team: Option<TeamName>,
}

/// See [`Event::CapacityChanged`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CapacityChanged {
    /// How many conversations at once.
    pub capacity: u8,
}
