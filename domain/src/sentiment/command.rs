//! What can be asked of a call's sentiment.

use std::collections::BTreeMap;

use crate::Label;
use crate::transcript::SegmentFacts;

/// Most emotions in one score.
pub const EMOTIONS_MAX: usize = 32;
/// Most characters in the name of an emotion.
pub const EMOTION_NAME_LENGTH_MAX: usize = 32;

/// An order to a call's sentiment.
#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    /// Take in what a model made of one segment.
    Score {
        /// The segment, as looked up in the transcript by the one who gives the command; `None`: it does not exist.
        segment: Option<SegmentFacts>,
        /// From -1 (very negative) over 0 (neutral) to 1 (very positive).
        score: f64,
        /// Share of each emotion, 0 to 1, by its name: lower-case letters and underscores.
        emotions: BTreeMap<String, f64>,
        /// The model.
        model: Label,
        /// Its version.
        model_version: Label,
    },
}
