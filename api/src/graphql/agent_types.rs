//! An agent, as clients see it.

use async_graphql::{ComplexObject, Enum, ID, SimpleObject};
use chrono::{DateTime, Utc};
use domain::agent::Capability as AgentCapability;
use projections::models::agents::{self, AgentProfile, AgentView};
use uuid::Uuid;

use super::call_types::LegState;
use super::cost;
use super::direct::{Chosen, Column, Leaf, Plain, stored, words};
use super::node::{GlobalId, Kind};
use super::scalars::{Position, Presence};

/// What an agent does, as one word for a tile. Of what holds at the same time, the first in this list is shown.
#[derive(Enum, Debug, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "projections::models::agents::Activity")]
pub(crate) enum Activity {
    /// In a conversation: with a customer, held or not, or with a colleague.
    OnContact,
    /// Working after a conversation.
    AfterContactWork,
    /// The phone rings.
    Ringing,
    /// Ready for a conversation.
    Available,
    /// Away from the desk for a short time.
    Away,
    /// On a paid break.
    OnBreak,
    /// At lunch or dinner.
    AtMeal,
    /// In a meeting.
    InMeeting,
    /// In training.
    InTraining,
    /// Not working.
    SignedOut,
}

words!(Activity);

/// Something an agent can do, and how well.
#[derive(SimpleObject)]
pub(super) struct Capability {
    /// What: a language, a product, a task.
    name: String,
    /// How well, from 1 (learning) to 10 (expert).
    level: u8,
}

impl From<AgentCapability> for Capability {
    fn from(capability: AgentCapability) -> Self {
        Self { name: capability.name.as_str().to_owned(), level: capability.level }
    }
}

/// A leg an agent has now.
#[derive(SimpleObject)]
pub(super) struct Contact {
    /// The call.
    pub(super) call_id: Uuid,
    /// The leg.
    pub(super) leg: u32,
    /// What happens on it.
    pub(super) state: LegState,
    /// Since when.
    pub(super) state_since: DateTime<Utc>,
    /// Opened by a colleague who asked.
    pub(super) consult: bool,
}

/// An agent.
#[derive(SimpleObject)]
#[graphql(complex)]
pub(crate) struct Agent {
    /// Identity.
    pub(super) agent_id: Uuid,
    /// Name.
    pub(super) name: String,
    /// The team.
    pub(super) team: Option<String>,
    /// How many conversations at once.
    pub(super) capacity: u8,
    /// What the agent can do.
    #[graphql(complexity = "cost::list(cost::CAPABILITIES, child_complexity)")]
    pub(super) capabilities: Vec<Capability>,
    /// Presence; null: signed out.
    pub(super) presence: Option<Presence>,
    /// Why the agent has this presence.
    pub(super) presence_reason: Option<String>,
    /// Since when.
    pub(super) presence_since: Option<DateTime<Utc>>,
    /// The tile: of contacts and presence, what comes first in the order of `Activity`.
    pub(super) activity: Activity,
    /// Since when.
    pub(super) activity_since: Option<DateTime<Utc>>,
    /// Legs the agent has, in order of their begin.
    #[graphql(complexity = "cost::list(cost::CONTACTS, child_complexity)")]
    pub(super) contacts: Vec<Contact>,
    /// Version of the agent's own stream; for `expectedVersion`. Null where the agent is shown as of an instant.
    pub(super) version: Option<i64>,
    /// Place of the last event that changed the agent. Null where the agent is shown as of an instant.
    pub(super) position: Option<Position>,
}

#[ComplexObject]
impl Agent {
    /// Identity among everything: for `node` and for the caches of clients.
    pub(super) async fn id(&self) -> ID {
        GlobalId::new(Kind::Agent, self.agent_id).to_id()
    }
}

impl From<AgentView> for Agent {
    fn from(view: AgentView) -> Self {
        let AgentProfile { agent_id, name, team, capacity, capabilities } = view.profile;
        let contact = |row: agents::ContactRow| Contact {
            call_id: row.call_id,
            leg: row.leg,
            state: row.state.into(),
            state_since: row.state_since,
            consult: row.consult,
        };
        Self {
            agent_id,
            name: name.into_revealed(),
            team,
            capacity,
            capabilities: capabilities.into_iter().map(Into::into).collect(),
            presence: view.presence.map(Into::into),
            presence_reason: view.presence_reason,
            presence_since: view.presence_since,
            activity: view.activity.into(),
            activity_since: view.activity_since,
            contacts: view.contacts.into_iter().map(contact).collect(),
            version: Some(view.version),
            position: Some(Position(view.position)),
        }
    }
}

impl Plain for Agent {
    type Shown = Self;

    fn column(field: &Chosen<'_>) -> Option<Column<Self>> {
        stored!(field, {
            "agentId": agent_id, "name": name, "team": team, "capacity": capacity, "presence": presence,
            "presenceReason": presence_reason, "presenceSince": presence_since, "activity": activity,
            "activitySince": activity_since, "version": version, "position": position,
        })
        .or_else(|| match field.name() {
            "id" => Some(Column::Leaf(|agent: &Self, text| {
                GlobalId::new(Kind::Agent, agent.agent_id).to_id().write(text);
            })),
            "capabilities" => field.list(|agent| agent.capabilities.as_slice()),
            "contacts" => field.list(|agent| agent.contacts.as_slice()),
            _ => None,
        })
    }
}

impl Plain for Capability {
    type Shown = Self;

    fn column(field: &Chosen<'_>) -> Option<Column<Self>> {
        stored!(field, {
            "name": name, "level": level,
        })
    }
}

impl Plain for Contact {
    type Shown = Self;

    fn column(field: &Chosen<'_>) -> Option<Column<Self>> {
        stored!(field, {
            "callId": call_id, "leg": leg, "state": state, "stateSince": state_since, "consult": consult,
        })
    }
}
