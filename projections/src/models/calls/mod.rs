//! Calls and their legs: the list of calls, a call's page, and what the floor's calls look like now.
//!
//! It does not know who the agents are, what was said, or how long calls in a queue waited on the whole.

mod columns;
mod fold;
mod query;
mod row;

use std::collections::{BTreeMap, BTreeSet, HashSet};

use async_trait::async_trait;
use domain::CallId;
use sqlx::PgConnection;

pub use query::{CallCursor, CallFilter, Legs, by_ids, changed_after, count, legs_of, page};
pub use row::{CallRow, CallState, CallView, LegKind, LegOutcome, LegRow, RecordingState};

use super::copy::{COPY_ROWS_MIN, insert};
use super::rows::{by_ids as rows_by_ids, change_of, last_changes, write};
use crate::{Change, Decoded, ReadModel};

/// The read model `calls`. Its key is the call id.
#[derive(Debug, Clone, Copy, Default)]
pub struct Calls;

#[async_trait]
impl ReadModel for Calls {
    fn name(&self) -> &'static str {
        "calls"
    }

    fn version(&self) -> i32 {
        1
    }

    fn tables(&self) -> &'static [&'static str] {
        &["calls", "call_legs"]
    }

    fn ddl(&self) -> &'static str {
        include_str!("calls.sql")
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
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let ids: Vec<CallId> = ids.into_iter().collect();
        let stored: Vec<CallView> = rows_by_ids(connection, SELECT_CALLS, &ids).await?;
        let mut views: BTreeMap<CallId, CallView> = stored.into_iter().map(|view| (view.call.call_id, view)).collect();
        let known: HashSet<CallId> = views.keys().copied().collect();

        for decoded in &events {
            let id = decoded.recorded.stream.id;
            if let Some(view) = CallView::fold(views.remove(&id), decoded) {
                views.insert(id, view);
            }
        }

        let changes = last_changes(events.iter().map(|decoded| change_of(decoded)));
        // Few are written by one statement, new or not.
        let many = views.len() - known.len() >= COPY_ROWS_MIN;
        let (new, old): (Vec<_>, Vec<_>) =
            views.into_values().partition(|view| many && !known.contains(&view.call.call_id));
        let (calls, legs) = rows_of(new);
        insert(connection, "calls", WRITE_CALLS, &calls).await?;
        insert(connection, "call_legs", WRITE_LEGS, &legs).await?;
        let (calls, legs) = rows_of(old);
        write(connection, WRITE_CALLS, &calls).await?;
        write(connection, WRITE_LEGS, &legs).await?;
        Ok(changes)
    }
}

/// Calls with their legs, each as one JSON value: one round trip, which is what counts for the few calls of a batch.
const SELECT_CALLS: &str =
    "SELECT json_build_object('call', to_json(c), 'legs', coalesce((SELECT json_agg(l ORDER BY l.leg)
    FROM call_legs l WHERE l.call_id = c.call_id), '[]')) FROM calls c WHERE c.call_id = ANY($1)";
const WRITE_CALLS: &str = include_str!("write_calls.sql");
const WRITE_LEGS: &str = include_str!("write_legs.sql");

fn rows_of(views: Vec<CallView>) -> (Vec<CallRow>, Vec<LegRow>) {
    let (calls, legs): (Vec<CallRow>, Vec<Vec<LegRow>>) = views.into_iter().map(|view| (view.call, view.legs)).unzip();
    (calls, legs.into_iter().flatten().collect())
}
