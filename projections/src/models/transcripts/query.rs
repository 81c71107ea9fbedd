//! Questions about transcripts.

use domain::{CallId, Position};
use sqlx::PgConnection;

use super::{SegmentRow, SpokenRow};

/// Most segments of one call that one query returns.
pub const SEGMENTS_MAX: i64 = 10_000;

/// The columns of a segment.
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
    // Segments are numbered in the order of storing, so the key leads from the last one back to where the reader is.
    let sql = concat!(
        "SELECT ",
        segment!(),
        " FROM read.transcripts t
          WHERE t.call_id = $1
            AND t.sequence > coalesce((SELECT s.sequence FROM read.transcripts s WHERE s.call_id = $1 AND s.position <= $2
                                       ORDER BY s.sequence DESC LIMIT 1), 0)
          ORDER BY t.sequence LIMIT $3"
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
