//! The rules of an agent that can say no.

use super::{CAPABILITIES_MAX, CAPABILITY_LEVEL_MAX, CAPACITY_MAX};
use crate::Label;

/// A rule that forbids a command on an agent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "the message is the documentation of each rule")]
pub enum Refusal {
    #[error("there is no such agent")]
    AgentUnknown,
    #[error("an agent with this id has been registered before")]
    AgentAlreadyRegistered,
    #[error("the agent is signed in already")]
    AlreadySignedIn,
    #[error("the agent is not signed in")]
    NotSignedIn,
    #[error("the agent already has this presence for this reason")]
    PresenceUnchanged,
    #[error("level of capability {0} must be from 1 to {CAPABILITY_LEVEL_MAX}")]
    CapabilityLevelOutOfRange(Label),
    #[error("capability {0} is named more than once")]
    CapabilityDuplicate(Label),
    #[error("the agent already has capability {0} at this level")]
    CapabilityUnchanged(Label),
    #[error("the agent does not have capability {0}")]
    CapabilityUnknown(Label),
    #[error("an agent can't have more than {CAPABILITIES_MAX} capabilities")]
    TooManyCapabilities,
    #[error("the agent already is in this team, or in none")]
    TeamUnchanged,
    #[error("capacity must be from 1 to {CAPACITY_MAX} conversations")]
    CapacityOutOfRange,
    #[error("the agent already has this capacity")]
    CapacityUnchanged,
}

impl crate::Refusal for Refusal {
    fn rule(&self) -> &'static str {
        match self {
            Self::AgentUnknown => "AGENT_UNKNOWN",
            Self::AgentAlreadyRegistered => "AGENT_ALREADY_REGISTERED",
            Self::AlreadySignedIn => "ALREADY_SIGNED_IN",
            Self::NotSignedIn => "NOT_SIGNED_IN",
            Self::PresenceUnchanged => "PRESENCE_UNCHANGED",
            Self::CapabilityLevelOutOfRange(_) => "CAPABILITY_LEVEL_OUT_OF_RANGE",
            Self::CapabilityDuplicate(_) => "CAPABILITY_DUPLICATE",
            Self::CapabilityUnchanged(_) => "CAPABILITY_UNCHANGED",
            Self::CapabilityUnknown(_) => "CAPABILITY_UNKNOWN",
            Self::TooManyCapabilities => "TOO_MANY_CAPABILITIES",
            Self::TeamUnchanged => "TEAM_UNCHANGED",
            Self::CapacityOutOfRange => "CAPACITY_OUT_OF_RANGE",
            Self::CapacityUnchanged => "CAPACITY_UNCHANGED",
        }
    }
}
