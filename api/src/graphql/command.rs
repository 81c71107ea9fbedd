//! What every mutation that gives a command has in common.

use async_graphql::{Context, InputObject, Result, SimpleObject, Union};
use chrono::Utc;
use commands::event_store::AppendError;
use commands::{Envelope, EventStore, ExecuteError, LoadError, Outcome};
use domain::{AgentId, Aggregate, Refusal};
use uuid::Uuid;

use super::scalars::Position;
use crate::auth::Permit;
use crate::error::{bad_input, code, coded, internal, unavailable};

/// Hint for a client that was refused for overload, in milliseconds.
const RETRY_AFTER_MS: u32 = 250;

/// What may come with every command.
#[derive(InputObject, Debug, Clone, Default)]
pub(crate) struct CommandInput {
    /// Identity of the command, chosen by the client: a repetition with the same id changes nothing and is answered like
    /// the first. Without one, the command has none and a repetition is a second command.
    pub(crate) command_id: Option<Uuid>,
    /// Take the command only if the stream is at this version.
    pub(crate) expected_version: Option<i64>,
}

impl CommandInput {
    /// The key under which a command with an id is found again.
    pub(crate) fn key(&self) -> Option<String> {
        self.command_id.map(key)
    }
}

fn key(command_id: Uuid) -> String {
    format!("command:{command_id}")
}

/// What became of a command.
#[derive(Union)]
pub(crate) enum CommandResult {
    /// Its events are in the log.
    Accepted(CommandAccepted),
    /// A rule said no; nothing changed.
    Refused(CommandRefused),
}

/// The command was applied, now or earlier under the same id.
#[derive(SimpleObject)]
pub(crate) struct CommandAccepted {
    /// Identity of the command.
    command_id: Uuid,
    /// The call or agent it was for.
    subject_id: Uuid,
    /// Version of the stream after the command.
    version: i64,
    /// Place of the command's last event in the log. A query with `atLeast` set to it sees what the command did.
    position: Position,
    /// The command had been applied before.
    already_applied: bool,
}

/// A rule forbids the command. Nothing changed.
#[derive(SimpleObject)]
pub(crate) struct CommandRefused {
    /// Identity of the command.
    command_id: Uuid,
    /// The call or agent it was for.
    subject_id: Uuid,
    /// Stable name of the rule.
    rule: String,
    /// The rule in words.
    message: String,
}

/// A command on its way: who gives it, for what, under which id.
pub(crate) struct Order<'a> {
    store: &'a EventStore,
    subject_id: Uuid,
    command_id: Uuid,
    envelope: Envelope,
}

impl<'a> Order<'a> {
    /// An order of the viewer.
    pub(crate) fn new(context: &'a Context<'_>, subject_id: Uuid, input: &CommandInput) -> Result<Self> {
        if input.expected_version.is_some_and(|version| version < 0) {
            return Err(bad_input("expectedVersion", "VERSION_NEGATIVE", "a version is a whole number from 0"));
        }
        let command_id = input.command_id.unwrap_or_else(Uuid::now_v7);
        let envelope = Envelope {
            key: key(command_id),
            actor: context.viewer()?.actor(),
            at: Utc::now(),
            expected: input.expected_version,
            correlation_id: None,
            causation_id: Some(command_id),
            trace: context.data_opt::<super::TraceParent>().map(|trace| trace.0.clone()),
        };
        Ok(Self { store: context.data::<EventStore>()?, subject_id, command_id, envelope })
    }

    /// Gives a command that needs no facts from elsewhere.
    pub(crate) async fn give<A: Aggregate>(self, command: A::Command) -> Result<CommandResult>
    where
        A::Command: Clone,
    {
        let executed = self.store.execute::<A>(self.subject_id, command, &self.envelope).await;
        self.result(executed)
    }

    /// Gives a command whose facts are looked up at each try.
    pub(crate) async fn give_with<A: Aggregate, F>(self, command: impl Fn(EventStore) -> F) -> Result<CommandResult>
    where
        F: Future<Output = Result<A::Command, LoadError>>,
    {
        let executed = self.store.execute_with::<A, F>(self.subject_id, &self.envelope, command).await;
        self.result(executed)
    }

    fn result<R: Refusal>(self, executed: Result<Outcome, ExecuteError<R>>) -> Result<CommandResult> {
        let Self { subject_id, command_id, .. } = self;
        let refused = |rule: &str, message: String| {
            let rule = rule.to_owned();
            Ok(CommandResult::Refused(CommandRefused { command_id, subject_id, rule, message }))
        };
        match executed {
            Ok(Outcome { version, position, already_applied }) => Ok(CommandResult::Accepted(CommandAccepted {
                command_id,
                subject_id,
                version,
                position: Position(position),
                already_applied,
            })),
            Err(ExecuteError::Refused(refusal)) => refused(refusal.rule(), refusal.to_string()),
            Err(conflict @ ExecuteError::VersionConflict { .. }) => refused("VERSION_CONFLICT", conflict.to_string()),
            Err(reused @ ExecuteError::KeyReused { .. }) => Err(bad_input("commandId", "COMMAND_ID_REUSED", reused)),
            Err(contended @ ExecuteError::Contended) => Err(coded(code::CONFLICT, contended.to_string())),
            Err(ExecuteError::Append(overload @ (AppendError::Overloaded | AppendError::ShuttingDown))) => {
                Err(unavailable("OVERLOADED", &overload.to_string(), RETRY_AFTER_MS))
            }
            Err(ExecuteError::Append(AppendError::OutcomeUnknown)) => Err(unavailable(
                "OUTCOME_UNKNOWN",
                "it is not known whether the command was applied; send it again with the same commandId",
                RETRY_AFTER_MS,
            )),
            Err(error) => Err(internal(&error)),
        }
    }
}

/// The agent that a command means: the one named, or the viewer's own.
pub(crate) fn meant_agent(context: &Context<'_>, named: Option<AgentId>) -> Result<AgentId> {
    named
        .or(context.viewer()?.user.agent_id)
        .ok_or_else(|| bad_input("agentId", "AGENT_MISSING", "you are no agent yourself: say which agent you mean"))
}
