//! How segments get into their table.

use std::collections::BTreeMap;

use domain::CallId;
use sqlx::PgConnection;

use super::SegmentRow;
use super::words::{agree, search_words};
use crate::models::copy::{BinaryRows, COPY_ROWS_MIN, Field};
use crate::models::rows::{word, write};

/// In the order of [`push`].
const COLUMNS: &str = "call_id, sequence, speaker, begin_ms, end_ms, text, confidence, model, supersedes, superseded_by, \
                       reason, occurred_at, position, search";

/// Writes segments that are not there yet: a few by a statement in which the server finds the words to search for, of many those
/// with plain words by COPY, with their words.
pub(super) async fn insert(connection: &mut PgConnection, rows: &[SegmentRow]) -> Result<(), sqlx::Error> {
    const WRITE: &str = include_str!("write_transcripts.sql");
    if rows.len() < COPY_ROWS_MIN || !agree(connection).await? {
        return write(connection, WRITE, rows).await;
    }
    let (mut plain, mut others) = (BinaryRows::new(), Vec::new());
    for row in rows {
        match search_words(row.text.reveal()) {
            Some(words) => push(&mut plain, row, &words)?,
            None => others.push(row),
        }
    }
    if others.len() < rows.len() {
        plain.copy_into(connection, "transcripts", COLUMNS).await?;
    }
    write(connection, WRITE, &others).await
}

fn push(rows: &mut BinaryRows, row: &SegmentRow, words: &[u8]) -> Result<(), sqlx::Error> {
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
        Some(Field::Bytes(words)),
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
