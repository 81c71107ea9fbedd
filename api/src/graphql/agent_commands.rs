//! Commands to agents.

use async_graphql::{Context, InputObject, Object, Result};
use domain::agent::{Agent, Capability, Command};
use domain::{Label, PersonName, Personal, ShortText, TeamName};
use uuid::Uuid;

use super::command::{CommandInput, CommandResult, Order, meant_agent};
use super::scalars::{Presence, optional, text};
use crate::auth::{Permit, Require};
use crate::error::bad_input;

/// Something an agent can do, and how well.
#[derive(InputObject)]
struct CapabilityInput {
    /// What: a language, a product, a task.
    name: String,
    /// How well, from 1 (learning) to 10 (expert).
    level: u8,
}

impl CapabilityInput {
    fn parse(&self) -> Result<Capability> {
        Ok(Capability { name: text("capability.name", &self.name, Label::parse)?, level: self.level })
    }
}

/// A new agent.
#[derive(InputObject)]
struct RegisterAgentInput {
    /// Identity of the new agent; made here when absent.
    agent_id: Option<Uuid>,
    /// The agent's name.
    name: String,
    /// The team.
    team: Option<String>,
    /// How many conversations at once, 1 to 20.
    #[graphql(default = 1)]
    capacity: u8,
    /// What the agent can do.
    #[graphql(default)]
    capabilities: Vec<CapabilityInput>,
    /// Identity and expectation of the command.
    #[graphql(flatten)]
    command: CommandInput,
}

/// Begin of work.
#[derive(InputObject)]
struct SignInAgentInput {
    /// The agent; absent: the viewer's own.
    agent_id: Option<Uuid>,
    /// The presence to begin with.
    #[graphql(default_with = "Presence::Available")]
    presence: Presence,
    /// Identity and expectation of the command.
    #[graphql(flatten)]
    command: CommandInput,
}

/// End of work.
#[derive(InputObject)]
struct SignOutAgentInput {
    /// The agent; absent: the viewer's own.
    agent_id: Option<Uuid>,
    /// Why.
    reason: Option<String>,
    /// Identity and expectation of the command.
    #[graphql(flatten)]
    command: CommandInput,
}

/// A new presence.
#[derive(InputObject)]
struct ChangePresenceInput {
    /// The agent; absent: the viewer's own.
    agent_id: Option<Uuid>,
    /// The new presence.
    presence: Presence,
    /// Why.
    reason: Option<String>,
    /// Identity and expectation of the command.
    #[graphql(flatten)]
    command: CommandInput,
}

/// A capability with its level.
#[derive(InputObject)]
struct SetCapabilityInput {
    /// The agent.
    agent_id: Uuid,
    /// The capability.
    capability: CapabilityInput,
    /// Identity and expectation of the command.
    #[graphql(flatten)]
    command: CommandInput,
}

/// A capability to take away.
#[derive(InputObject)]
struct RemoveCapabilityInput {
    /// The agent.
    agent_id: Uuid,
    /// Name of the capability.
    name: String,
    /// Identity and expectation of the command.
    #[graphql(flatten)]
    command: CommandInput,
}

/// A team for an agent.
#[derive(InputObject)]
struct AssignTeamInput {
    /// The agent.
    agent_id: Uuid,
    /// The team; absent: the agent leaves the team.
    team: Option<String>,
    /// Identity and expectation of the command.
    #[graphql(flatten)]
    command: CommandInput,
}

/// A capacity for an agent.
#[derive(InputObject)]
struct ChangeCapacityInput {
    /// The agent.
    agent_id: Uuid,
    /// How many conversations at once, 1 to 20.
    capacity: u8,
    /// Identity and expectation of the command.
    #[graphql(flatten)]
    command: CommandInput,
}

/// Commands to agents.
#[derive(Default)]
pub(crate) struct AgentCommands;

/// Gives a command to an agent that needs `agent:<action>`.
async fn give(
    context: &Context<'_>,
    action: &str,
    agent_id: Uuid,
    input: &CommandInput,
    command: Command,
) -> Result<CommandResult> {
    context.permit("agent", action, &[agent_id])?;
    Order::new(context, agent_id, input)?.give::<Agent>(command).await
}

#[Object]
impl AgentCommands {
    /// Make an agent known.
    #[graphql(guard = "Require(\"agent\", \"create\")")]
    async fn register_agent(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "The command.")] input: RegisterAgentInput,
    ) -> Result<CommandResult> {
        let agent_id = match (input.agent_id, input.command.command_id) {
            (Some(agent_id), _) => agent_id,
            (None, None) => Uuid::now_v7(),
            (None, Some(_)) => {
                return Err(bad_input("agentId", "AGENT_ID_MISSING", "a command with an id needs an agentId, too"));
            }
        };
        let command = Command::Register {
            name: Personal::new(text("name", &input.name, PersonName::parse)?),
            team: optional("team", input.team.as_deref(), TeamName::parse)?,
            capacity: input.capacity,
            capabilities: input.capabilities.iter().map(CapabilityInput::parse).collect::<Result<_>>()?,
        };
        give(context, "create", agent_id, &input.command, command).await
    }

    /// Begin to work.
    #[graphql(guard = "Require(\"agent\", \"update\")")]
    async fn sign_in_agent(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "The command.")] input: SignInAgentInput,
    ) -> Result<CommandResult> {
        let agent_id = meant_agent(context, input.agent_id)?;
        let command = Command::SignIn { presence: input.presence.into() };
        give(context, "update", agent_id, &input.command, command).await
    }

    /// Stop working.
    #[graphql(guard = "Require(\"agent\", \"update\")")]
    async fn sign_out_agent(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "The command.")] input: SignOutAgentInput,
    ) -> Result<CommandResult> {
        let agent_id = meant_agent(context, input.agent_id)?;
        let command = Command::SignOut { reason: optional("reason", input.reason.as_deref(), ShortText::parse)? };
        give(context, "update", agent_id, &input.command, command).await
    }

    /// Become available, or go on break, to lunch, into a meeting, ...
    #[graphql(guard = "Require(\"agent\", \"update\")")]
    async fn change_presence(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "The command.")] input: ChangePresenceInput,
    ) -> Result<CommandResult> {
        let agent_id = meant_agent(context, input.agent_id)?;
        let reason = optional("reason", input.reason.as_deref(), ShortText::parse)?;
        let command = Command::ChangePresence { presence: input.presence.into(), reason };
        give(context, "update", agent_id, &input.command, command).await
    }

    /// Add a capability, or correct its level.
    #[graphql(guard = "Require(\"agent\", \"manage\")")]
    async fn set_capability(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "The command.")] input: SetCapabilityInput,
    ) -> Result<CommandResult> {
        let command = Command::SetCapability { capability: input.capability.parse()? };
        give(context, "manage", input.agent_id, &input.command, command).await
    }

    /// Take a capability away.
    #[graphql(guard = "Require(\"agent\", \"manage\")")]
    async fn remove_capability(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "The command.")] input: RemoveCapabilityInput,
    ) -> Result<CommandResult> {
        let command = Command::RemoveCapability { name: text("name", &input.name, Label::parse)? };
        give(context, "manage", input.agent_id, &input.command, command).await
    }

    /// Put an agent into a team, or take the agent out of it.
    #[graphql(guard = "Require(\"agent\", \"manage\")")]
    async fn assign_team(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "The command.")] input: AssignTeamInput,
    ) -> Result<CommandResult> {
        let command = Command::AssignTeam { team: optional("team", input.team.as_deref(), TeamName::parse)? };
        give(context, "manage", input.agent_id, &input.command, command).await
    }

    /// Change how many conversations an agent can hold at once.
    #[graphql(guard = "Require(\"agent\", \"manage\")")]
    async fn change_capacity(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "The command.")] input: ChangeCapacityInput,
    ) -> Result<CommandResult> {
        let command = Command::ChangeCapacity { capacity: input.capacity };
        give(context, "manage", input.agent_id, &input.command, command).await
    }
}
