//! What is known of a segment of a transcript.

use chrono::{DateTime, Utc};
use domain::call::Party;
use domain::transcript::Sequence;
use domain::{CallId, Personal, Position};
use serde::{Deserialize, Serialize};

/// A row of `transcripts`: what was said in one go by one party.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SegmentRow {
    /// The call.
    pub call_id: CallId,
    /// Number within the transcript, from 1, in the order of storing.
    pub sequence: Sequence,
    /// Who spoke.
    pub speaker: Party,
    /// Begin of speech, milliseconds from the start of the call.
    pub begin_ms: u32,
    /// End of speech, milliseconds from the start of the call.
    pub end_ms: u32,
    /// What was said.
    pub text: Personal<String>,
    /// How sure the transcriber was, 0 to 1.
    pub confidence: Option<f64>,
    /// Who or what transcribed.
    pub model: String,
    /// The segment this one takes the place of.
    pub supersedes: Option<Sequence>,
    /// The segment that took the place of this one.
    pub superseded_by: Option<Sequence>,
    /// Why it corrects the other.
    pub reason: Option<String>,
    /// When it was transcribed.
    pub occurred_at: DateTime<Utc>,
    /// Position of the event that added it. Being superseded does not move it: the correction has its own.
    pub position: Position,
}

/// What a reader sees of a segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpokenRow {
    /// The call.
    pub call_id: CallId,
    /// Number within the transcript, from 1, in the order of storing.
    pub sequence: Sequence,
    /// Who spoke.
    pub speaker: Party,
    /// Begin of speech, milliseconds from the start of the call.
    pub begin_ms: u32,
    /// End of speech, milliseconds from the start of the call.
    pub end_ms: u32,
    /// What was said.
    pub text: Personal<String>,
}
