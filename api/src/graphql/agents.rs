//! Agents: queries and the board.

use async_graphql::{Context, Enum, Object, Result, SimpleObject, Subscription};
use chrono::{DateTime, Utc};
use futures_util::Stream;
use projections::models::ROWS_MAX;
use projections::models::agents::{self, AgentCursor, AgentFilter, AgentView, Dimension, IntervalRow};
use uuid::Uuid;

use super::agent_types::{Activity, Agent};
use super::agents_past::{agent_at, profile_at};
use super::cost;
use super::direct::Direct;
use super::pages::{Connection, PageArgs, resume};
use super::scalars::{Position, instant, sought};
use crate::auth::{Permit, Require, RequireAll};
use crate::cursor::Cursors;
use crate::error::{bad_input, internal};
use crate::track::{Place, Push, Shows};
use crate::views::{PageError, Pages, Views, Watch, flatten};

/// Intervals of an agent on one page of history.
const INTERVALS_MAX: i64 = 1_000;
/// Agents that may have changed since a cursor; of more, the whole board is shown anew.
const CHANGED_MAX: i64 = ROWS_MAX;
const MODEL: &str = "agents";

/// What an interval is about.
#[derive(Enum, Debug, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "projections::models::agents::Dimension")]
enum AgentDimension {
    /// Signed out, or a presence.
    Presence,
    /// State of one leg; intervals of different legs may overlap.
    Contact,
    /// The tile.
    Activity,
}

/// From when to when something was so.
#[derive(SimpleObject)]
struct AgentInterval {
    /// What it is about.
    dimension: AgentDimension,
    /// What was so: a presence or `signed_out`, a leg's state, or an activity.
    state: String,
    /// Why, if that was said.
    reason: Option<String>,
    /// Begin.
    began_at: DateTime<Utc>,
    /// End; null: still so.
    ended_at: Option<DateTime<Utc>>,
    /// The call it was about.
    call_id: Option<Uuid>,
    /// The leg it was about.
    leg: Option<u32>,
}

impl From<IntervalRow> for AgentInterval {
    fn from(row: IntervalRow) -> Self {
        Self {
            dimension: row.dimension.into(),
            state: row.state,
            reason: row.reason,
            began_at: row.began_at,
            ended_at: row.ended_at,
            call_id: row.call_id,
            leg: row.leg,
        }
    }
}

/// Queries about agents.
#[derive(Default)]
pub(crate) struct AgentQuery;

#[Object]
impl AgentQuery {
    /// One agent, as now or as then. Null: there is no such agent, or there was none then.
    #[graphql(guard = "Require(\"agent\", \"read\")")]
    async fn agent(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "The agent.")] agent_id: Uuid,
        #[graphql(desc = "As it was at this instant, from history; absent: as it is.")] as_of: Option<DateTime<Utc>>,
        #[graphql(desc = "Answer when the read model has reached this position.")] at_least: Option<Position>,
    ) -> Result<Option<Agent>> {
        context.permit("agent", "read", &[agent_id])?;
        let as_of = as_of.map(|as_of| instant("asOf", as_of)).transpose()?;
        let views = context.data::<Views>()?;
        let mut snapshot = views.snapshot(&[MODEL], at_least.map(|position| position.0)).await?;
        let Some(as_of) = as_of else {
            let rows = agents::by_ids(&mut snapshot, &[agent_id]).await.map_err(|error| internal(&error))?;
            return Ok(rows.into_iter().next().map(Into::into));
        };
        let Some(profile) = profile_at(views, agent_id, as_of).await? else { return Ok(None) };
        let intervals = agents::intervals_at(&mut snapshot, Some(&[agent_id]), as_of).await;
        Ok(Some(agent_at(profile, intervals.map_err(|error| internal(&error))?)))
    }

    /// Agents by name.
    #[graphql(guard = "RequireAll(\"agent\", \"read\")", complexity = "cost::page(first, last, child_complexity)")]
    #[allow(clippy::too_many_arguments, reason = "the arguments of a connection and its filters")]
    async fn agents(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "In this team.")] team: Option<String>,
        #[graphql(desc = "With one of these activities.")] activities: Option<Vec<Activity>>,
        #[graphql(desc = "With this capability, at whatever level.")] capability: Option<String>,
        #[graphql(desc = "How many from the beginning, 1 to 100; 20 when absent.")] first: Option<i32>,
        #[graphql(desc = "Those after this cursor.")] after: Option<String>,
        #[graphql(desc = "How many from the end, 1 to 100.")] last: Option<i32>,
        #[graphql(desc = "Those before this cursor.")] before: Option<String>,
        #[graphql(desc = "Answer when the read model has reached this position.")] at_least: Option<Position>,
    ) -> Result<Direct<Connection<Agent>>> {
        let activities = activities.unwrap_or_default().into_iter().map(Into::into).collect();
        let (team, capability) = (sought("team", team)?, sought("capability", capability)?);
        let filter = AgentFilter { team, activities, capability };
        let page = PageArgs { first, after, last, before }.query::<AgentCursor>(context, "page:agents")?;
        let views = context.data::<Views>()?;
        let mut snapshot = views.snapshot(&[MODEL], at_least.map(|position| position.0)).await?;
        let rows = agents::page(&mut snapshot, &filter, page.cursor.as_ref(), page.limit, page.scroll).await;
        let rows = rows.map_err(|error| internal(&error))?;
        page.connection(context, rows, |row| (row.profile.name.clone(), row.profile.agent_id), Agent::from).map(Direct)
    }

    /// What an agent did between two instants, in one dimension, by begin; at most 1000 intervals. They are not cut to the
    /// window.
    #[graphql(guard = "Require(\"agent\", \"read\")", complexity = "cost::list(cost::INTERVALS, child_complexity)")]
    async fn agent_intervals(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "The agent.")] agent_id: Uuid,
        #[graphql(desc = "In which dimension.")] dimension: AgentDimension,
        #[graphql(desc = "Begin of the window.")] from: DateTime<Utc>,
        #[graphql(desc = "End of the window, exclusive.")] before: DateTime<Utc>,
    ) -> Result<Vec<AgentInterval>> {
        context.permit("agent", "read", &[agent_id])?;
        let (from, before) = (instant("from", from)?, instant("before", before)?);
        if before <= from {
            return Err(bad_input("before", "WINDOW_EMPTY", "the window must end after it begins"));
        }
        let mut snapshot = context.data::<Views>()?.snapshot(&[MODEL], None).await?;
        let dimension: Dimension = dimension.into();
        let rows = agents::intervals(&mut snapshot, &[agent_id], dimension, from, before, INTERVALS_MAX).await;
        Ok(rows.map_err(|error| internal(&error))?.into_iter().map(Into::into).collect())
    }
}

/// The board, or what changed on it.
#[derive(SimpleObject)]
struct AgentBoardChanged {
    /// Goes on after this state: `after` of the next subscription.
    cursor: String,
    /// The agents are the whole board; otherwise they are those that changed.
    snapshot: bool,
    /// Agents as they are now.
    #[graphql(complexity = "cost::list(cost::BOARD_AGENTS, child_complexity)")]
    agents: Vec<Agent>,
    /// Agents that are not on this board any more: signed out without a contact, or in another team.
    gone: Vec<Uuid>,
}

struct BoardPages {
    views: Views,
    watch: Watch,
    cursors: Cursors,
    scope: String,
    team: Option<String>,
    /// None: nothing was shown yet, begin with the whole board.
    seen: Option<domain::Position>,
    /// There may be something to show: at the beginning, and after a change until it was read.
    due: bool,
}

impl BoardPages {
    fn is_on_board(&self, view: &AgentView) -> bool {
        let works = view.activity != agents::Activity::SignedOut;
        works && self.team.as_ref().is_none_or(|team| view.profile.team.as_ref() == Some(team))
    }
}

impl Pages for BoardPages {
    type Item = AgentBoardChanged;

    async fn next(&mut self) -> Result<Option<Vec<Push<AgentBoardChanged>>>, PageError> {
        if !self.due && self.watch.changed().await.is_none() {
            return Ok(None);
        }
        self.due = true;
        let mut snapshot = self.views.page().await?;
        let position = snapshot.position(MODEL).await?;
        let (whole, rows) = match self.seen {
            None => (true, agents::board(&mut snapshot, self.team.as_deref()).await?),
            Some(seen) => match agents::changed_after(&mut snapshot, seen, None, CHANGED_MAX).await? {
                // So many that some may be missing: everything is shown instead.
                rows if i64::try_from(rows.len()).is_ok_and(|count| count >= CHANGED_MAX) => {
                    (true, agents::board(&mut snapshot, self.team.as_deref()).await?)
                }
                rows => (false, rows),
            },
        };
        (self.seen, self.due) = (Some(position.max(self.seen.unwrap_or(0))), false);
        let shows = if whole { Shows::Whole } else { Shows::latest_of(rows.iter().map(|view| &view.profile.agent_id)) };
        let (here, gone): (Vec<_>, Vec<_>) = rows.into_iter().partition(|view| self.is_on_board(view));
        if !whole && here.is_empty() && gone.is_empty() {
            return Ok(Some(Vec::new()));
        }
        let payload = AgentBoardChanged {
            cursor: self.cursors.at(&self.scope, position),
            snapshot: whole,
            agents: here.into_iter().map(Into::into).collect(),
            gone: gone.into_iter().map(|view| view.profile.agent_id).collect(),
        };
        Ok(Some(vec![Push::new(payload, position, shows)]))
    }

    fn place(&self) -> Option<Place> {
        self.seen.filter(|_| !self.due).map(|seen| Place { seen, live: true })
    }
}

/// Subscriptions to agents.
#[derive(Default)]
pub(crate) struct AgentSubscription;

#[Subscription]
impl AgentSubscription {
    /// Agents who work: the whole board first, then those that changed. With `after`, only what changed since that cursor.
    /// Shows the latest state of each agent.
    #[graphql(guard = "RequireAll(\"agent\", \"read\")")]
    async fn agent_board(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "Only this team.")] team: Option<String>,
        #[graphql(desc = "Only what changed after this cursor.")] after: Option<String>,
    ) -> Result<impl Stream<Item = AgentBoardChanged> + use<>> {
        let (cursors, scope) = (context.data::<Cursors>()?.clone(), format!("agentBoard:{team:?}"));
        let team = sought("team", team)?;
        let seen = resume(context, &scope, after)?;
        let views = context.data::<Views>()?.clone();
        let watch = views.watch(MODEL, None);
        Ok(flatten(context, BoardPages { views, watch, cursors, scope, team, seen, due: true }))
    }
}
