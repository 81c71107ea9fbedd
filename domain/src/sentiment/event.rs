//! What can happen to the sentiment of a call. Field names and wire names never change once written.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::Label;
use crate::call::Party;
use crate::macros::events;
use crate::transcript::Sequence;

events! {
    /// A fact about the mood in a call.
    Sentiment:
    /// A model scored one segment of the transcript.
    Scored = "sentiment.scored", 1;
}

/// See [`Event::Scored`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Scored {
    /// The transcript segment that was scored.
    pub segment: Sequence,
    /// Who spoke.
    pub speaker: Party,
    /// Begin of the segment, milliseconds from the start of the call.
    pub begin_ms: u32,
    /// End of the segment, milliseconds from the start of the call.
    pub end_ms: u32,
    /// From -1 (very negative) over 0 (neutral) to 1 (very positive).
    pub score: f64,
    /// Shares of emotions as the model names them, each 0 to 1.
    #[serde(default)]
    pub emotions: BTreeMap<String, f64>,
    /// The model. Scores of different models can't be compared.
    pub model: Label,
    /// Its version.
    pub model_version: Label,
}
