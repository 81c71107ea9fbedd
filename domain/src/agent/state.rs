//! What an agent's rules remember, folded from its events.

use std::collections::BTreeMap;

use super::{Event, Presence};
use crate::call::AgentFacts;
use crate::{Label, ShortText, TeamName};

/// An agent, as far as the rules need it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Agent {
    /// The agent exists.
    pub registered: bool,
    /// The agent works now.
    pub signed_in: bool,
    /// Readiness; `None` while signed out.
    pub presence: Option<Presence>,
    /// Why the agent has this presence, if that was said.
    pub presence_reason: Option<ShortText>,
    /// The team, if any.
    pub team: Option<TeamName>,
    /// How many conversations at once.
    pub capacity: u8,
    /// Level of each capability by its name.
    pub capabilities: BTreeMap<Label, u8>,
}

impl Agent {
    /// Signed in and ready for a conversation.
    #[must_use]
    pub fn is_available(&self) -> bool {
        self.signed_in && self.presence == Some(Presence::Available)
    }

    /// What a call's rules need to know about this agent.
    #[must_use]
    pub fn facts(&self) -> AgentFacts {
        AgentFacts { registered: self.registered, available: self.is_available() }
    }

    /// See [`crate::Aggregate::heap_bytes`].
    pub(super) fn heap_bytes(&self) -> usize {
        let reason = self.presence_reason.as_ref().map_or(0, |reason| reason.as_str().len());
        let team = self.team.as_ref().map_or(0, |team| team.as_str().len());
        // Nodes of a tree are half full.
        let capability = |name: &Label| name.as_str().len() + 2 * size_of::<(Label, u8)>();
        reason + team + self.capabilities.keys().map(capability).sum::<usize>()
    }

    /// Takes one event into the state.
    pub(super) fn fold(&mut self, event: &Event) {
        match event {
            Event::Registered(e) => {
                self.registered = true;
                self.team.clone_from(&e.team);
                self.capacity = e.capacity;
                self.capabilities = e.capabilities.iter().map(|c| (c.name.clone(), c.level)).collect();
            }
            Event::SignedIn(e) => {
                self.signed_in = true;
                self.presence = Some(e.presence);
                self.presence_reason = None;
            }
            Event::SignedOut(_) => {
                self.signed_in = false;
                self.presence = None;
                self.presence_reason = None;
            }
            Event::PresenceChanged(e) => {
                self.presence = Some(e.presence);
                self.presence_reason.clone_from(&e.reason);
            }
            Event::CapabilitySet(e) => {
                self.capabilities.insert(e.capability.name.clone(), e.capability.level);
            }
            Event::CapabilityRemoved(e) => {
                self.capabilities.remove(&e.name);
            }
            Event::TeamAssigned(e) => self.team.clone_from(&e.team),
            Event::CapacityChanged(e) => self.capacity = e.capacity,
        }
    }
}
