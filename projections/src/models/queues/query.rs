//! Questions about queues.

use chrono::{DateTime, Utc};
use domain::{CallId, Position};
use sqlx::types::Json;
use sqlx::{PgConnection, QueryBuilder};
use uuid::Uuid;

use super::{EntryRow, QueueRow, WaitingRow};
use crate::models::rows::{bounded, by_ids as rows_by_ids, unwrapped};

/// Most queues the board shows.
pub const BOARD_QUEUES_MAX: i64 = 10_000;

/// Every queue, those without a caller too, by name.
///
/// # Errors
/// The database refused.
pub async fn board(connection: &mut PgConnection) -> Result<Vec<QueueRow>, sqlx::Error> {
    let sql = "SELECT to_json(q) FROM read.queues q ORDER BY q.name LIMIT $1";
    let rows: Vec<Json<QueueRow>> = sqlx::query_scalar(sql).bind(BOARD_QUEUES_MAX).fetch_all(connection).await?;
    Ok(unwrapped(rows))
}

/// Queues by id, in no order; those that no call has waited in are left out. For the id of a name see
/// [`queue_key`](super::queue_key).
///
/// # Errors
/// The database refused.
pub async fn by_ids(connection: &mut PgConnection, ids: &[Uuid]) -> Result<Vec<QueueRow>, sqlx::Error> {
    rows_by_ids(connection, "SELECT to_json(q) FROM read.queues q WHERE q.queue_id = ANY($1)", ids).await
}

/// Queues that changed after a position, in order of change.
///
/// # Errors
/// The database refused.
pub async fn changed_after(
    connection: &mut PgConnection,
    position: Position,
    limit: i64,
) -> Result<Vec<QueueRow>, sqlx::Error> {
    let sql = "SELECT to_json(q) FROM read.queues q WHERE q.position > $1 ORDER BY q.position, q.name LIMIT $2";
    let query = sqlx::query_scalar(sql).bind(position).bind(bounded(limit));
    let rows: Vec<Json<QueueRow>> = query.fetch_all(connection).await?;
    Ok(unwrapped(rows))
}

/// Who waits in queues now, by queue and place.
///
/// # Errors
/// The database refused.
pub async fn waiting(
    connection: &mut PgConnection,
    queues: &[String],
    limit: i64,
) -> Result<Vec<WaitingRow>, sqlx::Error> {
    let sql = "SELECT to_jsonb(e) || jsonb_build_object('place',
                      row_number() OVER (PARTITION BY e.queue ORDER BY e.priority DESC, e.enqueued_at, e.call_id))
               FROM read.queue_entries e WHERE e.left_at IS NULL AND e.queue = ANY($1)
               ORDER BY e.queue, e.priority DESC, e.enqueued_at, e.call_id LIMIT $2";
    let rows: Vec<Json<WaitingRow>> =
        sqlx::query_scalar(sql).bind(queues).bind(bounded(limit)).fetch_all(connection).await?;
    Ok(unwrapped(rows))
}

/// The places of calls that wait now, in no order; those that do not wait are left out.
///
/// # Errors
/// The database refused.
pub async fn places(connection: &mut PgConnection, ids: &[CallId]) -> Result<Vec<WaitingRow>, sqlx::Error> {
    // One more than those who are served before.
    let sql = "SELECT to_jsonb(e) || jsonb_build_object('place', 1 + (
                      SELECT count(*) FROM read.queue_entries o WHERE o.queue = e.queue AND o.left_at IS NULL
                         AND (o.priority > e.priority OR o.priority = e.priority
                              AND (o.enqueued_at, o.call_id) < (e.enqueued_at, e.call_id))))
               FROM read.queue_entries e WHERE e.left_at IS NULL AND e.call_id = ANY($1)";
    rows_by_ids(connection, sql, ids).await
}

/// Place of a wait in the history of its queue.
pub type EntryCursor = (DateTime<Utc>, CallId, i32);

/// A page of the history of a queue, newest first: waits that are over and waits that are not.
///
/// # Errors
/// The database refused.
pub async fn entries(
    connection: &mut PgConnection,
    queue: &str,
    before: Option<EntryCursor>,
    limit: i64,
) -> Result<Vec<EntryRow>, sqlx::Error> {
    let mut query = QueryBuilder::new("SELECT to_json(e) FROM read.queue_entries e WHERE e.queue = ");
    query.push_bind(queue);
    if let Some((enqueued_at, call_id, entry)) = before {
        query.push(" AND (e.enqueued_at, e.call_id, e.entry) < (");
        query.push_bind(enqueued_at).push(", ").push_bind(call_id).push(", ").push_bind(entry).push(")");
    }
    query.push(" ORDER BY e.enqueued_at DESC, e.call_id DESC, e.entry DESC LIMIT ").push_bind(bounded(limit));
    let rows: Vec<Json<EntryRow>> = query.build_query_scalar().fetch_all(connection).await?;
    Ok(unwrapped(rows))
}

/// Every wait of calls, by call and number.
///
/// # Errors
/// The database refused.
pub async fn entries_of(connection: &mut PgConnection, ids: &[CallId]) -> Result<Vec<EntryRow>, sqlx::Error> {
    let sql = "SELECT to_json(e) FROM read.queue_entries e WHERE e.call_id = ANY($1) ORDER BY e.call_id, e.entry";
    rows_by_ids(connection, sql, ids).await
}
