//! Objects by global id, after the Relay specification: `node` and `nodes`.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use async_graphql::{Context, ID, Interface, Object, Result};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use projections::models::{agents, calls, queues};
use uuid::Uuid;

use super::agent_types::Agent;
use super::call_types::Call;
use super::cost;
use super::pages::page_max;
use super::queues::{Queue, with_calls};
use super::users::User;
use crate::auth::{Auth, Permit, Reach, Viewer};
use crate::error::{bad_input, internal};
use crate::views::Views;

/// Longest global id that is looked at, in characters.
const LENGTH_MAX: usize = 128;

/// What a global id can name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    Call,
    Agent,
    Queue,
    User,
}

impl Kind {
    const ALL: [Self; 4] = [Self::Call, Self::Agent, Self::Queue, Self::User];

    /// Name of the type in the schema.
    fn name(self) -> &'static str {
        match self {
            Self::Call => "Call",
            Self::Agent => "Agent",
            Self::Queue => "Queue",
            Self::User => "User",
        }
    }
}

/// The identity of an object among those of all types: opaque to clients. It is not signed, because it opens nothing:
/// whoever asks by it needs the permission that the type's own query needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct GlobalId {
    kind: Kind,
    key: Uuid,
}

impl GlobalId {
    pub(crate) fn new(kind: Kind, key: Uuid) -> Self {
        Self { kind, key }
    }

    /// As clients see it: URL-safe base64 of type and key.
    pub(crate) fn to_id(self) -> ID {
        ID(URL_SAFE_NO_PAD.encode(format!("{}:{}", self.kind.name(), self.key)))
    }

    /// Reads an id. None: it names nothing that could be here. Of the ways to write an id, only the one that
    /// [`GlobalId::to_id`] uses is taken, so that an object's id is always the one it was asked for by.
    fn read(id: &ID) -> Option<Self> {
        if id.len() > LENGTH_MAX {
            return None;
        }
        let text = String::from_utf8(URL_SAFE_NO_PAD.decode(id.as_str()).ok()?).ok()?;
        let (kind, key) = text.split_once(':')?;
        let kind = Kind::ALL.into_iter().find(|known| known.name() == kind)?;
        let read = Self { kind, key: Uuid::try_parse(key).ok()? };
        (read.to_id() == *id).then_some(read)
    }
}

/// An object that can be found by its global id.
#[derive(Interface)]
#[graphql(field(
    name = "id",
    ty = "ID",
    desc = "Identity among everything: for `node` and for the caches of clients."
))]
pub(crate) enum Node {
    Call(Box<Call>),
    Agent(Box<Agent>),
    Queue(Queue),
    User(User),
}

/// Which keys of a kind are asked for.
fn keys(ids: &HashSet<GlobalId>, kind: Kind) -> Vec<Uuid> {
    ids.iter().filter(|id| id.kind == kind).map(|id| id.key).collect()
}

/// The objects of these ids that are there and that the viewer may see: one statement a kind, two for queues. Whether one
/// may be seen is decided as by the query of its type.
async fn find(context: &Context<'_>, ids: &HashSet<GlobalId>) -> Result<HashMap<GlobalId, Node>> {
    let viewer = context.viewer()?;
    let mut found = HashMap::new();
    read_models(context, viewer, ids, &mut found).await?;
    let mut users = keys(ids, Kind::User);
    if viewer.reach("user", "read") != Reach::All {
        users.retain(|key| *key == viewer.user.id);
    }
    if !users.is_empty() {
        let rows = context.data::<Auth>()?.users().by_ids(&users).await.map_err(|error| internal(&error))?;
        found.extend(rows.into_iter().map(|row| (GlobalId::new(Kind::User, row.id), Node::User(User(row)))));
    }
    Ok(found)
}

/// Those that are kept in read models, all from one snapshot.
async fn read_models(
    context: &Context<'_>,
    viewer: &Viewer,
    ids: &HashSet<GlobalId>,
    found: &mut HashMap<GlobalId, Node>,
) -> Result<()> {
    let may = |resource: &str| viewer.reach(resource, "read");
    let calls = if may("call") == Reach::Nothing { Vec::new() } else { keys(ids, Kind::Call) };
    let mut agents = keys(ids, Kind::Agent);
    agents.retain(|key| may("agent") == Reach::All || may("agent") == Reach::Own(*key));
    let queues = if may("queue") == Reach::All { keys(ids, Kind::Queue) } else { Vec::new() };
    if calls.is_empty() && agents.is_empty() && queues.is_empty() {
        return Ok(());
    }
    let mut snapshot = context.data::<Views>()?.snapshot(&[], None).await?;
    if !agents.is_empty() {
        let rows = agents::by_ids(&mut snapshot, &agents).await.map_err(|error| internal(&error))?;
        let node = |row: agents::AgentView| {
            (GlobalId::new(Kind::Agent, row.profile.agent_id), Node::Agent(Box::new(row.into())))
        };
        found.extend(rows.into_iter().map(node));
    }
    if !queues.is_empty() {
        let rows = queues::by_ids(&mut snapshot, &queues).await.map_err(|error| internal(&error))?;
        let rows = with_calls(&mut snapshot, rows).await.map_err(|error| internal(error.as_ref()))?;
        found.extend(rows.into_iter().map(|queue| (GlobalId::new(Kind::Queue, queue.key), Node::Queue(queue))));
    }
    if !calls.is_empty() {
        let rows = calls::by_ids(&mut snapshot, &calls).await.map_err(|error| internal(&error))?;
        // Goes on to what is asked for below the calls.
        let mut calls = Call::listed(rows, Some(snapshot));
        if let Reach::Own(agent_id) = may("call") {
            calls.retain(|call| call.owners.contains(&agent_id));
        }
        found.extend(
            calls.into_iter().map(|call| (GlobalId::new(Kind::Call, call.call_id), Node::Call(Box::new(call)))),
        );
    }
    Ok(())
}

/// Queries for objects of every type.
#[derive(Default)]
pub(crate) struct NodeQuery;

#[Object]
impl NodeQuery {
    /// The object with a global id. Null: there is none, or the viewer may not see it.
    #[graphql(complexity = "cost::list(1, child_complexity)")]
    async fn node(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "What an object's `id` says.")] id: ID,
    ) -> Result<Option<Node>> {
        let Some(id) = GlobalId::read(&id) else { return context.viewer().map(|_| None) };
        Ok(find(context, &HashSet::from([id])).await?.remove(&id))
    }

    /// Objects with global ids, in the order asked for; null in the place of one that is not there or that the viewer may
    /// not see.
    #[graphql(complexity = "cost::list(ids.len(), child_complexity)")]
    async fn nodes(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "What objects' `id` says, 100 at most. Each is shown as often as it is asked for.")] ids: Vec<
            ID,
        >,
    ) -> Result<Vec<Option<Arc<Node>>>> {
        let most = page_max(context);
        if i32::try_from(ids.len()).map_or(true, |count| count > most) {
            return Err(bad_input("ids", "TOO_MANY_IDS", format!("at most {most}")));
        }
        let ids: Vec<Option<GlobalId>> = ids.iter().map(GlobalId::read).collect();
        let found = find(context, &ids.iter().flatten().copied().collect()).await?;
        let found: HashMap<GlobalId, Arc<Node>> = found.into_iter().map(|(id, node)| (id, Arc::new(node))).collect();
        Ok(ids.into_iter().map(|id| found.get(&id?).cloned()).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_come_back_and_nothing_else_is_taken() {
        let key = Uuid::from_u128(0x0192_a3b4_c5d6_7e8f_9012_3456_789a_bcde);
        for kind in Kind::ALL {
            let id = GlobalId::new(kind, key);
            assert!(id.to_id().bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_'));
            assert_eq!(GlobalId::read(&id.to_id()), Some(id));
        }
        let forged = |text: &str| ID(URL_SAFE_NO_PAD.encode(text));
        for id in [
            ID(String::new()),
            ID("not base64!".to_owned()),
            ID(key.to_string()),
            ID("A".repeat(LENGTH_MAX + 1)),
            forged(""),
            forged("Call"),
            forged("Call:"),
            forged("Call:42"),
            forged("Nobody:0192a3b4-c5d6-7e8f-9012-3456789abcde"),
            forged("call:0192a3b4-c5d6-7e8f-9012-3456789abcde"),
            // The same key, written otherwise.
            forged("Call:0192a3b4c5d67e8f90123456789abcde"),
            forged("Call:0192A3B4-C5D6-7E8F-9012-3456789ABCDE"),
            forged("Call:{0192a3b4-c5d6-7e8f-9012-3456789abcde}"),
            ID(format!("{}=", GlobalId::new(Kind::Call, key).to_id().as_str())),
            ID(URL_SAFE_NO_PAD.encode(b"Call:\xff")),
        ] {
            assert_eq!(GlobalId::read(&id), None, "{id:?}");
        }
    }
}
