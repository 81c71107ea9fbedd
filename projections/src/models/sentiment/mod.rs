//! Sentiment: the mood in a call along its time, and its summary for each speaker.
//!
//! It has no fold of its own: a score is told by one event. From transcripts it takes which segments were corrected.

mod query;
mod row;

use std::collections::BTreeMap;

use async_trait::async_trait;
use domain::{CallId, Position, sentiment, transcript};
use sqlx::PgConnection;

pub use query::{SCORES_MAX, added_after, summaries, summarise, timeline};
pub use row::{ScoreRow, SpeakerSummary};

use super::rows::{change_of, last_changes, write};
use crate::{Change, Decoded, ReadModel};

/// The read model `sentiment`. Its key is the call id.
#[derive(Debug, Clone, Copy, Default)]
pub struct Sentiment;

#[async_trait]
impl ReadModel for Sentiment {
    fn name(&self) -> &'static str {
        "sentiment"
    }

    fn version(&self) -> i32 {
        1
    }

    fn tables(&self) -> &'static [&'static str] {
        &["sentiment", "sentiment_superseded"]
    }

    fn ddl(&self) -> &'static str {
        include_str!("sentiment.sql")
    }

    fn indexes(&self) -> &'static str {
        include_str!("indexes.sql")
    }

    fn urgent(&self, event: &domain::Event) -> bool {
        tells(event)
    }

    async fn apply(&self, connection: &mut PgConnection, events: &[&Decoded]) -> Result<Vec<Change>, sqlx::Error> {
        let rows: Vec<ScoreRow> = events.iter().copied().filter_map(ScoreRow::of).collect();
        let sql = "INSERT INTO sentiment SELECT * FROM jsonb_populate_recordset(NULL::sentiment, $1)";
        write(connection, sql, &rows).await?;
        mark_superseded(connection, &superseded_by(events)).await?;
        Ok(last_changes(events.iter().copied().filter(|decoded| tells(&decoded.event)).map(change_of)))
    }
}

/// The event adds a score, or takes away what some count for.
fn tells(event: &domain::Event) -> bool {
    use domain::Event;
    matches!(event, Event::Sentiment(_) | Event::Transcript(transcript::Event::SegmentCorrected(_)))
}

/// The segments that the events correct, with the position of the first correction.
fn superseded_by(events: &[&Decoded]) -> BTreeMap<(CallId, i64), Position> {
    let mut superseded = BTreeMap::new();
    for decoded in events {
        if let domain::Event::Transcript(transcript::Event::SegmentCorrected(e)) = &decoded.event {
            let key = (decoded.recorded.stream.id, i64::from(e.supersedes));
            superseded.entry(key).or_insert(decoded.recorded.position);
        }
    }
    superseded
}

async fn mark_superseded(
    connection: &mut PgConnection,
    superseded: &BTreeMap<(CallId, i64), Position>,
) -> Result<(), sqlx::Error> {
    if superseded.is_empty() {
        return Ok(());
    }
    let (keys, positions): (Vec<_>, Vec<Position>) = superseded.iter().map(|(key, position)| (*key, *position)).unzip();
    let (calls, segments): (Vec<CallId>, Vec<i64>) = keys.into_iter().unzip();
    let sql = "INSERT INTO sentiment_superseded SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::bigint[])
               ON CONFLICT ON CONSTRAINT sentiment_superseded_key DO NOTHING";
    sqlx::query(sql).bind(calls).bind(segments).bind(positions).execute(connection).await?;
    Ok(())
}

impl ScoreRow {
    /// The row an event adds; none for an event that scores nothing.
    #[must_use]
    pub fn of(decoded: &Decoded) -> Option<Self> {
        let domain::Event::Sentiment(sentiment::Event::Scored(e)) = &decoded.event else {
            return None;
        };
        Some(Self {
            call_id: decoded.recorded.stream.id,
            segment: e.segment,
            speaker: e.speaker,
            begin_ms: e.begin_ms,
            end_ms: e.end_ms,
            score: e.score,
            emotions: e.emotions.clone(),
            model: e.model.to_string(),
            model_version: e.model_version.to_string(),
            superseded: false,
            occurred_at: decoded.recorded.occurred_at,
            position: decoded.recorded.position,
        })
    }
}
