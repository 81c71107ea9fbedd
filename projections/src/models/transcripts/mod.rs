//! Transcripts: the text of a call as it stands and as it came about, and a search through all of them.
//!
//! It has no fold of its own: a segment is told by one event, and a correction adds one row and marks another.

mod columns;
mod query;
mod row;

use std::collections::BTreeMap;

use async_trait::async_trait;
use domain::transcript::{Event, Segment};
use domain::{CallId, Personal};
use sqlx::PgConnection;

pub use query::{SEGMENTS_MAX, SearchFilter, added_after, current, search_best, search_newest, spoken};
pub use row::{SearchHit, SegmentRow, SpokenRow};

use super::copy::insert;
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
        1
    }

    fn tables(&self) -> &'static [&'static str] {
        &["transcripts"]
    }

    fn ddl(&self) -> &'static str {
        include_str!("transcripts.sql")
    }

    fn indexes(&self) -> &'static str {
        include_str!("indexes.sql")
    }

    async fn apply(&self, connection: &mut PgConnection, events: &[Decoded]) -> Result<Vec<Change>, sqlx::Error> {
        let rows: Vec<SegmentRow> = events.iter().filter_map(SegmentRow::of).collect();
        // Each segment is told once, so none of them is there yet.
        insert(connection, "transcripts", include_str!("write_transcripts.sql"), &rows).await?;
        mark_superseded(connection, &rows).await?;
        Ok(last_changes(events.iter().filter(|decoded| is_transcript(decoded)).map(change_of)))
    }
}

fn is_transcript(decoded: &Decoded) -> bool {
    matches!(decoded.event, domain::Event::Transcript(_))
}

/// Marks what the rows correct. After they were written, since one may correct another of the same batch.
async fn mark_superseded(connection: &mut PgConnection, rows: &[SegmentRow]) -> Result<(), sqlx::Error> {
    // By key, the last one counts.
    let corrections: BTreeMap<(CallId, i64), i64> = rows
        .iter()
        .filter_map(|row| Some(((row.call_id, i64::from(row.supersedes?)), i64::from(row.sequence))))
        .collect();
    if corrections.is_empty() {
        return Ok(());
    }
    let (keys, by): (Vec<_>, Vec<i64>) = corrections.into_iter().unzip();
    let (calls, superseded): (Vec<CallId>, Vec<i64>) = keys.into_iter().unzip();
    let sql = "UPDATE transcripts t SET superseded_by = c.superseded_by
               FROM unnest($1::uuid[], $2::bigint[], $3::bigint[]) AS c (call_id, sequence, superseded_by)
               WHERE t.call_id = c.call_id AND t.sequence = c.sequence";
    sqlx::query(sql).bind(calls).bind(superseded).bind(by).execute(connection).await?;
    Ok(())
}

impl SegmentRow {
    /// The row an event adds; none for an event that adds no segment.
    #[must_use]
    pub fn of(decoded: &Decoded) -> Option<Self> {
        let recorded = &decoded.recorded;
        let (segment, correction) = match &decoded.event {
            domain::Event::Transcript(Event::SegmentAdded(e)) => (&e.segment, None),
            domain::Event::Transcript(Event::SegmentCorrected(e)) => (&e.segment, Some(e)),
            _ => return None,
        };
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
