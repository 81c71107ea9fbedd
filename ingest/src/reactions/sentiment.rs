//! Every final segment of a transcript is scored.

use chrono::Utc;
use commands::{Envelope, ExecuteError};
use domain::sentiment::{Command, Refusal, Sentiment};
use domain::transcript::{self, Segment, SegmentFacts};
use domain::{Actor, Event, InvalidText, Label, Recorded};

use super::Reactions;
use crate::language::AnalysisError;

/// Why a segment could not be scored now.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReactionError {
    /// The analysis did not answer.
    #[error(transparent)]
    Analysis(AnalysisError),
    /// The score could not be stored.
    #[error(transparent)]
    Execute(ExecuteError<Refusal>),
    /// The model's name does not fit.
    #[error(transparent)]
    Model(#[from] InvalidText),
}

pub(super) fn knows(event_type: &str) -> bool {
    event_type.starts_with("transcript.")
}

/// Scores the segment of an event. Nothing to do for other events, and for those that no model can score.
pub(super) async fn react(reactions: &Reactions, recorded: &Recorded) -> Result<(), ReactionError> {
    let segment = match recorded.decode() {
        Ok(Event::Transcript(transcript::Event::SegmentAdded(added))) => added.segment,
        Ok(Event::Transcript(transcript::Event::SegmentCorrected(corrected))) => corrected.segment,
        Ok(_) => return Ok(()),
        Err(error) => {
            tracing::error!(%error, position = recorded.position, "a segment that can't be read is not scored");
            return Ok(());
        }
    };
    let mood = match reactions.analysis.sentiment(segment.text.reveal().as_str()).await {
        Ok(mood) => mood,
        Err(AnalysisError::Refused(reason)) => {
            tracing::warn!(reason, position = recorded.position, "the model refused a segment");
            return Ok(());
        }
        Err(error) => return Err(ReactionError::Analysis(error)),
    };
    let Segment { sequence, speaker, begin_ms, end_ms, .. } = segment;
    let command = Command::Score {
        segment: Some(SegmentFacts { sequence, speaker, begin_ms, end_ms }),
        score: mood.score,
        emotions: mood.emotions,
        model: Label::parse(reactions.analysis.model())?,
        model_version: Label::parse(reactions.analysis.model_version())?,
    };
    let envelope = Envelope {
        key: format!("sentiment:{}", recorded.id),
        actor: Actor::system("sentiment"),
        at: Utc::now(),
        expected: None,
        correlation_id: Some(recorded.correlation_id),
        causation_id: Some(recorded.id),
        trace: recorded.trace.clone(),
    };
    match reactions.store.execute::<Sentiment>(recorded.stream.id, command, &envelope).await {
        // A refusal is an answer: trying again would get the same one.
        Ok(_) | Err(ExecuteError::Refused(_)) => Ok(()),
        Err(error) => Err(ReactionError::Execute(error)),
    }
}
