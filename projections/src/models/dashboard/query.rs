//! Questions about the floor and its days.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, Utc};
use chrono_tz::Tz;
use domain::agent::Presence;
use serde::Deserialize;
use sqlx::types::Json;
use sqlx::{PgConnection, QueryBuilder};

use super::{DashboardView, DayRow};
use crate::metrics::intervals::day_of;
use crate::models::LegState;
use crate::models::agents::Activity;
use crate::models::rows::unwrapped;

/// Most rows, one for each day and queue, that one query returns.
pub const DAY_ROWS_MAX: i64 = 100_000;

/// The floor at `now` and the day so far in `zone`, the one the model was made with. `queue`: of this queue only;
/// agents are always those of the whole floor.
///
/// # Errors
/// The database refused.
pub async fn today(
    connection: &mut PgConnection,
    zone: Tz,
    now: DateTime<Utc>,
    queue: Option<&str>,
) -> Result<DashboardView, sqlx::Error> {
    let sql = "SELECT count(*), min(enqueued_at) FROM read.dashboard_calls
               WHERE queue IS NOT NULL AND ($1::text IS NULL OR queue = $1)";
    let (waiting, oldest_enqueued_at) = sqlx::query_as(sql).bind(queue).fetch_one(&mut *connection).await?;

    let sql = "SELECT count(DISTINCT call_id) FROM read.dashboard_legs
               WHERE state IN ('connected', 'on_hold') AND ($1::text IS NULL OR queue = $1)";
    let in_progress = sqlx::query_scalar(sql).bind(queue).fetch_one(&mut *connection).await?;

    let agents = agents(connection).await?;
    let today = day_of(now, zone);
    let mut day = DayRow::zero(today, queue.unwrap_or_default());
    days(connection, today, today, queue).await?.iter().for_each(|row| day.add(row));
    let queue = queue.map(str::to_owned);
    Ok(DashboardView { at: now, queue, waiting, oldest_enqueued_at, in_progress, agents, day })
}

/// Rows of days, first to last inclusive, by day and queue. A day or queue on which nothing happened has no row.
///
/// # Errors
/// The database refused.
pub async fn days(
    connection: &mut PgConnection,
    first: NaiveDate,
    last: NaiveDate,
    queue: Option<&str>,
) -> Result<Vec<DayRow>, sqlx::Error> {
    let mut query = QueryBuilder::new("SELECT to_json(d) FROM read.dashboard_days d WHERE d.day BETWEEN ");
    query.push_bind(first).push(" AND ").push_bind(last);
    if let Some(queue) = queue {
        query.push(" AND d.queue = ").push_bind(queue);
    }
    query.push(" ORDER BY d.day, d.queue LIMIT ").push_bind(DAY_ROWS_MAX);
    let rows: Vec<Json<DayRow>> = query.build_query_scalar().fetch_all(connection).await?;
    Ok(unwrapped(rows))
}

/// Agents who have the same presence and the same states among their legs.
#[derive(Deserialize)]
struct Alike {
    presence: Option<Presence>,
    states: Vec<LegState>,
    agents: i64,
}

async fn agents(connection: &mut PgConnection) -> Result<BTreeMap<Activity, i64>, sqlx::Error> {
    let sql = "SELECT jsonb_build_object('presence', presence, 'states', states, 'agents', count(*)) FROM (
                   SELECT a.presence, array_remove(array_agg(DISTINCT l.state), NULL) AS states
                     FROM read.dashboard_agents a LEFT JOIN read.dashboard_legs l USING (agent_id)
                    GROUP BY a.agent_id) AS each GROUP BY presence, states";
    let rows: Vec<Json<Alike>> = sqlx::query_scalar(sql).fetch_all(connection).await?;
    let mut agents: BTreeMap<Activity, i64> = Activity::ALL.into_iter().map(|activity| (activity, 0)).collect();
    for alike in unwrapped(rows) {
        *agents.entry(Activity::of(alike.presence, alike.states)).or_default() += alike.agents;
    }
    Ok(agents)
}
