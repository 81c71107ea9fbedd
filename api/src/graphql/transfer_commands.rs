//! Commands that pass a customer on.

use async_graphql::{Context, InputObject, Object, OneofObject, Result};
use commands::EventStore;
use domain::QueueName;
use domain::agent::Agent;
use domain::call::{Call, Command, Destination};
use uuid::Uuid;

use super::call_commands::{LegInput, RING_TIMEOUT_MS, update};
use super::command::{CommandInput, CommandResult, Order};
use super::permit::{Doer, permit_call};
use super::scalars::{phone, text};
use crate::auth::Require;

/// Where a transfer goes: exactly one of these.
#[derive(OneofObject)]
enum TransferTargetInput {
    /// To one agent, whose phone rings.
    AgentId(Uuid),
    /// To whoever serves a queue.
    Queue(String),
    /// Out of the house, to a number in international form.
    ExternalNumber(String),
}

/// A transfer without speaking to the target first.
#[derive(InputObject)]
struct TransferBlindInput {
    /// The call.
    call_id: Uuid,
    /// The leg; absent: the one the customer is connected to.
    leg: Option<u32>,
    /// Where to.
    target: TransferTargetInput,
    /// How long the phone of an agent may ring, in milliseconds, 1 to 300000.
    #[graphql(default_with = "RING_TIMEOUT_MS")]
    ring_timeout_ms: u32,
    /// Priority in a queue; higher is served first.
    #[graphql(default)]
    priority: i16,
    /// Identity and expectation of the command.
    #[graphql(flatten)]
    command: CommandInput,
}

/// A colleague to ask.
#[derive(InputObject)]
struct StartConsultInput {
    /// The call.
    call_id: Uuid,
    /// The leg; absent: the one the customer is connected to.
    leg: Option<u32>,
    /// The colleague.
    agent_id: Uuid,
    /// How long it may ring, in milliseconds, 1 to 300000.
    #[graphql(default_with = "RING_TIMEOUT_MS")]
    ring_timeout_ms: u32,
    /// Identity and expectation of the command.
    #[graphql(flatten)]
    command: CommandInput,
}

/// Commands that pass a customer on.
#[derive(Default)]
pub(crate) struct TransferCommands;

#[Object]
impl TransferCommands {
    /// Pass the customer on without speaking to the target first. The leg's agent begins the wrap-up.
    #[graphql(guard = "Require(\"call\", \"update\")")]
    async fn transfer_blind(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "The command.")] input: TransferBlindInput,
    ) -> Result<CommandResult> {
        permit_call(context, "call", "update", input.call_id, Doer::Leg(input.leg), &input.command).await?;
        let (leg, ring_timeout_ms, priority) = (input.leg, input.ring_timeout_ms, input.priority);
        let order = Order::new(context, input.call_id, &input.command)?;
        let to = match input.target {
            TransferTargetInput::AgentId(agent_id) => {
                let command = |store: EventStore| async move {
                    let agent = store.aggregate::<Agent>(agent_id).await?.state.facts();
                    let to = Destination::Agent { agent_id, agent, ring_timeout_ms };
                    Ok(Command::TransferBlind { leg, to })
                };
                return order.give_with::<Call, _>(command).await;
            }
            TransferTargetInput::Queue(queue) => {
                Destination::Queue { queue: text("target.queue", &queue, QueueName::parse)?, priority }
            }
            TransferTargetInput::ExternalNumber(number) => {
                Destination::External { number: phone("target.externalNumber", &number)? }
            }
        };
        order.give::<Call>(Command::TransferBlind { leg, to }).await
    }

    /// Call a colleague while the customer is on hold.
    #[graphql(guard = "Require(\"call\", \"update\")")]
    async fn start_consult(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "The command.")] input: StartConsultInput,
    ) -> Result<CommandResult> {
        permit_call(context, "call", "update", input.call_id, Doer::Leg(input.leg), &input.command).await?;
        let (leg, agent_id, ring_timeout_ms) = (input.leg, input.agent_id, input.ring_timeout_ms);
        Order::new(context, input.call_id, &input.command)?
            .give_with::<Call, _>(|store: EventStore| async move {
                let agent = store.aggregate::<Agent>(agent_id).await?.state.facts();
                Ok(Command::StartConsult { leg, agent_id, agent, ring_timeout_ms })
            })
            .await
    }

    /// Pass the customer on to the consulted colleague. The leg's agent begins the wrap-up.
    #[graphql(guard = "Require(\"call\", \"update\")")]
    async fn transfer_consult(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "The command.")] input: LegInput,
    ) -> Result<CommandResult> {
        update(context, input.call_id, &input.command, Command::TransferConsult { leg: input.leg }).await
    }

    /// End the consultation and keep the customer, who stays on hold.
    #[graphql(guard = "Require(\"call\", \"update\")")]
    async fn cancel_consult(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "The command.")] input: LegInput,
    ) -> Result<CommandResult> {
        update(context, input.call_id, &input.command, Command::CancelConsult { leg: input.leg }).await
    }
}
