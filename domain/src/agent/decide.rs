//! The rules of an agent.

use std::collections::BTreeSet;

use super::event::*;
use super::{Agent, CAPABILITIES_MAX, CAPABILITY_LEVEL_MAX, CAPACITY_MAX, Command, Refusal};
use crate::{Label, PersonName, Personal, ShortText, TeamName};

type Decision = Result<Vec<Event>, Refusal>;

pub(super) fn decide(agent: &Agent, command: Command) -> Decision {
    match (agent.registered, &command) {
        (false, Command::Register { .. }) => {}
        (false, _) => return Err(Refusal::AgentUnknown),
        (true, Command::Register { .. }) => return Err(Refusal::AgentAlreadyRegistered),
        (true, _) => {}
    }
    match command {
        Command::Register { name, team, capacity, capabilities } => register(name, team, capacity, capabilities),
        Command::SignIn { .. } if agent.signed_in => Err(Refusal::AlreadySignedIn),
        Command::SignIn { presence } => one(SignedIn { presence }),
        Command::SignOut { .. } if !agent.signed_in => Err(Refusal::NotSignedIn),
        Command::SignOut { reason } => one(SignedOut { reason }),
        Command::ChangePresence { presence, reason } => change_presence(agent, presence, reason),
        Command::SetCapability { capability } => set_capability(agent, capability),
        Command::RemoveCapability { name } => remove_capability(agent, name),
        Command::AssignTeam { team } if team == agent.team => Err(Refusal::TeamUnchanged),
        Command::AssignTeam { team } => one(TeamAssigned { team }),
        Command::ChangeCapacity { capacity } => change_capacity(agent, capacity),
    }
}

fn one(event: impl Into<Event>) -> Decision {
    Ok(vec![event.into()])
}

fn register(
    name: Personal<PersonName>,
    team: Option<TeamName>,
    capacity: u8,
    capabilities: Vec<Capability>,
) -> Decision {
    capacity_in_range(capacity)?;
    if capabilities.len() > CAPABILITIES_MAX {
        return Err(Refusal::TooManyCapabilities);
    }
    let mut names = BTreeSet::new();
    for capability in &capabilities {
        level_in_range(capability)?;
        if !names.insert(&capability.name) {
            return Err(Refusal::CapabilityDuplicate(capability.name.clone()));
        }
    }
    one(Registered { name, team, capacity, capabilities })
}

fn change_presence(agent: &Agent, presence: Presence, reason: Option<ShortText>) -> Decision {
    if !agent.signed_in {
        return Err(Refusal::NotSignedIn);
    }
    if agent.presence == Some(presence) && agent.presence_reason == reason {
        return Err(Refusal::PresenceUnchanged);
    }
    one(PresenceChanged { presence, reason })
}

fn set_capability(agent: &Agent, capability: Capability) -> Decision {
    level_in_range(&capability)?;
    match agent.capabilities.get(&capability.name) {
        Some(level) if *level == capability.level => Err(Refusal::CapabilityUnchanged(capability.name)),
        None if agent.capabilities.len() >= CAPABILITIES_MAX => Err(Refusal::TooManyCapabilities),
        Some(_) | None => one(CapabilitySet { capability }),
    }
}

fn remove_capability(agent: &Agent, name: Label) -> Decision {
    if !agent.capabilities.contains_key(&name) {
        return Err(Refusal::CapabilityUnknown(name));
    }
    one(CapabilityRemoved { name })
}

fn change_capacity(agent: &Agent, capacity: u8) -> Decision {
    capacity_in_range(capacity)?;
    if capacity == agent.capacity {
        return Err(Refusal::CapacityUnchanged);
    }
    one(CapacityChanged { capacity })
}

fn capacity_in_range(capacity: u8) -> Result<(), Refusal> {
    if (1..=CAPACITY_MAX).contains(&capacity) { Ok(()) } else { Err(Refusal::CapacityOutOfRange) }
}

fn level_in_range(capability: &Capability) -> Result<(), Refusal> {
    let in_range = (1..=CAPABILITY_LEVEL_MAX).contains(&capability.level);
    if in_range { Ok(()) } else { Err(Refusal::CapabilityLevelOutOfRange(capability.name.clone())) }
}
