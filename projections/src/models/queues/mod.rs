//! Queues: how many wait in each, since when, and what became of every wait.
//!
//! A wait begins when a call enters a queue and is told apart from the call: a call that moves to another queue waits
//! anew, and has flowed out of the first. It does not know conversations, agents' states, or days.

mod fold;
mod query;
mod row;

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use domain::{CallId, Position};
use sqlx::PgConnection;
use uuid::Uuid;

pub use query::{BOARD_QUEUES_MAX, EntryCursor, board, by_ids, changed_after, entries, entries_of, places, waiting};
pub use row::{EntryOutcome, EntryRow, QueueRow, WaitingRow, queue_key};

use self::fold::Waits;
use super::rows::{by_ids as rows_by_ids, write};
use crate::{Change, Decoded, ReadModel};

/// The read model `queues`. Its key is the id derived from the queue's name.
#[derive(Debug, Clone, Copy, Default)]
pub struct Queues;

#[async_trait]
impl ReadModel for Queues {
    fn name(&self) -> &'static str {
        "queues"
    }

    fn version(&self) -> i32 {
        1
    }

    fn tables(&self) -> &'static [&'static str] {
        &["queues", "queue_entries"]
    }

    fn ddl(&self) -> &'static str {
        include_str!("queues.sql")
    }

    fn indexes(&self) -> &'static str {
        include_str!("indexes.sql")
    }

    fn urgent(&self, event: &domain::Event) -> bool {
        matches!(event, domain::Event::Call(_))
    }

    async fn apply(&self, connection: &mut PgConnection, events: &[&Decoded]) -> Result<Vec<Change>, sqlx::Error> {
        let events: Vec<&Decoded> =
            events.iter().copied().filter(|e| matches!(e.event, domain::Event::Call(_))).collect();
        let ids: BTreeSet<CallId> = events.iter().map(|decoded| decoded.recorded.stream.id).collect();
        let Some(first) = events.first().map(|decoded| decoded.recorded.position) else {
            return Ok(Vec::new());
        };
        let mut waits = load(connection, &ids.into_iter().collect::<Vec<_>>()).await?;
        events.iter().for_each(|decoded| waits.fold(decoded));

        let entries: Vec<EntryRow> =
            waits.calls.into_values().flatten().filter(|entry| entry.position >= first).collect();
        write(connection, include_str!("write_entries.sql"), &entries).await?;
        count_waiting(connection, waits.queues).await
    }
}

async fn load(connection: &mut PgConnection, ids: &[CallId]) -> Result<Waits, sqlx::Error> {
    let sql = "SELECT DISTINCT ON (e.call_id) to_jsonb(e) FROM queue_entries e WHERE e.call_id = ANY($1)
               ORDER BY e.call_id, e.entry DESC";
    let mut waits = Waits::default();
    for entry in rows_by_ids::<EntryRow>(connection, sql, ids).await? {
        waits.calls.insert(entry.call_id, vec![entry]);
    }
    Ok(waits)
}

async fn count_waiting(
    connection: &mut PgConnection,
    queues: BTreeMap<String, Position>,
) -> Result<Vec<Change>, sqlx::Error> {
    if queues.is_empty() {
        return Ok(Vec::new());
    }
    let (names, positions): (Vec<String>, Vec<Position>) = queues.into_iter().unzip();
    let keys: Vec<Uuid> = names.iter().map(|name| queue_key(name)).collect();
    sqlx::query(include_str!("write_queues.sql")).bind(&keys).bind(&names).bind(&positions).execute(connection).await?;
    let mut changes: Vec<Change> =
        keys.into_iter().zip(positions).map(|(key, position)| Change { position, key }).collect();
    changes.sort_unstable();
    Ok(changes)
}
