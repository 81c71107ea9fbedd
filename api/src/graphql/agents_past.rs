//! An agent as of a past instant: the profile folded from history, with what was so in each dimension.

use async_graphql::Result;
use chrono::{DateTime, Utc};
use domain::Category;
use projections::Decoded;
use projections::log::of_stream_id;
use projections::models::agents::{self, AgentProfile, Dimension, IntervalRow};
use serde::de::DeserializeOwned;
use uuid::Uuid;

use super::agent_types::{Activity, Agent, Contact};
use super::calls::HISTORY_EVENTS;
use crate::error::internal;
use crate::views::Views;

/// The profile folded from the agent's own events up to an instant.
pub(super) async fn profile_at(views: &Views, agent_id: Uuid, as_of: DateTime<Utc>) -> Result<Option<AgentProfile>> {
    let (mut profile, mut after) = (None, 0);
    loop {
        let page = of_stream_id(&views.database, agent_id, after, HISTORY_EVENTS).await;
        let page = page.map_err(|error| internal(&error))?;
        let Some(last) = page.last().map(|event| event.position) else { return Ok(profile) };
        after = last;
        for recorded in page.into_iter().filter(|event| event.stream.category == Category::Agent) {
            if recorded.occurred_at > as_of {
                return Ok(profile);
            }
            let event = recorded.decode().map_err(|error| internal(&error))?;
            profile = AgentProfile::fold(profile, &Decoded { recorded: recorded.into(), event });
        }
    }
}

/// An agent at an instant: the profile of then, with what was so in each dimension.
pub(super) fn agent_at(profile: AgentProfile, intervals: Vec<IntervalRow>) -> Agent {
    let of = |dimension| intervals.iter().find(move |row| row.dimension == dimension);
    let (presence, activity) = (of(Dimension::Presence), of(Dimension::Activity));
    let contact = |row: &IntervalRow| {
        let state: projections::models::LegState = word(&row.state)?;
        let (call_id, leg) = (row.call_id?, row.leg?);
        Some(Contact { call_id, leg, state: state.into(), state_since: row.began_at, consult: false })
    };
    let presence_word = presence.and_then(|row| word::<domain::agent::Presence>(&row.state));
    let activity_word = activity.and_then(|row| word::<agents::Activity>(&row.state));
    Agent {
        agent_id: profile.agent_id,
        name: profile.name.reveal().clone(),
        team: profile.team,
        capacity: profile.capacity,
        capabilities: profile.capabilities.into_iter().map(Into::into).collect(),
        presence: presence_word.map(Into::into),
        presence_reason: presence.and_then(|row| row.reason.clone()),
        presence_since: presence.map(|row| row.began_at),
        activity: activity_word.map_or(Activity::SignedOut, Into::into),
        activity_since: activity.map(|row| row.began_at),
        contacts: intervals.iter().filter(|row| row.dimension == Dimension::Contact).filter_map(contact).collect(),
        version: None,
        position: None,
    }
}

/// A word of the read model as a value; none for a word it does not have, such as `signed_out` for a presence.
fn word<T: DeserializeOwned>(text: &str) -> Option<T> {
    serde_json::from_value(serde_json::Value::String(text.to_owned())).ok()
}
