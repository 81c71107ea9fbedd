//! Questions about calls.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use domain::call::Direction;
use domain::{AgentId, CallId, Personal, Position};
use sqlx::{PgConnection, Postgres, QueryBuilder};

use super::{CallRow, CallState, CallView, LegRow};
use crate::models::Scroll;
use crate::models::rows::{bounded, word};

/// The columns of a call, in the order in which they are read.
macro_rules! call {
    () => {
        "c.call_id, c.direction, c.channel, c.from_number, c.to_number, c.customer_name, c.language, c.state,
         c.state_since, c.wrap_up_open, c.queue, c.agent_id, c.initiated_at, c.first_queued_at, c.waiting_since,
         c.answered_at, c.ended_at, c.ended_by, c.end_reason, c.failure, c.wait_ms, c.wait_total_ms, c.talk_ms,
         c.hold_ms, c.wrap_up_ms, c.transfers, c.customer_muted, c.agent_muted, c.recording, c.recording_id,
         c.disposition, c.version, c.position"
    };
}

/// Which calls are meant. What is `None` or empty does not choose.
#[derive(Debug, Clone, Default)]
pub struct CallFilter {
    /// In one of these states.
    pub states: Vec<CallState>,
    /// Last entered this queue.
    pub queue: Option<String>,
    /// Offered to this agent, whatever came of it.
    pub agent_id: Option<AgentId>,
    /// Offered to an agent who is in this team now.
    pub team: Option<String>,
    /// Who called whom.
    pub direction: Option<Direction>,
    /// Begun at this instant or later.
    pub initiated_from: Option<DateTime<Utc>>,
    /// Begun before this instant.
    pub initiated_before: Option<DateTime<Utc>>,
    /// A part of a number or of the customer's name, whatever its case. Read call by call: bound the time as well.
    pub text: Option<Personal<String>>,
}

/// Place of a call in the list: when it began, and its id.
pub type CallCursor = (DateTime<Utc>, CallId);

/// Whether calls come with their legs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Legs {
    /// Each with all of its legs.
    Read,
    /// Without, for who neither shows them nor asks whose call it is.
    LeftOut,
}

/// A page of the list of calls, newest first.
///
/// # Errors
/// The database refused.
pub async fn page(
    connection: &mut PgConnection,
    filter: &CallFilter,
    cursor: Option<CallCursor>,
    limit: i64,
    scroll: Scroll,
    legs: Legs,
) -> Result<Vec<CallView>, sqlx::Error> {
    let mut query = QueryBuilder::new(concat!("SELECT ", call!(), " FROM read.calls c WHERE true"));
    push_filter(&mut query, filter);
    if let Some((initiated_at, call_id)) = cursor {
        query.push(" AND (c.initiated_at, c.call_id) ");
        query.push(if scroll == Scroll::Forward { "< (" } else { "> (" });
        query.push_bind(initiated_at).push(", ").push_bind(call_id).push(")");
    }
    query.push(match scroll {
        Scroll::Forward => " ORDER BY c.initiated_at DESC, c.call_id DESC LIMIT ",
        Scroll::Backward => " ORDER BY c.initiated_at, c.call_id LIMIT ",
    });
    query.push_bind(bounded(limit));
    let mut calls: Vec<CallRow> = query.build_query_as().fetch_all(&mut *connection).await?;
    if scroll == Scroll::Backward {
        calls.reverse();
    }
    match legs {
        Legs::Read => with_legs(connection, calls).await,
        Legs::LeftOut => Ok(calls.into_iter().map(|call| CallView { call, legs: Vec::new() }).collect()),
    }
}

/// Calls with the legs of each.
async fn with_legs(connection: &mut PgConnection, calls: Vec<CallRow>) -> Result<Vec<CallView>, sqlx::Error> {
    if calls.is_empty() {
        return Ok(Vec::new());
    }
    let ids: Vec<CallId> = calls.iter().map(|call| call.call_id).collect();
    let mut legs: HashMap<CallId, Vec<LegRow>> = HashMap::with_capacity(ids.len());
    for leg in legs_of(connection, &ids).await? {
        legs.entry(leg.call_id).or_default().push(leg);
    }
    let view = |call: CallRow| CallView { legs: legs.remove(&call.call_id).unwrap_or_default(), call };
    Ok(calls.into_iter().map(view).collect())
}

/// How many calls a filter chooses, counted up to `limit`.
///
/// # Errors
/// The database refused.
pub async fn count(connection: &mut PgConnection, filter: &CallFilter, limit: i64) -> Result<i64, sqlx::Error> {
    let mut query = QueryBuilder::new("SELECT count(*) FROM (SELECT FROM read.calls c WHERE true");
    push_filter(&mut query, filter);
    query.push(" LIMIT ").push_bind(limit.max(0)).push(") AS chosen");
    query.build_query_scalar().fetch_one(connection).await
}

fn push_filter(query: &mut QueryBuilder<Postgres>, filter: &CallFilter) {
    if !filter.states.is_empty() {
        // Said once more in the words of the partial index, so that what is live now is found by it.
        if filter.states.iter().all(|state| !state.is_over()) {
            query.push(" AND c.state NOT IN ('ended', 'abandoned', 'failed')");
        }
        let states: Vec<String> = filter.states.iter().map(word).collect();
        query.push(" AND c.state = ANY(").push_bind(states).push(")");
    }
    if let Some(queue) = &filter.queue {
        query.push(" AND c.queue = ").push_bind(queue.clone());
    }
    if let Some(agent_id) = filter.agent_id {
        query.push(" AND EXISTS (SELECT FROM read.call_legs l WHERE l.call_id = c.call_id AND l.agent_id = ");
        query.push_bind(agent_id).push(")");
    }
    if let Some(team) = &filter.team {
        query.push(" AND EXISTS (SELECT FROM read.call_legs l JOIN read.agents a USING (agent_id)");
        query.push(" WHERE l.call_id = c.call_id AND a.team = ").push_bind(team.clone()).push(")");
    }
    if let Some(direction) = filter.direction {
        query.push(" AND c.direction = ").push_bind(word(direction));
    }
    if let Some(from) = filter.initiated_from {
        query.push(" AND c.initiated_at >= ").push_bind(from);
    }
    if let Some(before) = filter.initiated_before {
        query.push(" AND c.initiated_at < ").push_bind(before);
    }
    if let Some(text) = &filter.text {
        query.push(" AND (c.from_number || ' ' || c.to_number || ' ' || coalesce(c.customer_name, '')) ILIKE ");
        query.push_bind(format!("%{}%", like_literal(text.reveal())));
    }
}

/// A text with the wildcards of LIKE taken for what they are.
fn like_literal(text: &str) -> String {
    text.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_")
}

/// Calls by id, in no order; those that are not known are left out.
///
/// # Errors
/// The database refused.
pub async fn by_ids(connection: &mut PgConnection, ids: &[CallId]) -> Result<Vec<CallView>, sqlx::Error> {
    let query = sqlx::query_as(concat!("SELECT ", call!(), " FROM read.calls c WHERE c.call_id = ANY($1)")).bind(ids);
    let calls = query.fetch_all(&mut *connection).await?;
    with_legs(connection, calls).await
}

/// Legs of calls, by call and number.
///
/// # Errors
/// The database refused.
pub async fn legs_of(connection: &mut PgConnection, ids: &[CallId]) -> Result<Vec<LegRow>, sqlx::Error> {
    let sql = "SELECT l.* FROM read.call_legs l WHERE l.call_id = ANY($1) ORDER BY l.call_id, l.leg";
    sqlx::query_as(sql).bind(ids).fetch_all(connection).await
}

/// Calls that changed after a position, in order of change. `ids`: only these; `None`: any.
///
/// # Errors
/// The database refused.
pub async fn changed_after(
    connection: &mut PgConnection,
    position: Position,
    ids: Option<&[CallId]>,
    limit: i64,
) -> Result<Vec<CallView>, sqlx::Error> {
    let mut query = QueryBuilder::new(concat!("SELECT ", call!(), " FROM read.calls c "));
    query.push("WHERE c.position > ").push_bind(position);
    if let Some(ids) = ids {
        query.push(" AND c.call_id = ANY(").push_bind(ids).push(")");
    }
    query.push(" ORDER BY c.position LIMIT ").push_bind(bounded(limit));
    let calls = query.build_query_as().fetch_all(&mut *connection).await?;
    with_legs(connection, calls).await
}
