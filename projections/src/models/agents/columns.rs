//! Agents from the columns of their table.

use sqlx::FromRow;
use sqlx::postgres::PgRow;
use sqlx::types::Json;

use crate::models::columns::{Column, from_row, number, personal, plain, word, word_if_any};

use super::{AgentProfile, AgentView};

from_row!(AgentProfile {
    agent_id: plain,
    name: personal,
    team: plain,
    capacity: number::<i16, _>,
    capabilities: list,
});

from_row!(AgentView {
    profile: profile,
    presence: word_if_any,
    presence_reason: plain,
    presence_since: plain,
    activity: word,
    activity_since: plain,
    contacts: list,
    version: plain,
    position: plain,
});

fn profile(row: &PgRow, _: Column) -> Result<AgentProfile, sqlx::Error> {
    FromRow::from_row(row)
}

/// What belongs to an agent: a list in JSON, or null for none.
fn list<T: serde::de::DeserializeOwned + Send + 'static>(row: &PgRow, column: Column) -> Result<Vec<T>, sqlx::Error> {
    Ok(plain::<Option<Json<Vec<T>>>>(row, column)?.map_or_else(Vec::new, |Json(list)| list))
}
