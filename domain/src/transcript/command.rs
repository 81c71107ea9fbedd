//! What can be asked of a transcript.

use super::Sequence;
use crate::call::Party;
use crate::{Label, Personal, ShortText, SpokenText};

/// Most segments of one call, corrections counted: a segment a second for more than a day.
pub const SEGMENTS_MAX: Sequence = 100_000;

/// An order to a transcript. Times are in milliseconds from the start of the call.
#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    /// Add a sentence or turn that was transcribed for good.
    AddSegment {
        /// The call exists, as looked up by the one who gives the command.
        call_known: bool,
        /// Who spoke.
        speaker: Party,
        /// Begin of speech.
        begin_ms: u32,
        /// End of speech.
        end_ms: u32,
        /// What was said.
        text: Personal<SpokenText>,
        /// How sure the transcriber was, 0 to 1, where known.
        confidence: Option<f64>,
        /// Who or what transcribed.
        model: Label,
    },
    /// Put a better transcription in the place of a segment. The speaker stays the same.
    CorrectSegment {
        /// The segment to supersede, the newest of its line.
        supersedes: Sequence,
        /// Begin of speech; `None`: as before.
        begin_ms: Option<u32>,
        /// End of speech; `None`: as before.
        end_ms: Option<u32>,
        /// What was said.
        text: Personal<SpokenText>,
        /// How sure the transcriber was, 0 to 1, where known.
        confidence: Option<f64>,
        /// Who or what transcribed.
        model: Label,
        /// Why.
        reason: Option<ShortText>,
    },
}
