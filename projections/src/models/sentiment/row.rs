//! What is known of the mood in a call.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use domain::call::Party;
use domain::transcript::Sequence;
use domain::{CallId, Position};
use serde::{Deserialize, Serialize};

use crate::metrics::sentiment::{Label, Quarters};

/// A row of `sentiment`: what one model made of one segment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ScoreRow {
    /// The call.
    pub call_id: CallId,
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
    pub emotions: BTreeMap<String, f64>,
    /// The model. Scores of different models can't be compared.
    pub model: String,
    /// Its version.
    pub model_version: String,
    /// The segment has been corrected since; the score counts no more.
    pub superseded: bool,
    /// When it was scored.
    pub occurred_at: DateTime<Utc>,
    /// Position of the event.
    pub position: Position,
}

impl ScoreRow {
    /// The score as one of three words.
    #[must_use]
    pub fn label(&self) -> Label {
        Label::of(self.score)
    }
}

/// The mood of one speaker over a call, as one model in one version sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct SpeakerSummary {
    /// The call.
    pub call_id: CallId,
    /// Who spoke.
    pub speaker: Party,
    /// The model.
    pub model: String,
    /// Its version.
    pub model_version: String,
    /// Turns scored; superseded ones are left out, here and below.
    pub turns: usize,
    /// Mean score of the turns, -1 to 1.
    pub mean: f64,
    /// Lowest score.
    pub minimum: f64,
    /// Score of the turn that begins last.
    pub last: f64,
    /// Mean label of each quarter, -5 to +5, with overall value and trend.
    pub quarters: Quarters,
    /// Position of the last event taken in.
    pub position: Position,
}
