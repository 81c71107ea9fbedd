//! The rules of a transcript that can say no.

use super::{SEGMENTS_MAX, Sequence};

/// A rule that forbids a command on a transcript.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "the message is the documentation of each rule")]
pub enum Refusal {
    #[error("there is no such call")]
    CallUnknown,
    #[error("a segment can't end before it begins")]
    SegmentTimesReversed,
    #[error("confidence must be from 0 to 1")]
    ConfidenceOutOfRange,
    #[error("there is no segment {0}")]
    SegmentUnknown(Sequence),
    #[error("segment {segment} has been superseded; correct segment {newest} instead")]
    SegmentSuperseded { segment: Sequence, newest: Sequence },
    #[error("a transcript can't have more than {SEGMENTS_MAX} segments")]
    TooManySegments,
}

impl crate::Refusal for Refusal {
    fn rule(&self) -> &'static str {
        match self {
            Self::CallUnknown => "CALL_UNKNOWN",
            Self::SegmentTimesReversed => "SEGMENT_TIMES_REVERSED",
            Self::ConfidenceOutOfRange => "CONFIDENCE_OUT_OF_RANGE",
            Self::SegmentUnknown(_) => "SEGMENT_UNKNOWN",
            Self::SegmentSuperseded { .. } => "SEGMENT_SUPERSEDED",
            Self::TooManySegments => "TOO_MANY_SEGMENTS",
        }
    }
}
