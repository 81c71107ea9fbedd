//! How segments get into their table.

use std::collections::BTreeMap;

use domain::CallId;
use sqlx::PgConnection;

use super::SegmentRow;
use crate::models::copy::{BinaryRows, COPY_ROWS_MIN, Field};
use crate::models::rows::{word, write};

/// In the order of [`push`].
const COLUMNS: &str = "call_id, sequence, speaker, begin_ms, end_ms, text, confidence, model, supersedes, superseded_by, \
                       reason, occurred_at, position";

/// Writes segments that are not there yet: a few by a statement, many by COPY and call by call, so that those of a call get next to
/// each other, in the table as in its key.
pub(super) async fn insert(connection: &mut PgConnection, rows: &[SegmentRow]) -> Result<(), sqlx::Error> {
    if rows.len() < COPY_ROWS_MIN {
        return write(connection, include_str!("write_transcripts.sql"), rows).await;
    }
    let mut by_key: Vec<&SegmentRow> = rows.iter().collect();
    by_key.sort_unstable_by_key(|row| (row.call_id, row.sequence));
    let mut binary = BinaryRows::new();
    by_key.into_iter().try_for_each(|row| push(&mut binary, row))?;
    binary.copy_into(connection, "transcripts", COLUMNS).await
}

fn push(rows: &mut BinaryRows, row: &SegmentRow) -> Result<(), sqlx::Error> {
    let speaker = word(row.speaker);
    let number = |number: u32| Some(Field::Integer(number.into()));
    rows.push([
        Some(Field::Uuid(row.call_id)),
        number(row.sequence),
        Some(Field::Text(&speaker)),
        number(row.begin_ms),
        number(row.end_ms),
        Some(Field::Text(row.text.reveal())),
        row.confidence.map(Field::Float),
        Some(Field::Text(&row.model)),
        row.supersedes.and_then(number),
        row.superseded_by.and_then(number),
        row.reason.as_deref().map(Field::Text),
        Some(Field::Time(row.occurred_at)),
        Some(Field::Integer(row.position)),
    ])
}

/// Marks what the rows correct. After they were written, since one may correct another of the same batch.
pub(super) async fn mark_superseded(connection: &mut PgConnection, rows: &[SegmentRow]) -> Result<(), sqlx::Error> {
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
