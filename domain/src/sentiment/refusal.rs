//! The rules of sentiment that can say no.

use super::{EMOTION_NAME_LENGTH_MAX, EMOTIONS_MAX};
use crate::Label;
use crate::transcript::Sequence;

/// A rule that forbids a command on a call's sentiment.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "the message is the documentation of each rule")]
pub enum Refusal {
    #[error("there is no such segment")]
    SegmentUnknown,
    #[error("a score must be from -1 to 1")]
    ScoreOutOfRange,
    #[error("the share of emotion {0:?} must be from 0 to 1")]
    EmotionOutOfRange(String),
    #[error(
        "the name of an emotion has 1 to {EMOTION_NAME_LENGTH_MAX} characters, lower-case letters and underscores only"
    )]
    EmotionNameInvalid,
    #[error("a score can't have more than {EMOTIONS_MAX} emotions")]
    TooManyEmotions,
    #[error("segment {segment} has been scored by {model} {model_version} before")]
    AlreadyScored { segment: Sequence, model: Label, model_version: Label },
}

impl crate::Refusal for Refusal {
    fn rule(&self) -> &'static str {
        match self {
            Self::SegmentUnknown => "SEGMENT_UNKNOWN",
            Self::ScoreOutOfRange => "SCORE_OUT_OF_RANGE",
            Self::EmotionOutOfRange(_) => "EMOTION_OUT_OF_RANGE",
            Self::EmotionNameInvalid => "EMOTION_NAME_INVALID",
            Self::TooManyEmotions => "TOO_MANY_EMOTIONS",
            Self::AlreadyScored { .. } => "ALREADY_SCORED",
        }
    }
}
