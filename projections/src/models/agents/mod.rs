//! Agents: who they are, what they do now, and what they did when.
//!
//! It folds the agents' own events, and of the calls those that give an agent a contact or take one away. It does not
//! know the callers, the queues, or what came of a call.

mod columns;
mod fold;
mod profile;
mod query;
mod row;

use std::collections::BTreeSet;

use async_trait::async_trait;
use domain::{AgentId, CallId, call};
use sqlx::PgConnection;
use sqlx::types::Json;
use uuid::Uuid;

pub use query::{
    AgentCursor, AgentFilter, BOARD_AGENTS_MAX, INTERVALS_MAX, board, by_ids, changed_after, intervals, intervals_at,
    page, tiles_by_ids,
};
pub use row::{Activity, AgentProfile, AgentView, ContactRow, Dimension, IntervalRow};

use self::fold::{Agent, Floor};
use super::rows::write;
use crate::{Change, Decoded, ReadModel};

/// The read model `agents`. Its key is the agent id.
#[derive(Debug, Clone, Copy, Default)]
pub struct Agents;

#[async_trait]
impl ReadModel for Agents {
    fn name(&self) -> &'static str {
        "agents"
    }

    fn version(&self) -> i32 {
        1
    }

    fn tables(&self) -> &'static [&'static str] {
        &["agents", "agent_capabilities", "agent_contacts", "agent_intervals"]
    }

    fn ddl(&self) -> &'static str {
        include_str!("agents.sql")
    }

    fn indexes(&self) -> &'static str {
        include_str!("indexes.sql")
    }

    fn urgent(&self, event: &domain::Event) -> bool {
        matches!(event, domain::Event::Agent(_) | domain::Event::Call(_))
    }

    async fn apply(&self, connection: &mut PgConnection, events: &[&Decoded]) -> Result<Vec<Change>, sqlx::Error> {
        let Some(first) = events.first() else {
            return Ok(Vec::new());
        };
        let (agent_ids, call_ids) = keys_of(events);
        if agent_ids.is_empty() && call_ids.is_empty() {
            return Ok(Vec::new());
        }
        let mut floor = load(connection, &agent_ids, &call_ids).await?;
        events.iter().for_each(|decoded| floor.fold(decoded));
        store(connection, &floor, first.recorded.position).await?;

        let changes = floor.touched.into_iter().map(|(key, position)| Change { position, key });
        let mut changes: Vec<Change> = changes.collect();
        changes.sort_unstable();
        Ok(changes)
    }
}

/// Agents that may get something to do, and calls whose contacts may change.
fn keys_of(events: &[&Decoded]) -> (Vec<AgentId>, Vec<CallId>) {
    let (mut agents, mut calls) = (BTreeSet::new(), BTreeSet::new());
    for decoded in events {
        let id = decoded.recorded.stream.id;
        match &decoded.event {
            domain::Event::Agent(_) => {
                agents.insert(id);
            }
            domain::Event::Call(event) => {
                calls.insert(id);
                agents.extend(rings_for(event));
            }
            domain::Event::Transcript(_) | domain::Event::Sentiment(_) => {}
        }
    }
    (agents.into_iter().collect(), calls.into_iter().collect())
}

/// The agent whose phone begins to ring.
fn rings_for(event: &call::Event) -> Option<AgentId> {
    match event {
        call::Event::Offered(e) => Some(e.agent_id),
        call::Event::ConsultStarted(e) => Some(e.agent_id),
        _ => None,
    }
}

async fn load(connection: &mut PgConnection, agent_ids: &[AgentId], call_ids: &[CallId]) -> Result<Floor, sqlx::Error> {
    let sql = concat!(
        // With capabilities and contacts, as one JSON value.
        "SELECT jsonb_build_object('view', to_jsonb(a) || jsonb_build_object(",
        "'capabilities', coalesce((SELECT jsonb_agg(to_jsonb(b) - 'agent_id' ORDER BY b.name COLLATE \"C\")",
        " FROM agent_capabilities b WHERE b.agent_id = a.agent_id), '[]'),",
        "'contacts', coalesce((SELECT jsonb_agg(t ORDER BY t.began_at, t.call_id, t.leg)",
        " FROM agent_contacts t WHERE t.agent_id = a.agent_id), '[]'))",
        ", 'open', coalesce((SELECT jsonb_agg(i) FROM agent_intervals i WHERE i.agent_id = a.agent_id",
        " AND i.ended_at IS NULL), '[]')) FROM agents a WHERE a.agent_id = ANY(",
        "$1::uuid[] || ARRAY(SELECT agent_id FROM agent_contacts WHERE call_id = ANY($2)))"
    );
    let rows: Vec<Json<Agent>> = sqlx::query_scalar(sql).bind(agent_ids).bind(call_ids).fetch_all(connection).await?;
    let agents = rows.into_iter().map(|Json(agent)| (agent.view.profile.agent_id, agent)).collect();
    Ok(Floor { agents, ..Floor::default() })
}

/// Writes what changed. `first`: position of the first event of the batch; open intervals that began before it are stored
/// as they are.
async fn store(connection: &mut PgConnection, floor: &Floor, first: domain::Position) -> Result<(), sqlx::Error> {
    let touched: Vec<&Agent> = floor.touched.keys().filter_map(|id| floor.agents.get(id)).collect();
    let views: Vec<_> = touched.iter().map(|agent| &agent.view).collect();
    write(connection, include_str!("write_agents.sql"), &views).await?;

    if !floor.closed.is_empty() {
        let (calls, legs): (Vec<Uuid>, Vec<i64>) =
            floor.closed.iter().map(|(call_id, leg)| (*call_id, i64::from(*leg))).unzip();
        let sql = "DELETE FROM agent_contacts t USING unnest($1::uuid[], $2::bigint[]) AS closed (call_id, leg)
                   WHERE t.call_id = closed.call_id AND t.leg = closed.leg";
        sqlx::query(sql).bind(calls).bind(legs).execute(&mut *connection).await?;
    }
    let contacts: Vec<_> = touched.iter().flat_map(|agent| &agent.view.contacts).collect();
    let contacts: Vec<_> = contacts.into_iter().filter(|contact| contact.position >= first).collect();
    write(connection, include_str!("write_contacts.sql"), &contacts).await?;

    let began = touched.iter().flat_map(|agent| &agent.open).filter(|interval| interval.began_position >= first);
    let intervals: Vec<_> = floor.ended.iter().chain(began).collect();
    write(connection, include_str!("write_intervals.sql"), &intervals).await?;
    store_capabilities(connection, floor).await
}

async fn store_capabilities(connection: &mut PgConnection, floor: &Floor) -> Result<(), sqlx::Error> {
    if floor.capabilities.is_empty() {
        return Ok(());
    }
    let ids: Vec<AgentId> = floor.capabilities.iter().copied().collect();
    sqlx::query("DELETE FROM agent_capabilities WHERE agent_id = ANY($1)").bind(&ids).execute(&mut *connection).await?;
    let profiles = ids.iter().filter_map(|id| floor.agents.get(id)).map(|agent| &agent.view.profile);
    let rows = profiles.flat_map(|profile| profile.capabilities.iter().map(|held| (profile.agent_id, held)));
    let (mut agents, mut names, mut levels) = (Vec::new(), Vec::new(), Vec::new());
    for (agent_id, capability) in rows {
        agents.push(agent_id);
        names.push(capability.name.as_str());
        levels.push(i16::from(capability.level));
    }
    sqlx::query("INSERT INTO agent_capabilities SELECT * FROM unnest($1::uuid[], $2::text[], $3::smallint[])")
        .bind(agents)
        .bind(names)
        .bind(levels)
        .execute(&mut *connection)
        .await?;
    Ok(())
}
