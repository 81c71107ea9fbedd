//! How rows travel: as JSON with the column names as keys, typed by PostgreSQL on one side and by serde on the other.
//!
//! It keeps one list of columns for each table (the struct), and values about persons stay marked on the way.

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde::de::DeserializeOwned;
use sqlx::PgConnection;
use sqlx::types::Json;
use uuid::Uuid;

use crate::{Change, Decoded};

/// Most rows one query returns, whatever was asked for.
pub const ROWS_MAX: i64 = 1_000;

/// Which way a page goes from its cursor. Either way its rows come in the order of the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Scroll {
    /// Rows that follow the cursor; without a cursor, the first rows.
    #[default]
    Forward,
    /// Rows that precede the cursor; without a cursor, the last rows.
    Backward,
}

/// The bound of a page.
pub(super) fn bounded(limit: i64) -> i64 {
    limit.clamp(0, ROWS_MAX)
}

/// Takes the JSON wrapping off rows.
pub(super) fn unwrapped<T>(rows: Vec<Json<T>>) -> Vec<T> {
    rows.into_iter().map(|Json(row)| row).collect()
}

/// Rows of a statement that selects one JSON value for each and takes a list of ids.
pub(super) async fn by_ids<T>(
    connection: &mut PgConnection,
    sql: &'static str,
    ids: &[Uuid],
) -> Result<Vec<T>, sqlx::Error>
where
    T: DeserializeOwned + Send + Unpin + 'static,
{
    Ok(unwrapped(sqlx::query_scalar(sql).bind(ids).fetch_all(connection).await?))
}

/// Writes rows by a statement that takes them as one JSON array. No rows: no round trip.
pub(super) async fn write<T>(connection: &mut PgConnection, sql: &'static str, rows: &[T]) -> Result<(), sqlx::Error>
where
    T: Serialize + Sync,
{
    if !rows.is_empty() {
        sqlx::query(sql).bind(Json(rows)).execute(connection).await?;
    }
    Ok(())
}

/// A value as it is written in a column: the name the domain gives it on the wire.
pub(super) fn word(value: impl Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word,
        _ => String::new(),
    }
}

/// Whole milliseconds from `begin` to `end`, 0 when the end comes first.
pub(super) fn elapsed_ms(begin: DateTime<Utc>, end: DateTime<Utc>) -> i64 {
    (end - begin).num_milliseconds().max(0)
}

/// The last change of each key, in order of position.
pub(super) fn last_changes(changes: impl IntoIterator<Item = Change>) -> Vec<Change> {
    let mut last = std::collections::BTreeMap::new();
    for change in changes {
        let position = last.entry(change.key).or_insert(change.position);
        *position = change.position.max(*position);
    }
    let mut changes: Vec<_> = last.into_iter().map(|(key, position)| Change { position, key }).collect();
    changes.sort_unstable();
    changes
}

/// The change an event makes to the row named by the id of its stream.
pub(super) fn change_of(decoded: &Decoded) -> Change {
    Change { position: decoded.recorded.position, key: decoded.recorded.stream.id }
}
