//! Guards in front of fields.

use async_graphql::{Context, Guard, Result};
use domain::AgentId;
use domain::permission::Scope;

use super::{Reach, Viewer, permission};
use crate::error::{forbidden, unauthenticated};

/// Lets a field be resolved when the viewer has the permission, if only for what is the viewer's own; a field that
/// depends on ownership then asks [`Permit`] for the object at hand.
pub(crate) struct Require(pub(crate) &'static str, pub(crate) &'static str);

impl Guard for Require {
    async fn check(&self, context: &Context<'_>) -> Result<()> {
        context.reach(self.0, self.1).map(drop)
    }
}

/// Lets a field be resolved when the viewer has the permission for every object: for fields in which nothing belongs to
/// anybody, so that `:own` opens none of them.
pub(crate) struct RequireAll(pub(crate) &'static str, pub(crate) &'static str);

impl Guard for RequireAll {
    async fn check(&self, context: &Context<'_>) -> Result<()> {
        match context.reach(self.0, self.1)? {
            Reach::All => Ok(()),
            Reach::Own(_) | Reach::Nothing => Err(forbidden(&permission(self.0, self.1, Scope::Any))),
        }
    }
}

/// Questions about the viewer.
pub(crate) trait Permit {
    /// The viewer, or the error that nobody is signed in.
    fn viewer(&self) -> Result<&Viewer>;

    /// How far the viewer's permission goes; an error when there is none.
    fn reach(&self, resource: &str, action: &str) -> Result<Reach> {
        match self.viewer()?.reach(resource, action) {
            Reach::Nothing => Err(forbidden(&permission(resource, action, Scope::Any))),
            reach => Ok(reach),
        }
    }

    /// The permission for an object that belongs to these agents.
    fn permit(&self, resource: &str, action: &str, owners: &[AgentId]) -> Result<()> {
        match self.reach(resource, action)? {
            Reach::Own(agent_id) if !owners.contains(&agent_id) => {
                Err(forbidden(&permission(resource, action, Scope::Any)))
            }
            _ => Ok(()),
        }
    }
}

impl Permit for Context<'_> {
    fn viewer(&self) -> Result<&Viewer> {
        self.data_opt::<Viewer>().ok_or_else(unauthenticated)
    }
}
