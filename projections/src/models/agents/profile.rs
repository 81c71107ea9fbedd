//! Who an agent is, folded from the agent's own stream alone.

use domain::Personal;
use domain::agent::{Capability, Event};

use super::AgentProfile;
use crate::Decoded;

impl AgentProfile {
    /// Takes one event in. Events of other streams, and whatever comes before the registration, change nothing.
    ///
    /// Folding an agent's events up to an instant gives the profile as it was then.
    #[must_use]
    pub fn fold(profile: Option<Self>, decoded: &Decoded) -> Option<Self> {
        let domain::Event::Agent(event) = &decoded.event else {
            return profile;
        };
        let agent_id = decoded.recorded.stream.id;
        match (profile, event) {
            (Some(profile), _) if profile.agent_id != agent_id => Some(profile),
            (_, Event::Registered(e)) => {
                let mut profile = Self {
                    agent_id,
                    name: Personal::new(e.name.reveal().to_string()),
                    team: e.team.as_ref().map(ToString::to_string),
                    capacity: e.capacity,
                    capabilities: Vec::with_capacity(e.capabilities.len()),
                };
                e.capabilities.iter().for_each(|capability| profile.set(capability));
                Some(profile)
            }
            (Some(mut profile), _) => {
                profile.take(event);
                Some(profile)
            }
            (None, _) => None,
        }
    }

    fn take(&mut self, event: &Event) {
        match event {
            Event::CapabilitySet(e) => self.set(&e.capability),
            Event::CapabilityRemoved(e) => self.capabilities.retain(|held| held.name != e.name),
            Event::TeamAssigned(e) => self.team = e.team.as_ref().map(ToString::to_string),
            Event::CapacityChanged(e) => self.capacity = e.capacity,
            Event::Registered(_) | Event::SignedIn(_) | Event::SignedOut(_) | Event::PresenceChanged(_) => {}
        }
    }

    fn set(&mut self, capability: &Capability) {
        match self.capabilities.binary_search_by(|held| held.name.cmp(&capability.name)) {
            Ok(found) => self.capabilities[found].level = capability.level,
            Err(place) => self.capabilities.insert(place, capability.clone()),
        }
    }
}
