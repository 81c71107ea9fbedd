//! Transcripts: the text of a call as it stands and as it came about.
//!
//! It has no fold of its own: a segment is told by one event, and a correction adds one row and marks another.

mod columns;
mod query;
mod row;
mod write;

use async_trait::async_trait;
use domain::Personal;
use domain::transcript::{Event, Segment, SegmentCorrected};
use sqlx::PgConnection;

pub use query::{SEGMENTS_MAX, added_after, current, spoken};
pub use row::{SegmentRow, SpokenRow};

use super::rows::{change_of, last_changes};
use crate::{Change, Decoded, ReadModel};

/// The read model `transcripts`. Its key is the call id.
#[derive(Debug, Clone, Copy, Default)]
pub struct Transcripts;

#[async_trait]
impl ReadModel for Transcripts {
    fn name(&self) -> &'static str {
        "transcripts"
    }

    fn version(&self) -> i32 {
        3
    }

    fn tables(&self) -> &'static [&'static str] {
        &["transcripts"]
    }

    fn ddl(&self) -> &'static str {
        include_str!("transcripts.sql")
    }

    fn urgent(&self, event: &domain::Event) -> bool {
        matches!(event, domain::Event::Transcript(_))
    }

    async fn apply(&self, connection: &mut PgConnection, events: &[&Decoded]) -> Result<Vec<Change>, sqlx::Error> {
        let rows: Vec<SegmentRow> = events.iter().copied().filter_map(SegmentRow::of).collect();
        // Each segment is told once, so none of them is there yet.
        write::insert(connection, &rows).await?;
        write::mark_superseded(connection, &rows).await?;
        Ok(last_changes(events.iter().copied().filter(|decoded| is_transcript(decoded)).map(change_of)))
    }
}

fn is_transcript(decoded: &Decoded) -> bool {
    matches!(decoded.event, domain::Event::Transcript(_))
}

/// The segment that an event tells, and the correction that it is where it is one; none for an event that tells no segment.
pub(super) fn told_by(decoded: &Decoded) -> Option<(&Segment, Option<&SegmentCorrected>)> {
    match &decoded.event {
        domain::Event::Transcript(Event::SegmentAdded(e)) => Some((&e.segment, None)),
        domain::Event::Transcript(Event::SegmentCorrected(e)) => Some((&e.segment, Some(e))),
        _ => None,
    }
}

impl SegmentRow {
    /// The row an event adds; none for an event that adds no segment.
    #[must_use]
    pub fn of(decoded: &Decoded) -> Option<Self> {
        let recorded = &decoded.recorded;
        let (segment, correction) = told_by(decoded)?;
        let Segment { sequence, speaker, begin_ms, end_ms, text, confidence, model } = segment;
        Some(Self {
            call_id: recorded.stream.id,
            sequence: *sequence,
            speaker: *speaker,
            begin_ms: *begin_ms,
            end_ms: *end_ms,
            text: Personal::new(text.reveal().to_string()),
            confidence: *confidence,
            model: model.to_string(),
            supersedes: correction.map(|e| e.supersedes),
            superseded_by: None,
            reason: correction.and_then(|e| e.reason.as_ref()).map(ToString::to_string),
            occurred_at: recorded.occurred_at,
            position: recorded.position,
        })
    }
}
