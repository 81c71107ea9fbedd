//! What a failed append means: refused for good, worth another try, or unknown and to be looked up.

use domain::{Category, Position, StreamName, Version};
use sqlx::PgPool;
use uuid::Uuid;

use super::KeyRecord;
use super::queue::Pending;

/// What a database error says about the batch it ended.
pub(super) enum Failure {
    /// Rolled back.
    Refused(sqlx::Error),
    /// Rolled back because the partition of the next positions does not exist yet.
    PartitionMissing(sqlx::Error),
    /// Certainly not applied; may work the next time.
    Retry(sqlx::Error),
    /// Certainly not applied: one of the appends is not as expected, by its stream or by its key.
    NotAsExpected,
    /// Certainly not applied: the place in the log that it was written for is another's.
    OutOfPlace,
    /// The connection broke: it may have been committed or not.
    Unknown(sqlx::Error),
}

impl Failure {
    pub(super) fn of(error: sqlx::Error) -> Self {
        let sqlx::Error::Database(ref database) = error else {
            return Self::Unknown(error);
        };
        match database.code().as_deref() {
            // Codes of PostgreSQL, appendix A: serialization failure, deadlock, lock and statement time-outs, resources.
            Some("40001" | "40P01" | "55P03" | "57014" | "53000" | "53100" | "53200" | "53300") => Self::Retry(error),
            // The server is going down; by the manual the transaction was rolled back, but the connection is gone too.
            Some("57P01" | "57P02" | "57P03") => Self::Unknown(error),
            // "no partition of relation found for row"
            Some("23514") => Self::PartitionMissing(error),
            _ => Self::Refused(error),
        }
    }
}

/// Whether a refusal lies in what was sent, so that every other try was or will be refused, too: PostgreSQL's classes of
/// codes for data exceptions and for violated constraints. Others may have passing reasons, such as a server that is
/// read-only since it became a replica.
pub(super) fn lies_in_the_data(refusal: &sqlx::Error) -> bool {
    let code = refusal.as_database_error().and_then(sqlx::error::DatabaseError::code);
    code.is_some_and(|code| code.starts_with("22") || code.starts_with("23"))
}

/// An error with the same text, for a second owner.
pub(super) fn again(error: &sqlx::Error) -> sqlx::Error {
    sqlx::Error::Protocol(error.to_string())
}

/// What was appended under some keys; those never applied are missing from the answer.
pub(super) async fn find_keys(pool: &PgPool, keys: &[String]) -> Result<Vec<KeyRecord>, sqlx::Error> {
    let rows: Vec<(String, Uuid, String, Version, Position)> =
        sqlx::query_as("SELECT key, stream_id, category, version, position FROM append_keys WHERE key = ANY($1)")
            .bind(keys)
            .fetch_all(pool)
            .await?;
    rows.into_iter()
        .map(|(key, id, category, version, position)| {
            let category: Category = category.parse().map_err(|e| sqlx::Error::Decode(Box::new(e)))?;
            Ok(KeyRecord { key, stream: StreamName { category, id }, version, position })
        })
        .collect()
}

/// How many events a batch has.
pub(super) fn events_of(batch: &[Pending]) -> i64 {
    let events = batch.iter().map(|pending| pending.append.events.len()).sum::<usize>();
    i64::try_from(events).unwrap_or(i64::MAX)
}

/// Makes the partitions that so many further events need.
pub(super) async fn make_room(pool: &PgPool, events: i64) -> Result<(), sqlx::Error> {
    sqlx::query(
        "SELECT ensure_event_partition(at)
         FROM event_log, generate_series(position + 1, position + $1 + partition_size, partition_size) AS at",
    )
    .bind(events)
    .execute(pool)
    .await?;
    Ok(())
}
