//! Commands to calls.

use async_graphql::{Context, InputObject, Object, Result};
use commands::EventStore;
use domain::agent::Agent;
use domain::call::{Call, Command};
use domain::{Label, LongText, PersonName, Personal, QueueName, ShortText};
use uuid::Uuid;

use super::command::{CommandInput, CommandResult, Order, meant_agent};
use super::permit::{Doer, permit_call};
use super::scalars::{Channel, Direction, EndReason, EndedBy, Party, optional, phone, text};
use crate::auth::Require;
use crate::error::bad_input;

/// How long an offer rings where nothing else is said, in milliseconds.
pub(crate) const RING_TIMEOUT_MS: u32 = 20_000;

/// A call that came in or shall go out.
#[derive(InputObject)]
struct InitiateCallInput {
    /// Identity of the new call; made here when absent.
    call_id: Option<Uuid>,
    /// Who calls whom.
    direction: Direction,
    /// By telephone or in writing.
    #[graphql(default_with = "Channel::Voice")]
    channel: Channel,
    /// The calling number, in international form.
    from: String,
    /// The called number, in international form.
    to: String,
    /// Name shown for the customer.
    customer_name: Option<String>,
    /// Language of the conversation, BCP 47.
    language: Option<String>,
    /// Identity and expectation of the command.
    #[graphql(flatten)]
    command: CommandInput,
}

/// A call, and nothing more to say.
#[derive(InputObject)]
pub(crate) struct CallInput {
    /// The call.
    pub(crate) call_id: Uuid,
    /// Identity and expectation of the command.
    #[graphql(flatten)]
    pub(crate) command: CommandInput,
}

/// A queue for a call.
#[derive(InputObject)]
struct QueueCallInput {
    /// The call.
    call_id: Uuid,
    /// The queue.
    queue: String,
    /// Higher is served first.
    #[graphql(default)]
    priority: i16,
    /// Identity and expectation of the command.
    #[graphql(flatten)]
    command: CommandInput,
}

/// An agent for a call.
#[derive(InputObject)]
struct OfferCallInput {
    /// The call.
    call_id: Uuid,
    /// The agent.
    agent_id: Uuid,
    /// How long it may ring, in milliseconds, 1 to 300000.
    #[graphql(default_with = "RING_TIMEOUT_MS")]
    ring_timeout_ms: u32,
    /// Identity and expectation of the command.
    #[graphql(flatten)]
    command: CommandInput,
}

/// An offer that is not taken.
#[derive(InputObject)]
struct DeclineOfferInput {
    /// The call.
    call_id: Uuid,
    /// The agent; absent: the viewer's own.
    agent_id: Option<Uuid>,
    /// Why.
    reason: Option<String>,
    /// Identity and expectation of the command.
    #[graphql(flatten)]
    command: CommandInput,
}

/// An offer that rang for too long.
#[derive(InputObject)]
struct ExpireOfferInput {
    /// The call.
    call_id: Uuid,
    /// The agent.
    agent_id: Uuid,
    /// The offer's leg; absent: the one that rings.
    leg: Option<u32>,
    /// Identity and expectation of the command.
    #[graphql(flatten)]
    command: CommandInput,
}

/// An offer that is taken.
#[derive(InputObject)]
struct AnswerCallInput {
    /// The call.
    call_id: Uuid,
    /// The agent; absent: the viewer's own.
    agent_id: Option<Uuid>,
    /// Identity and expectation of the command.
    #[graphql(flatten)]
    command: CommandInput,
}

/// A leg of a call.
#[derive(InputObject)]
pub(crate) struct LegInput {
    /// The call.
    pub(crate) call_id: Uuid,
    /// The leg; absent: the one the customer is connected to.
    pub(crate) leg: Option<u32>,
    /// Identity and expectation of the command.
    #[graphql(flatten)]
    pub(crate) command: CommandInput,
}

/// A party on a leg.
#[derive(InputObject)]
struct MuteInput {
    /// The call.
    call_id: Uuid,
    /// The leg; absent: the one the customer is connected to.
    leg: Option<u32>,
    /// The party.
    party: Party,
    /// Identity and expectation of the command.
    #[graphql(flatten)]
    command: CommandInput,
}

/// The end of the work after a conversation.
#[derive(InputObject)]
struct CompleteWrapUpInput {
    /// The call.
    call_id: Uuid,
    /// The leg; absent: the one in wrap-up.
    leg: Option<u32>,
    /// What came of the conversation, a word from the house's list.
    disposition: String,
    /// Notes, at most 4000 characters.
    notes: Option<String>,
    /// Identity and expectation of the command.
    #[graphql(flatten)]
    command: CommandInput,
}

/// The end of a call.
#[derive(InputObject)]
struct EndCallInput {
    /// The call.
    call_id: Uuid,
    /// Who ends it.
    by: EndedBy,
    /// Why.
    #[graphql(default_with = "EndReason::Completed")]
    reason: EndReason,
    /// Identity and expectation of the command.
    #[graphql(flatten)]
    command: CommandInput,
}

/// A call and a reason.
#[derive(InputObject)]
struct FailCallInput {
    /// The call.
    call_id: Uuid,
    /// What went wrong.
    reason: String,
    /// Identity and expectation of the command.
    #[graphql(flatten)]
    command: CommandInput,
}

/// Commands to calls.
#[derive(Default)]
pub(crate) struct CallCommands;

/// Gives a command that needs `call:update` for the call.
pub(crate) async fn update(
    context: &Context<'_>,
    call_id: Uuid,
    input: &CommandInput,
    command: Command,
) -> Result<CommandResult> {
    permit_call(context, "call", "update", call_id, Doer::of(&command), input).await?;
    Order::new(context, call_id, input)?.give::<Call>(command).await
}

#[Object]
impl CallCommands {
    /// A call came in, or shall go out.
    #[graphql(guard = "Require(\"call\", \"create\")")]
    async fn initiate_call(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "The command.")] input: InitiateCallInput,
    ) -> Result<CommandResult> {
        // A new id for a repeated command would be another call: then both ids have to come from the client.
        let call_id = match (input.call_id, input.command.command_id) {
            (Some(call_id), _) => call_id,
            (None, None) => Uuid::now_v7(),
            (None, Some(_)) => {
                return Err(bad_input("callId", "CALL_ID_MISSING", "a command with an id needs a callId, too"));
            }
        };
        let command = Command::Initiate {
            direction: input.direction.into(),
            channel: input.channel.into(),
            from: phone("from", &input.from)?,
            to: phone("to", &input.to)?,
            customer_name: optional("customerName", input.customer_name.as_deref(), PersonName::parse)?
                .map(Personal::new),
            language: optional("language", input.language.as_deref(), Label::parse)?,
        };
        Order::new(context, call_id, &input.command)?.give::<Call>(command).await
    }

    /// Let the caller wait in a queue, or move to another one.
    #[graphql(guard = "Require(\"call\", \"route\")")]
    async fn queue_call(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "The command.")] input: QueueCallInput,
    ) -> Result<CommandResult> {
        permit_call(context, "call", "route", input.call_id, Doer::Anyone, &input.command).await?;
        let queue = text("queue", &input.queue, QueueName::parse)?;
        let command = Command::Queue { queue, priority: input.priority };
        Order::new(context, input.call_id, &input.command)?.give::<Call>(command).await
    }

    /// Let an agent's phone ring.
    #[graphql(guard = "Require(\"call\", \"route\")")]
    async fn offer_call(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "The command.")] input: OfferCallInput,
    ) -> Result<CommandResult> {
        let (agent_id, ring_timeout_ms) = (input.agent_id, input.ring_timeout_ms);
        permit_call(context, "call", "route", input.call_id, Doer::Anyone, &input.command).await?;
        Order::new(context, input.call_id, &input.command)?
            .give_with::<Call, _>(|store: EventStore| async move {
                let agent = store.aggregate::<Agent>(agent_id).await?.state.facts();
                Ok(Command::Offer { agent_id, agent, ring_timeout_ms })
            })
            .await
    }

    /// The agent refuses the offer.
    #[graphql(guard = "Require(\"call\", \"update\")")]
    async fn decline_offer(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "The command.")] input: DeclineOfferInput,
    ) -> Result<CommandResult> {
        let agent_id = meant_agent(context, input.agent_id)?;
        let reason = optional("reason", input.reason.as_deref(), ShortText::parse)?;
        update(context, input.call_id, &input.command, Command::Decline { agent_id, reason }).await
    }

    /// The offer rang for too long.
    #[graphql(guard = "Require(\"call\", \"route\")")]
    async fn expire_offer(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "The command.")] input: ExpireOfferInput,
    ) -> Result<CommandResult> {
        permit_call(context, "call", "route", input.call_id, Doer::Anyone, &input.command).await?;
        let command = Command::ExpireOffer { agent_id: input.agent_id, leg: input.leg };
        Order::new(context, input.call_id, &input.command)?.give::<Call>(command).await
    }

    /// The agent takes the offer.
    #[graphql(guard = "Require(\"call\", \"update\")")]
    async fn answer_call(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "The command.")] input: AnswerCallInput,
    ) -> Result<CommandResult> {
        let agent_id = meant_agent(context, input.agent_id)?;
        update(context, input.call_id, &input.command, Command::Answer { agent_id }).await
    }

    /// Put the customer on hold.
    #[graphql(guard = "Require(\"call\", \"update\")")]
    async fn hold_call(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "The command.")] input: LegInput,
    ) -> Result<CommandResult> {
        update(context, input.call_id, &input.command, Command::Hold { leg: input.leg }).await
    }

    /// Take the customer off hold.
    #[graphql(guard = "Require(\"call\", \"update\")")]
    async fn resume_call(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "The command.")] input: LegInput,
    ) -> Result<CommandResult> {
        update(context, input.call_id, &input.command, Command::Resume { leg: input.leg }).await
    }

    /// Silence one party.
    #[graphql(guard = "Require(\"call\", \"update\")")]
    async fn mute_party(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "The command.")] input: MuteInput,
    ) -> Result<CommandResult> {
        let command = Command::Mute { leg: input.leg, party: input.party.into() };
        update(context, input.call_id, &input.command, command).await
    }

    /// Let the party be heard again.
    #[graphql(guard = "Require(\"call\", \"update\")")]
    async fn unmute_party(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "The command.")] input: MuteInput,
    ) -> Result<CommandResult> {
        let command = Command::Unmute { leg: input.leg, party: input.party.into() };
        update(context, input.call_id, &input.command, command).await
    }

    /// Finish the work after the conversation. It began by itself when the conversation ended.
    #[graphql(guard = "Require(\"call\", \"update\")")]
    async fn complete_wrap_up(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "The command.")] input: CompleteWrapUpInput,
    ) -> Result<CommandResult> {
        let command = Command::CompleteWrapUp {
            leg: input.leg,
            disposition: text("disposition", &input.disposition, Label::parse)?,
            notes: optional("notes", input.notes.as_deref(), LongText::parse)?.map(Personal::new),
        };
        update(context, input.call_id, &input.command, command).await
    }

    /// End the call. By the customer while waiting, this is an abandonment.
    #[graphql(guard = "Require(\"call\", \"update\")")]
    async fn end_call(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "The command.")] input: EndCallInput,
    ) -> Result<CommandResult> {
        let command = Command::End { by: input.by.into(), reason: input.reason.into() };
        update(context, input.call_id, &input.command, command).await
    }

    /// The caller hung up while waiting.
    #[graphql(guard = "Require(\"call\", \"route\")")]
    async fn abandon_call(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "The command.")] input: CallInput,
    ) -> Result<CommandResult> {
        permit_call(context, "call", "route", input.call_id, Doer::Anyone, &input.command).await?;
        Order::new(context, input.call_id, &input.command)?.give::<Call>(Command::Abandon).await
    }

    /// The call was lost by a technical fault.
    #[graphql(guard = "Require(\"call\", \"route\")")]
    async fn fail_call(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "The command.")] input: FailCallInput,
    ) -> Result<CommandResult> {
        permit_call(context, "call", "route", input.call_id, Doer::Anyone, &input.command).await?;
        let reason = text("reason", &input.reason, ShortText::parse)?;
        Order::new(context, input.call_id, &input.command)?.give::<Call>(Command::Fail { reason }).await
    }
}
