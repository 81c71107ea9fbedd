//! Questions about agents.

use chrono::{DateTime, Utc};
use domain::{AgentId, Personal, Position};
use sqlx::types::Json;
use sqlx::{PgConnection, QueryBuilder};

use super::{Activity, AgentView, Dimension, IntervalRow};
use crate::models::Scroll;
use crate::models::rows::{bounded, unwrapped, word};

/// Most agents the board shows.
pub const BOARD_AGENTS_MAX: i64 = 10_000;

/// Most intervals one query returns.
pub const INTERVALS_MAX: i64 = 100_000;

/// An agent in columns; capabilities and contacts, of which there are few or none, as lists in JSON.
macro_rules! agent {
    () => {
        "a.*, (SELECT json_agg(json_build_object('name', b.name, 'level', b.level) ORDER BY b.name COLLATE \"C\")
               FROM read.agent_capabilities b WHERE b.agent_id = a.agent_id) AS capabilities,
         (SELECT json_agg(t ORDER BY t.began_at, t.call_id, t.leg)
          FROM read.agent_contacts t WHERE t.agent_id = a.agent_id) AS contacts"
    };
}

const SELECT: &str = concat!("SELECT ", agent!(), " FROM read.agents a ");

/// Which agents are meant. What is `None` or empty does not choose.
#[derive(Debug, Clone, Default)]
pub struct AgentFilter {
    /// In this team.
    pub team: Option<String>,
    /// With one of these tiles.
    pub activities: Vec<Activity>,
    /// With this capability, at whatever level.
    pub capability: Option<String>,
}

/// Place of an agent in the list: name and id.
pub type AgentCursor = (Personal<String>, AgentId);

/// Every agent who works now or still has a contact, by team and name, those without a team last.
///
/// # Errors
/// The database refused.
pub async fn board(connection: &mut PgConnection, team: Option<&str>) -> Result<Vec<AgentView>, sqlx::Error> {
    let sql = concat!(
        "SELECT ",
        agent!(),
        " FROM read.agents a WHERE a.activity <> 'signed_out' AND ($1::text IS NULL OR a.team = $1)",
        " ORDER BY a.team NULLS LAST, a.name, a.agent_id LIMIT $2"
    );
    sqlx::query_as(sql).bind(team).bind(BOARD_AGENTS_MAX).fetch_all(connection).await
}

/// Agents by id, in no order; those that are not known are left out.
///
/// # Errors
/// The database refused.
pub async fn by_ids(connection: &mut PgConnection, ids: &[AgentId]) -> Result<Vec<AgentView>, sqlx::Error> {
    let sql = concat!("SELECT ", agent!(), " FROM read.agents a WHERE a.agent_id = ANY($1)");
    sqlx::query_as(sql).bind(ids).fetch_all(connection).await
}

/// The same without what belongs to an agent: capabilities and contacts are left empty.
///
/// # Errors
/// The database refused.
pub async fn tiles_by_ids(connection: &mut PgConnection, ids: &[AgentId]) -> Result<Vec<AgentView>, sqlx::Error> {
    let sql = "SELECT a.*, NULL::json AS capabilities, NULL::json AS contacts FROM read.agents a
               WHERE a.agent_id = ANY($1)";
    sqlx::query_as(sql).bind(ids).fetch_all(connection).await
}

/// A page of the list of all agents, by name.
///
/// # Errors
/// The database refused.
pub async fn page(
    connection: &mut PgConnection,
    filter: &AgentFilter,
    cursor: Option<&AgentCursor>,
    limit: i64,
    scroll: Scroll,
) -> Result<Vec<AgentView>, sqlx::Error> {
    let mut query = QueryBuilder::new(SELECT);
    query.push("WHERE true");
    if let Some(team) = &filter.team {
        query.push(" AND a.team = ").push_bind(team.clone());
    }
    if !filter.activities.is_empty() {
        let activities: Vec<String> = filter.activities.iter().map(word).collect();
        query.push(" AND a.activity = ANY(").push_bind(activities).push(")");
    }
    if let Some(capability) = &filter.capability {
        query.push(" AND EXISTS (SELECT FROM read.agent_capabilities b WHERE b.agent_id = a.agent_id AND b.name = ");
        query.push_bind(capability.clone()).push(")");
    }
    if let Some((name, agent_id)) = cursor {
        query.push(" AND (a.name, a.agent_id) ");
        query.push(if scroll == Scroll::Forward { "> (" } else { "< (" });
        query.push_bind(name.reveal().clone()).push(", ").push_bind(*agent_id).push(")");
    }
    query.push(match scroll {
        Scroll::Forward => " ORDER BY a.name, a.agent_id LIMIT ",
        Scroll::Backward => " ORDER BY a.name DESC, a.agent_id DESC LIMIT ",
    });
    query.push_bind(bounded(limit));
    let mut agents: Vec<AgentView> = query.build_query_as().fetch_all(connection).await?;
    if scroll == Scroll::Backward {
        agents.reverse();
    }
    Ok(agents)
}

/// Agents that changed after a position, in order of change. `ids`: only these; `None`: any.
///
/// # Errors
/// The database refused.
pub async fn changed_after(
    connection: &mut PgConnection,
    position: Position,
    ids: Option<&[AgentId]>,
    limit: i64,
) -> Result<Vec<AgentView>, sqlx::Error> {
    let mut query = QueryBuilder::new(SELECT);
    query.push("WHERE a.position > ").push_bind(position);
    if let Some(ids) = ids {
        query.push(" AND a.agent_id = ANY(").push_bind(ids).push(")");
    }
    query.push(" ORDER BY a.position, a.agent_id LIMIT ").push_bind(bounded(limit));
    query.build_query_as().fetch_all(connection).await
}

/// What was so at an instant, of all dimensions, by agent. `ids`: only these agents; `None`: the whole floor. An agent
/// without a row had never signed in by then.
///
/// # Errors
/// The database refused.
pub async fn intervals_at(
    connection: &mut PgConnection,
    ids: Option<&[AgentId]>,
    at: DateTime<Utc>,
) -> Result<Vec<IntervalRow>, sqlx::Error> {
    let mut query = QueryBuilder::new("SELECT to_json(i) FROM read.agent_intervals i");
    query.push(" WHERE tstzrange(i.began_at, i.ended_at) @> ").push_bind(at);
    if let Some(ids) = ids {
        query.push(" AND i.agent_id = ANY(").push_bind(ids).push(")");
    }
    query.push(" ORDER BY i.agent_id, i.dimension, i.began_at, i.began_position");
    let rows: Vec<Json<IntervalRow>> = query.build_query_scalar().fetch_all(connection).await?;
    Ok(unwrapped(rows))
}

/// Intervals of agents in one dimension that have a part between two instants, by agent and begin. They are not cut to
/// the window: see [`crate::metrics::intervals`].
///
/// # Errors
/// The database refused.
pub async fn intervals(
    connection: &mut PgConnection,
    ids: &[AgentId],
    dimension: Dimension,
    from: DateTime<Utc>,
    before: DateTime<Utc>,
    limit: i64,
) -> Result<Vec<IntervalRow>, sqlx::Error> {
    let sql = "SELECT to_json(i) FROM read.agent_intervals i WHERE i.agent_id = ANY($1) AND i.dimension = $2
               AND i.began_at < $4 AND (i.ended_at IS NULL OR i.ended_at > $3)
               ORDER BY i.agent_id, i.began_at, i.began_position LIMIT $5";
    let query = sqlx::query_scalar(sql).bind(ids).bind(word(dimension)).bind(from).bind(before);
    let rows: Vec<Json<IntervalRow>> = query.bind(limit.clamp(0, INTERVALS_MAX)).fetch_all(connection).await?;
    Ok(unwrapped(rows))
}
