//! The person who asks.

use commands::User;
use domain::permission::Scope;
use domain::{Actor, AgentId};

/// The person who asks, with what that person may do.
#[derive(Debug, Clone)]
pub(crate) struct Viewer {
    pub(crate) user: User,
}

/// How far a permission goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reach {
    /// Every object.
    All,
    /// Only what belongs to this agent.
    Own(AgentId),
    /// None at all.
    Nothing,
}

impl Viewer {
    pub(crate) fn new(user: User) -> Self {
        Self { user }
    }

    /// The actor written on what this person does.
    pub(crate) fn actor(&self) -> Actor {
        Actor::User(self.user.id)
    }

    /// What this person may see, in words: two with the same words see the same.
    pub(crate) fn scope(&self) -> String {
        let mut permissions: Vec<String> = self.user.permissions.iter().map(ToString::to_string).collect();
        permissions.sort();
        permissions.dedup();
        if permissions.iter().any(|permission| permission.ends_with(":own")) {
            permissions.extend(self.user.agent_id.map(|agent_id| agent_id.to_string()));
        }
        permissions.join(" ")
    }

    /// How far a permission goes for this person.
    pub(crate) fn reach(&self, resource: &str, action: &str) -> Reach {
        let permissions = &self.user.permissions;
        if permissions.allows(resource, action, Scope::Any) {
            return Reach::All;
        }
        match self.user.agent_id {
            Some(agent_id) if permissions.allows(resource, action, Scope::Own) => Reach::Own(agent_id),
            _ => Reach::Nothing,
        }
    }
}
