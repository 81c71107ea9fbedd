//! Commands to the recording of a call.

use async_graphql::{Context, InputObject, Object, Result};
use domain::ShortText;
use domain::call::Command;
use uuid::Uuid;

use super::call_commands::{CallInput, update};
use super::command::{CommandInput, CommandResult};
use super::scalars::optional;
use crate::auth::Require;

/// A recording to begin.
#[derive(InputObject)]
struct StartRecordingInput {
    /// The call.
    call_id: Uuid,
    /// Identity of the recording; made here when absent.
    recording_id: Option<Uuid>,
    /// Identity and expectation of the command.
    #[graphql(flatten)]
    command: CommandInput,
}

/// A recording to pause.
#[derive(InputObject)]
struct PauseRecordingInput {
    /// The call.
    call_id: Uuid,
    /// Why, such as `card payment`.
    reason: Option<String>,
    /// Identity and expectation of the command.
    #[graphql(flatten)]
    command: CommandInput,
}

/// Commands to the recording of a call.
#[derive(Default)]
pub(crate) struct RecordingCommands;

#[Object]
impl RecordingCommands {
    /// Begin recording.
    #[graphql(guard = "Require(\"call\", \"update\")")]
    async fn start_recording(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "The command.")] input: StartRecordingInput,
    ) -> Result<CommandResult> {
        let recording_id = input.recording_id.unwrap_or_else(Uuid::now_v7);
        update(context, input.call_id, &input.command, Command::StartRecording { recording_id }).await
    }

    /// Pause recording, for instance while a card number is spoken.
    #[graphql(guard = "Require(\"call\", \"update\")")]
    async fn pause_recording(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "The command.")] input: PauseRecordingInput,
    ) -> Result<CommandResult> {
        let reason = optional("reason", input.reason.as_deref(), ShortText::parse)?;
        update(context, input.call_id, &input.command, Command::PauseRecording { reason }).await
    }

    /// Go on recording.
    #[graphql(guard = "Require(\"call\", \"update\")")]
    async fn resume_recording(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "The command.")] input: CallInput,
    ) -> Result<CommandResult> {
        update(context, input.call_id, &input.command, Command::ResumeRecording).await
    }

    /// Stop recording.
    #[graphql(guard = "Require(\"call\", \"update\")")]
    async fn stop_recording(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "The command.")] input: CallInput,
    ) -> Result<CommandResult> {
        update(context, input.call_id, &input.command, Command::StopRecording).await
    }
}
