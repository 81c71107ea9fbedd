//! Calls and their legs: the list of calls, a call's page, and what the floor's calls look like now.
//!
//! It does not know who the agents are, what was said, or how long calls in a queue waited on the whole.

mod columns;
mod fold;
mod query;
mod row;

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use domain::CallId;
use sqlx::PgConnection;

pub use query::{CallCursor, CallFilter, by_ids, changed_after, count, legs_of, page};
pub use row::{CallRow, CallState, CallView, LegKind, LegOutcome, LegRow, RecordingState};

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

    async fn apply(&self, connection: &mut PgConnection, events: &[Decoded]) -> Result<Vec<Change>, sqlx::Error> {
        let events: Vec<&Decoded> = events.iter().filter(|e| matches!(e.event, domain::Event::Call(_))).collect();
        let ids: BTreeSet<CallId> = events.iter().map(|decoded| decoded.recorded.stream.id).collect();
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let ids: Vec<CallId> = ids.into_iter().collect();
        let sql = concat!(query::select_calls!(""), "WHERE c.call_id = ANY($1)");
        let stored: Vec<CallView> = rows_by_ids(connection, sql, &ids).await?;
        let mut views: BTreeMap<CallId, CallView> = stored.into_iter().map(|view| (view.call.call_id, view)).collect();

        for decoded in &events {
            let id = decoded.recorded.stream.id;
            if let Some(view) = CallView::fold(views.remove(&id), decoded) {
                views.insert(id, view);
            }
        }

        let changes = last_changes(events.iter().map(|decoded| change_of(decoded)));
        let (calls, legs): (Vec<CallRow>, Vec<Vec<LegRow>>) =
            views.into_values().map(|view| (view.call, view.legs)).unzip();
        write(connection, include_str!("write_calls.sql"), &calls).await?;
        write(connection, include_str!("write_legs.sql"), &legs.concat()).await?;
        Ok(changes)
    }
}
