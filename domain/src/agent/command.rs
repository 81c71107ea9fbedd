//! What can be asked of an agent.

use super::{Capability, Presence};
use crate::{Label, PersonName, Personal, ShortText, TeamName};

/// Most conversations an agent may hold at once; the fewest is 1.
pub const CAPACITY_MAX: u8 = 20;
/// Highest level of a capability; the lowest is 1.
pub const CAPABILITY_LEVEL_MAX: u8 = 10;
/// Most capabilities an agent may have.
pub const CAPABILITIES_MAX: usize = 100;

/// An order to an agent.
#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    /// Make the agent known.
    Register {
        /// The agent's name.
        name: Personal<PersonName>,
        /// The team, if any.
        team: Option<TeamName>,
        /// How many conversations at once, 1 to [`CAPACITY_MAX`].
        capacity: u8,
        /// What the agent can do, each named once.
        capabilities: Vec<Capability>,
    },
    /// Begin to work.
    SignIn {
        /// The presence to begin with.
        presence: Presence,
    },
    /// Stop working.
    SignOut {
        /// Why.
        reason: Option<ShortText>,
    },
    /// Become available, go on break, ...
    ChangePresence {
        /// The new presence.
        presence: Presence,
        /// Why.
        reason: Option<ShortText>,
    },
    /// Add a capability, or correct the level of one.
    SetCapability {
        /// The capability with its level, 1 to [`CAPABILITY_LEVEL_MAX`].
        capability: Capability,
    },
    /// Take a capability away.
    RemoveCapability {
        /// Its name.
        name: Label,
    },
    /// Join a team, move to another, or leave.
    AssignTeam {
        /// The new team; `None`: leave the old one.
        team: Option<TeamName>,
    },
    /// Change how many conversations the agent can hold at once.
    ChangeCapacity {
        /// How many, 1 to [`CAPACITY_MAX`].
        capacity: u8,
    },
}
