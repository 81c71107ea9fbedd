//! What can happen to a transcript. Field names and wire names never change once written.

use serde::{Deserialize, Serialize};

use crate::call::Party;
use crate::macros::events;
use crate::{Label, Personal, ShortText, SpokenText};

/// Number of a segment within its transcript, in the order of storing: 1, 2, 3, ...
pub type Sequence = u32;

events! {
    /// A fact of a transcript.
    Transcript:
    /// A sentence or turn was transcribed for good.
    SegmentAdded = "transcript.segment_added", 1;
    /// A segment was transcribed better. The old one stays in the log and is superseded, not edited.
    SegmentCorrected = "transcript.segment_corrected", 1;
}

/// What was said in one go by one party.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Segment {
    /// Number of the segment.
    pub sequence: Sequence,
    /// Who spoke.
    pub speaker: Party,
    /// Begin of speech, milliseconds from the start of the call.
    pub begin_ms: u32,
    /// End of speech, milliseconds from the start of the call.
    pub end_ms: u32,
    /// What was said.
    pub text: Personal<SpokenText>,
    /// How sure the transcriber was, 0 to 1, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confidence: Option<f64>,
    /// Who or what transcribed: a model with its version, or a person.
    pub model: Label,
}

/// See [`Event::SegmentAdded`]. On the wire it is its segment: flattening would take the JSON apart twice, and most events
/// of a log are these.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SegmentAdded {
    /// The segment.
    pub segment: Segment,
}

/// See [`Event::SegmentCorrected`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SegmentCorrected {
    /// The segment that takes the place of the old one, with a sequence of its own.
    #[serde(flatten)]
    pub segment: Segment,
    /// The segment it supersedes.
    pub supersedes: Sequence,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<ShortText>,
}
