//! Questions about transcripts.

use chrono::{DateTime, Utc};
use domain::call::Party;
use domain::{CallId, Personal, Position};
use sqlx::types::Json;
use sqlx::{PgConnection, Postgres, QueryBuilder};

use super::{SearchHit, SegmentRow, SpokenRow};
use crate::models::Scroll;
use crate::models::rows::{bounded, unwrapped, word};

/// Most segments of one call that one query returns.
pub const SEGMENTS_MAX: i64 = 10_000;

/// The columns of a segment. The words of the search index stay behind.
macro_rules! segment {
    () => {
        "t.call_id, t.sequence, t.speaker, t.begin_ms, t.end_ms, t.text, t.confidence, t.model, t.supersedes,
         t.superseded_by, t.reason, t.occurred_at, t.position"
    };
}

/// Of these, the columns that a reader sees.
macro_rules! spoken {
    () => {
        "t.call_id, t.sequence, t.speaker, t.begin_ms, t.end_ms, t.text"
    };
}

/// The segments of calls that begin last: one look into the index for each call, however many calls there are. They are put
/// in order here, where it costs a tenth of what it costs PostgreSQL.
macro_rules! lines {
    ($columns:expr) => {
        concat!(
            "SELECT s.* FROM unnest($1::uuid[]) AS asked (call_id) CROSS JOIN LATERAL (SELECT ",
            $columns,
            "      FROM read.transcripts t WHERE t.call_id = asked.call_id AND t.superseded_by IS NULL
                   ORDER BY t.begin_ms DESC, t.sequence DESC LIMIT $2) AS s LIMIT $3"
        )
    };
}

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

/// Segments of a call that were added after a position, in order of adding: corrections among them, and segments that
/// have been superseded since. Position 0: all of them.
///
/// # Errors
/// The database refused.
pub async fn added_after(
    connection: &mut PgConnection,
    call_id: CallId,
    position: Position,
    limit: i64,
) -> Result<Vec<SegmentRow>, sqlx::Error> {
    let sql = concat!(
        "SELECT ",
        segment!(),
        " FROM read.transcripts t WHERE t.call_id = $1 AND t.position > $2 ORDER BY t.position LIMIT $3"
    );
    let query = sqlx::query_as(sql).bind(call_id).bind(position).bind(limit.clamp(0, SEGMENTS_MAX));
    query.fetch_all(connection).await
}

/// The text of calls as it stands: superseded segments left out, by call and in the order of speaking. Of each call, the
/// segments that begin last, at most `last` and never more than [`SEGMENTS_MAX`]; of all calls together, at most `most`.
///
/// # Errors
/// The database refused.
pub async fn current(
    connection: &mut PgConnection,
    ids: &[CallId],
    last: Option<i64>,
    most: i64,
) -> Result<Vec<SegmentRow>, sqlx::Error> {
    let query = sqlx::query_as(lines!(segment!())).bind(ids).bind(last.unwrap_or(SEGMENTS_MAX).clamp(0, SEGMENTS_MAX));
    let mut rows: Vec<SegmentRow> = query.bind(most.max(0)).fetch_all(connection).await?;
    // They come call by call, last first: such runs are found and turned round.
    rows.sort_by_key(|row| (row.call_id, row.begin_ms, row.sequence));
    Ok(rows)
}

/// The same, of each segment what a reader sees.
///
/// # Errors
/// The database refused.
pub async fn spoken(
    connection: &mut PgConnection,
    ids: &[CallId],
    last: Option<i64>,
    most: i64,
) -> Result<Vec<SpokenRow>, sqlx::Error> {
    let query = sqlx::query_as(lines!(spoken!())).bind(ids).bind(last.unwrap_or(SEGMENTS_MAX).clamp(0, SEGMENTS_MAX));
    let mut rows: Vec<SpokenRow> = query.bind(most.max(0)).fetch_all(connection).await?;
    // They come call by call, last first: such runs are found and turned round.
    rows.sort_by_key(|row| (row.call_id, row.begin_ms, row.sequence));
    Ok(rows)
}

/// Segments that hold the words, newest first; superseded ones are not searched. `cursor`: position of the segment that the
/// page goes on from.
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
        query.push(if scroll == Scroll::Forward { " AND t.position < " } else { " AND t.position > " });
        query.push_bind(cursor);
    }
    query.push(match scroll {
        Scroll::Forward => " ORDER BY t.position DESC LIMIT ",
        Scroll::Backward => " ORDER BY t.position LIMIT ",
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
    query.push(" ORDER BY rank DESC, t.position DESC LIMIT ").push_bind(bounded(limit));
    hits(connection, query, "rank DESC, position DESC").await
}

fn matching(filter: &SearchFilter) -> QueryBuilder<Postgres> {
    let mut query = QueryBuilder::new("WITH asked AS (SELECT websearch_to_tsquery('simple', ");
    query.push_bind(filter.words.reveal().clone());
    query.push(") AS words), found AS (SELECT t.*, ts_rank_cd(t.search, asked.words) AS rank");
    query.push(" FROM read.transcripts t, asked WHERE t.search @@ asked.words AND t.superseded_by IS NULL");
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
    query.push(") SELECT jsonb_build_object('segment', to_jsonb(f) - 'search' - 'rank', 'rank', f.rank, 'snippet', ");
    query.push("ts_headline('simple', f.text, asked.words, 'StartSel=«, StopSel=», MaxWords=24, MinWords=8'))");
    query.push(" FROM found f, asked ORDER BY f.").push(order.replace(", ", ", f."));
    let rows: Vec<Json<SearchHit>> = query.build_query_scalar().fetch_all(connection).await?;
    Ok(unwrapped(rows))
}
