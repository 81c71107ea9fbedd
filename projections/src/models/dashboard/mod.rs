//! The dashboard: what the floor looks like now and what its day has been so far.
//!
//! It keeps tables of its own for what goes on, since a model reads no other model's tables. It does not know who the
//! callers are.

mod fold;
mod query;
mod row;

use std::collections::BTreeSet;

use async_trait::async_trait;
use chrono_tz::Tz;
use domain::CallId;
use sqlx::PgConnection;
use uuid::Uuid;

pub use query::{DAY_ROWS_MAX, days, today};
pub use row::{DashboardView, DayRow};

use self::fold::Live;
use self::row::{LiveAgent, LiveCall, LiveLeg};
use super::rows::{by_ids, write};
use crate::{Change, Decoded, ReadModel};

/// The one key of this model.
pub const KEY: Uuid = Uuid::from_u128(0x3d0c_5a7e_91b4_4c39_8e1f_7b62_04da_95c1);

/// The queue of conversations that came from no queue.
pub const NO_QUEUE: &str = "";

/// The read model `dashboard`. Its key is [`KEY`].
#[derive(Debug, Clone, Copy)]
pub struct Dashboard {
    zone: Tz,
}

impl Dashboard {
    /// A dashboard whose days are those of a time zone.
    #[must_use]
    pub fn new(zone: Tz) -> Self {
        Self { zone }
    }
}

impl Default for Dashboard {
    fn default() -> Self {
        Self::new(Tz::UTC)
    }
}

#[async_trait]
impl ReadModel for Dashboard {
    fn name(&self) -> &'static str {
        "dashboard"
    }

    /// Holds the time zone as well: in another one every day has other counts, so the view is rebuilt.
    fn version(&self) -> i32 {
        const VERSION: i32 = 1;
        // More than there are zones.
        const ZONES: i32 = 10_000;
        let zone = chrono_tz::TZ_VARIANTS.iter().position(|zone| *zone == self.zone);
        VERSION * ZONES + zone.and_then(|index| i32::try_from(index).ok()).unwrap_or_default()
    }

    fn tables(&self) -> &'static [&'static str] {
        &["dashboard_days", "dashboard_calls", "dashboard_legs", "dashboard_agents"]
    }

    fn ddl(&self) -> &'static str {
        include_str!("dashboard.sql")
    }

    fn urgent(&self, event: &domain::Event) -> bool {
        matches!(event, domain::Event::Agent(_) | domain::Event::Call(_))
    }

    async fn apply(&self, connection: &mut PgConnection, events: &[&Decoded]) -> Result<Vec<Change>, sqlx::Error> {
        let of_call =
            events.iter().filter(|decoded| matches!(&decoded.event, domain::Event::Call(event) if fold::tells(event)));
        let ids: BTreeSet<CallId> = of_call.map(|decoded| decoded.recorded.stream.id).collect();
        let ids: Vec<CallId> = ids.into_iter().collect();
        let stored = if ids.is_empty() { Vec::new() } else { load(connection, &ids).await? };

        let mut live = Live::new(self.zone, stored);
        events.iter().for_each(|decoded| live.fold(decoded));
        let Some(position) = live.position else {
            return Ok(Vec::new());
        };
        store_calls(connection, &ids, live.calls.into_values().collect()).await?;
        let agents: Vec<LiveAgent> = live.agents.into_values().collect();
        write(connection, WRITE_AGENTS, &agents).await?;
        let days: Vec<DayRow> = live.days.into_values().collect();
        write(connection, include_str!("write_days.sql"), &days).await?;
        Ok(vec![Change { position, key: KEY }])
    }
}

const WRITE_AGENTS: &str = "INSERT INTO dashboard_agents AS stored
    SELECT * FROM jsonb_populate_recordset(NULL::dashboard_agents, $1)
    ON CONFLICT ON CONSTRAINT dashboard_agents_key DO UPDATE SET
        presence = EXCLUDED.presence, position = EXCLUDED.position";

async fn load(connection: &mut PgConnection, ids: &[CallId]) -> Result<Vec<LiveCall>, sqlx::Error> {
    let sql = "SELECT to_jsonb(c) || jsonb_build_object('legs', coalesce(
                   (SELECT jsonb_agg(l ORDER BY l.leg) FROM dashboard_legs l WHERE l.call_id = c.call_id), '[]'))
               FROM dashboard_calls c WHERE c.call_id = ANY($1)";
    by_ids(connection, sql, ids).await
}

/// Writes what goes on in the calls of a batch in place of what went on before.
async fn store_calls(connection: &mut PgConnection, ids: &[CallId], calls: Vec<LiveCall>) -> Result<(), sqlx::Error> {
    if ids.is_empty() {
        return Ok(());
    }
    for sql in
        ["DELETE FROM dashboard_calls WHERE call_id = ANY($1)", "DELETE FROM dashboard_legs WHERE call_id = ANY($1)"]
    {
        sqlx::query(sql).bind(ids).execute(&mut *connection).await?;
    }
    let live: Vec<LiveCall> = calls.into_iter().filter(|call| !call.is_idle()).collect();
    let sql = "INSERT INTO dashboard_calls SELECT * FROM jsonb_populate_recordset(NULL::dashboard_calls, $1)";
    write(connection, sql, &live).await?;
    let legs: Vec<LiveLeg> = live.into_iter().flat_map(|call| call.legs).collect();
    let sql = "INSERT INTO dashboard_legs SELECT * FROM jsonb_populate_recordset(NULL::dashboard_legs, $1)";
    write(connection, sql, &legs).await
}
