//! Searching through what was said.

use chrono::{DateTime, Utc};
use domain::call::Party;
use domain::{CallId, Personal, Position};
use serde::{Deserialize, Serialize};
use sqlx::types::Json;
use sqlx::{PgConnection, Postgres, QueryBuilder};

use crate::models::Scroll;
use crate::models::rows::{bounded, unwrapped, word};
use crate::models::transcripts::SegmentRow;

/// What to search for. What is `None` or empty does not choose.
#[derive(Debug, Clone)]
pub struct SearchFilter {
    /// Words as in a web search: all of them, `or`, `-without`, `"a phrase"`.
    pub words: Personal<String>,
    /// Said by this party.
    pub speaker: Option<Party>,
    /// In one of these calls.
    pub call_ids: Option<Vec<CallId>>,
    /// Transcribed at this instant or later.
    pub occurred_from: Option<DateTime<Utc>>,
    /// Transcribed before this instant.
    pub occurred_before: Option<DateTime<Utc>>,
}

/// A segment found by its words.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SearchHit {
    /// The segment.
    pub segment: SegmentRow,
    /// Its text, cut to the neighbourhood of the words found, each between `«` and `»`.
    pub snippet: Personal<String>,
    /// How well it fits; more is better. Only comparable within one search.
    pub rank: f32,
}

/// Segments that hold the words, newest first; superseded ones are not searched, and none that the transcripts do not show yet.
/// `cursor`: position of the segment that the page goes on from.
///
/// # Errors
/// The database refused.
pub async fn search_newest(
    connection: &mut PgConnection,
    filter: &SearchFilter,
    cursor: Option<Position>,
    limit: i64,
    scroll: Scroll,
) -> Result<Vec<SearchHit>, sqlx::Error> {
    let mut query = matching(filter);
    if let Some(cursor) = cursor {
        query.push(if scroll == Scroll::Forward { " AND w.position < " } else { " AND w.position > " });
        query.push_bind(cursor);
    }
    query.push(match scroll {
        Scroll::Forward => " ORDER BY w.position DESC LIMIT ",
        Scroll::Backward => " ORDER BY w.position LIMIT ",
    });
    query.push_bind(bounded(limit));
    hits(connection, query, "position DESC").await
}

/// Segments that hold the words, best first; superseded ones are not searched. Rank is by cover density: words near
/// each other count more.
///
/// # Errors
/// The database refused.
pub async fn search_best(
    connection: &mut PgConnection,
    filter: &SearchFilter,
    limit: i64,
) -> Result<Vec<SearchHit>, sqlx::Error> {
    let mut query = matching(filter);
    query.push(" ORDER BY rank DESC, w.position DESC LIMIT ").push_bind(bounded(limit));
    hits(connection, query, "rank DESC, position DESC").await
}

fn matching(filter: &SearchFilter) -> QueryBuilder<Postgres> {
    let mut query = QueryBuilder::new("WITH asked AS (SELECT websearch_to_tsquery('simple', ");
    query.push_bind(filter.words.reveal().clone());
    query.push(") AS words), found AS (SELECT t.*, ts_rank_cd(w.words, asked.words) AS rank");
    query.push(" FROM asked, read.spoken_words w JOIN read.transcripts t USING (call_id, sequence, position)");
    query.push(" WHERE w.words @@ asked.words AND t.superseded_by IS NULL");
    if let Some(speaker) = filter.speaker {
        query.push(" AND t.speaker = ").push_bind(word(speaker));
    }
    if let Some(ids) = &filter.call_ids {
        query.push(" AND t.call_id = ANY(").push_bind(ids.clone()).push(")");
    }
    if let Some(from) = filter.occurred_from {
        query.push(" AND t.occurred_at >= ").push_bind(from);
    }
    if let Some(before) = filter.occurred_before {
        query.push(" AND t.occurred_at < ").push_bind(before);
    }
    query
}

/// Runs a search. Snippets are cut for the rows of the page alone, since each costs a parse of the text.
async fn hits(
    connection: &mut PgConnection,
    mut query: QueryBuilder<Postgres>,
    order: &'static str,
) -> Result<Vec<SearchHit>, sqlx::Error> {
    query.push(") SELECT jsonb_build_object('segment', to_jsonb(f) - 'rank', 'rank', f.rank, 'snippet', ");
    query.push("ts_headline('simple', f.text, asked.words, 'StartSel=«, StopSel=», MaxWords=24, MinWords=8'))");
    query.push(" FROM found f, asked ORDER BY f.").push(order.replace(", ", ", f."));
    let rows: Vec<Json<SearchHit>> = query.build_query_scalar().fetch_all(connection).await?;
    Ok(unwrapped(rows))
}
