//! Commands to transcripts and sentiment, and the live lane for what is still being spoken.

use std::collections::BTreeMap;

use async_graphql::{Context, InputObject, Object, Result};
use commands::EventStore;
use domain::sentiment::{Command as SentimentCommand, Sentiment};
use domain::transcript::{Command, Transcript};
use domain::{Category, Label, Personal, ShortText, SpokenText, StreamName};
use projections::{Interim, LiveLane};
use uuid::Uuid;

use super::command::{CommandInput, CommandResult, Order};
use super::permit::{Doer, permit_call};
use super::scalars::{Party, optional, text};
use crate::auth::Require;

/// Something that was said, for good.
#[derive(InputObject)]
struct AddTranscriptSegmentInput {
    /// The call.
    call_id: Uuid,
    /// Who spoke.
    speaker: Party,
    /// Begin of speech, milliseconds from the start of the call.
    begin_ms: u32,
    /// End of speech, milliseconds from the start of the call.
    end_ms: u32,
    /// What was said, at most 8000 characters.
    text: String,
    /// How sure the transcriber was, 0 to 1.
    confidence: Option<f64>,
    /// Who or what transcribed: a model with its version, or a person.
    model: String,
    /// Identity and expectation of the command.
    #[graphql(flatten)]
    command: CommandInput,
}

/// A better version of a segment.
#[derive(InputObject)]
struct CorrectTranscriptSegmentInput {
    /// The call.
    call_id: Uuid,
    /// Sequence of the segment that is superseded.
    supersedes: u32,
    /// Begin of speech in milliseconds; absent: as before.
    begin_ms: Option<u32>,
    /// End of speech in milliseconds; absent: as before.
    end_ms: Option<u32>,
    /// What was said, at most 8000 characters.
    text: String,
    /// How sure the transcriber was, 0 to 1.
    confidence: Option<f64>,
    /// Who or what transcribed.
    model: String,
    /// Why.
    reason: Option<String>,
    /// Identity and expectation of the command.
    #[graphql(flatten)]
    command: CommandInput,
}

/// A share of an emotion.
#[derive(InputObject)]
struct EmotionInput {
    /// The emotion as the model names it: lower-case letters and underscores.
    name: String,
    /// Its share, 0 to 1.
    share: f64,
}

/// A score of a segment.
#[derive(InputObject)]
struct ScoreSentimentInput {
    /// The call.
    call_id: Uuid,
    /// Sequence of the scored segment.
    segment: u32,
    /// From -1 (very negative) to 1 (very positive).
    score: f64,
    /// Shares of emotions.
    #[graphql(default)]
    emotions: Vec<EmotionInput>,
    /// The model.
    model: String,
    /// Its version.
    model_version: String,
    /// Identity and expectation of the command.
    #[graphql(flatten)]
    command: CommandInput,
}

/// Something that is still being spoken.
#[derive(InputObject)]
struct PublishInterimInput {
    /// The call.
    call_id: Uuid,
    /// Who speaks.
    speaker: Party,
    /// Begin of speech, milliseconds from the start of the call.
    begin_ms: u32,
    /// What was heard so far, at most 8000 characters. It replaces what was published before for the same begin.
    text: String,
}

/// Commands to transcripts and sentiment.
#[derive(Default)]
pub(crate) struct TranscriptCommands;

#[Object]
impl TranscriptCommands {
    /// Add a sentence or turn that was transcribed for good.
    #[graphql(guard = "Require(\"transcript\", \"create\")")]
    async fn add_transcript_segment(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "The command.")] input: AddTranscriptSegmentInput,
    ) -> Result<CommandResult> {
        let call_id = input.call_id;
        permit_call(context, "transcript", "create", call_id, Doer::Anyone, &input.command).await?;
        let spoken = Personal::new(text("text", &input.text, SpokenText::parse)?);
        let model = text("model", &input.model, Label::parse)?;
        Order::new(context, call_id, &input.command)?
            .give_with::<Transcript, _>(|store: EventStore| {
                let (text, model) = (spoken.clone(), model.clone());
                let AddTranscriptSegmentInput { speaker, begin_ms, end_ms, confidence, .. } = input;
                async move {
                    let call = StreamName { category: Category::Call, id: call_id };
                    let (call_known, speaker) = (store.version(call).await? > 0, speaker.into());
                    Ok(Command::AddSegment { call_known, speaker, begin_ms, end_ms, text, confidence, model })
                }
            })
            .await
    }

    /// Supersede a segment by a better one. The old one stays in the log.
    #[graphql(guard = "Require(\"transcript\", \"correct\")")]
    async fn correct_transcript_segment(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "The command.")] input: CorrectTranscriptSegmentInput,
    ) -> Result<CommandResult> {
        permit_call(context, "transcript", "correct", input.call_id, Doer::Anyone, &input.command).await?;
        let command = Command::CorrectSegment {
            supersedes: input.supersedes,
            begin_ms: input.begin_ms,
            end_ms: input.end_ms,
            text: Personal::new(text("text", &input.text, SpokenText::parse)?),
            confidence: input.confidence,
            model: text("model", &input.model, Label::parse)?,
            reason: optional("reason", input.reason.as_deref(), ShortText::parse)?,
        };
        Order::new(context, input.call_id, &input.command)?.give::<Transcript>(command).await
    }

    /// Score the mood of a segment.
    #[graphql(guard = "Require(\"sentiment\", \"create\")")]
    async fn score_sentiment(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "The command.")] input: ScoreSentimentInput,
    ) -> Result<CommandResult> {
        permit_call(context, "sentiment", "create", input.call_id, Doer::Anyone, &input.command).await?;
        let model = text("model", &input.model, Label::parse)?;
        let model_version = text("modelVersion", &input.model_version, Label::parse)?;
        let emotions: BTreeMap<String, f64> = input.emotions.into_iter().map(|e| (e.name, e.share)).collect();
        Order::new(context, input.call_id, &input.command)?
            .give_with::<Sentiment, _>(|store: EventStore| {
                let (emotions, model, model_version) = (emotions.clone(), model.clone(), model_version.clone());
                async move {
                    let transcript = store.aggregate::<Transcript>(input.call_id).await?.state;
                    let (segment, score) = (transcript.segment(input.segment), input.score);
                    Ok(SentimentCommand::Score { segment, score, emotions, model, model_version })
                }
            })
            .await
    }

    /// Show what is still being spoken to those who watch the transcript. It is not stored, has no cursor, and may be lost;
    /// the final segment follows by `addTranscriptSegment`.
    #[graphql(guard = "Require(\"transcript\", \"create\")")]
    async fn publish_interim_transcript(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "The command.")] input: PublishInterimInput,
    ) -> Result<bool> {
        permit_call(context, "transcript", "create", input.call_id, Doer::Anyone, &CommandInput::default()).await?;
        let spoken = text("text", &input.text, SpokenText::parse)?;
        context.data::<LiveLane>()?.publish(Interim {
            call_id: input.call_id,
            speaker: input.speaker.into(),
            begin_ms: input.begin_ms,
            text: spoken,
        });
        Ok(true)
    }
}
