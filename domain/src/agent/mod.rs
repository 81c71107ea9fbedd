//! An agent's working state: signed in or not, presence, team, skills and how many conversations at once.
//!
//! It deliberately does not know which conversations the agent has: those are facts of calls, and one agent's calls are
//! counted by a read model.

mod command;
mod decide;
mod event;
mod refusal;
mod state;

pub use command::{CAPABILITIES_MAX, CAPABILITY_LEVEL_MAX, CAPACITY_MAX, Command};
pub use event::{
    Capability, CapabilityRemoved, CapabilitySet, CapacityChanged, Event, Presence, PresenceChanged, Registered,
    SignedIn, SignedOut, TeamAssigned,
};
pub use refusal::Refusal;
pub use state::Agent;

use crate::{Aggregate, Category};

impl Aggregate for Agent {
    const CATEGORY: Category = Category::Agent;
    type Command = Command;
    type Event = Event;
    type Refusal = Refusal;

    fn decide(&self, command: Command) -> Result<Vec<Event>, Refusal> {
        decide::decide(self, command)
    }

    fn apply(&mut self, event: &Event) {
        self.fold(event);
    }

    fn heap_bytes(&self) -> usize {
        self.heap_bytes()
    }
}

#[cfg(test)]
mod tests;
