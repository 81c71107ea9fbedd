//! Calls: queries and subscriptions.

use async_graphql::{Context, InputObject, Object, Result, SimpleObject, Subscription};
use chrono::{DateTime, Utc};
use commands::EventStore;
use domain::call::Call as CallAggregate;
use domain::{Category, Personal, StreamName};
use futures_util::Stream;
use projections::Decoded;
use projections::log::of_stream_id;
use projections::models::calls::{self, CallCursor, CallFilter, CallView, Legs};
use uuid::Uuid;

use super::call_types::{Call, CallState};
use super::cost;
use super::direct::Direct;
use super::pages::{Connection, PageArgs, resume};
use super::scalars::{Direction, Position, instant, sought};
use crate::auth::{Permit, Reach, Require};
use crate::cursor::Cursors;
use crate::error::{code, coded, internal};
use crate::track::{Place, Push, Shows};
use crate::views::{PageError, Pages, Views, Watch, flatten};

/// Events of one call read at once.
pub(crate) const HISTORY_EVENTS: usize = 1_000;
const MODEL: &str = "calls";

/// Which calls are meant. What is absent does not choose.
#[derive(InputObject, Default)]
struct CallFilterInput {
    /// In one of these states.
    states: Option<Vec<CallState>>,
    /// Last in this queue.
    queue: Option<String>,
    /// In which this agent has a part.
    agent_id: Option<Uuid>,
    /// In which an agent of this team has a part.
    team: Option<String>,
    /// Who called whom.
    direction: Option<Direction>,
    /// Begun at this instant or later.
    initiated_from: Option<DateTime<Utc>>,
    /// Begun before this instant.
    initiated_before: Option<DateTime<Utc>>,
    /// Part of a number, or of the customer's name.
    text: Option<String>,
}

/// Queries about calls.
#[derive(Default)]
pub(crate) struct CallQuery;

#[Object]
impl CallQuery {
    /// One call, as it is or as it was. Null: there is no such call, or there was none then.
    #[graphql(guard = "Require(\"call\", \"read\")")]
    async fn call(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "The call.")] call_id: Uuid,
        #[graphql(desc = "As it was at this instant, from history; absent: as it is.")] as_of: Option<DateTime<Utc>>,
        #[graphql(desc = "Answer when the read model has reached this position: it sees one's own command.")]
        at_least: Option<Position>,
    ) -> Result<Option<Direct<Call>>> {
        let call = match as_of {
            Some(as_of) => history_view(context, call_id, instant("asOf", as_of)?).await?.map(Call::from),
            None => {
                let views = context.data::<Views>()?;
                let mut snapshot = views.snapshot(&[MODEL], at_least.map(|position| position.0)).await?;
                let found = calls::by_ids(&mut snapshot, &[call_id]).await.map_err(|error| internal(&error))?;
                Call::listed(found, Some(snapshot)).pop()
            }
        };
        let Some(call) = call else { return Ok(None) };
        context.permit("call", "read", &call.owners)?;
        Ok(Some(Direct(call)))
    }

    /// Calls, newest first.
    #[graphql(guard = "Require(\"call\", \"read\")", complexity = "cost::page(first, last, child_complexity)")]
    #[allow(clippy::too_many_arguments, reason = "the arguments of a connection")]
    async fn calls(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "Which calls; absent: all of them.")] filter: Option<CallFilterInput>,
        #[graphql(desc = "How many from the newest on, 1 to 100; 20 when absent.")] first: Option<i32>,
        #[graphql(desc = "Older than this cursor.")] after: Option<String>,
        #[graphql(desc = "How many from the oldest on, 1 to 100.")] last: Option<i32>,
        #[graphql(desc = "Newer than this cursor.")] before: Option<String>,
        #[graphql(desc = "Answer when the read model has reached this position.")] at_least: Option<Position>,
    ) -> Result<Direct<Connection<Call>>> {
        let filter = filter.unwrap_or_default();
        let agent_id = match context.reach("call", "read")? {
            // What one may not see is as if it were not there.
            Reach::Own(own) if filter.agent_id.is_some_and(|asked| asked != own) => {
                return Ok(Direct(Connection::empty()));
            }
            Reach::Own(own) => Some(own),
            Reach::All | Reach::Nothing => filter.agent_id,
        };
        let filter = CallFilter {
            states: filter.states.unwrap_or_default().into_iter().map(Into::into).collect(),
            queue: sought("filter.queue", filter.queue)?,
            agent_id,
            team: sought("filter.team", filter.team)?,
            direction: filter.direction.map(Into::into),
            initiated_from: filter.initiated_from.map(|from| instant("filter.initiatedFrom", from)).transpose()?,
            initiated_before: filter
                .initiated_before
                .map(|before| instant("filter.initiatedBefore", before))
                .transpose()?,
            text: sought("filter.text", filter.text)?.map(Personal::new),
        };
        let page = PageArgs { first, after, last, before }.query::<CallCursor>(context, "page:calls")?;
        let views = context.data::<Views>()?;
        let mut snapshot = views.snapshot(&[MODEL], at_least.map(|position| position.0)).await?;
        let legs = if needs_legs(context)? { Legs::Read } else { Legs::LeftOut };
        let rows = calls::page(&mut snapshot, &filter, page.cursor, page.limit, page.scroll, legs).await;
        let rows = rows.map_err(|error| internal(&error))?;
        let calls = Call::listed(rows, Some(snapshot));
        page.connection(context, calls, |call| (call.initiated_at, call.call_id), |call| call).map(Direct)
    }
}

/// Whether a page of calls needs their legs: because they are shown, or because they tell whose a call is.
fn needs_legs(context: &Context<'_>) -> Result<bool> {
    let viewer = context.viewer()?;
    let own = |resource| matches!(viewer.reach(resource, "read"), Reach::Own(_));
    let page = context.look_ahead();
    let shown = page.field("nodes").field("legs").exists() || page.field("edges").field("node").field("legs").exists();
    Ok(shown || ["call", "transcript", "sentiment"].into_iter().any(own))
}

/// A call folded from its history up to an instant, by the same function that keeps the read model.
async fn history_view(context: &Context<'_>, call_id: Uuid, as_of: DateTime<Utc>) -> Result<Option<CallView>> {
    let database = &context.data::<Views>()?.database;
    let (mut view, mut after) = (None, 0);
    loop {
        let page = of_stream_id(database, call_id, after, HISTORY_EVENTS).await.map_err(|error| internal(&error))?;
        let Some(last) = page.last().map(|event| event.position) else { return Ok(view) };
        after = last;
        for recorded in page.into_iter().filter(|event| event.stream.category == Category::Call) {
            if recorded.occurred_at > as_of {
                return Ok(view);
            }
            let event = recorded.decode().map_err(|error| internal(&error))?;
            view = CallView::fold(view, &Decoded { recorded: recorded.into(), event });
        }
    }
}

/// The error of a call that does not exist.
pub(crate) fn call_unknown() -> async_graphql::Error {
    coded(code::NOT_FOUND, "there is no such call")
}

/// Lets the viewer watch a call that exists: any call, or, with `:own`, one in which the viewer's agent has a part.
pub(crate) async fn permit_watch(context: &Context<'_>, resource: &str, call_id: Uuid) -> Result<()> {
    let store = context.data::<EventStore>()?;
    match context.reach(resource, "read")? {
        Reach::Own(_) => {
            let call = store.aggregate::<CallAggregate>(call_id).await.map_err(|error| internal(&error))?;
            let owners: Vec<Uuid> = call.state.legs.iter().map(|leg| leg.agent_id).collect();
            context.permit(resource, "read", &owners)
        }
        Reach::All | Reach::Nothing => {
            let stream = StreamName { category: Category::Call, id: call_id };
            let version = store.version(stream).await.map_err(|error| internal(&error))?;
            if version > 0 { Ok(()) } else { Err(call_unknown()) }
        }
    }
}

/// A call after a change.
#[derive(SimpleObject)]
struct CallChanged {
    /// Goes on after this change: `after` of the next subscription.
    cursor: String,
    /// The call as it is now.
    call: Call,
}

/// Subscriptions to calls.
#[derive(Default)]
pub(crate) struct CallSubscription;

struct CallPages {
    views: Views,
    watch: Watch,
    cursors: Cursors,
    scope: String,
    call_id: Uuid,
    seen: domain::Position,
    /// There may be something to show: at the beginning, and after a change until it was read.
    due: bool,
}

impl Pages for CallPages {
    type Item = CallChanged;

    async fn next(&mut self) -> Result<Option<Vec<Push<CallChanged>>>, PageError> {
        if !self.due && self.watch.changed().await.is_none() {
            return Ok(None);
        }
        self.due = true;
        let mut snapshot = self.views.page().await?;
        let found = calls::by_ids(&mut snapshot, &[self.call_id]).await?.pop();
        self.due = false;
        let newer = found.filter(|view| view.call.position > self.seen);
        Ok(Some(newer.map_or_else(Vec::new, |view| {
            self.seen = view.call.position;
            let payload = CallChanged { cursor: self.cursors.at(&self.scope, self.seen), call: view.into() };
            vec![Push::new(payload, self.seen, Shows::Whole)]
        })))
    }

    fn place(&self) -> Option<Place> {
        (!self.due).then_some(Place { seen: self.seen, live: true })
    }
}

#[Subscription]
impl CallSubscription {
    /// A call as it is now, then after each change. Shows the latest state: changes that follow each other faster than
    /// they are taken are shown as one; for each of them, see `events`.
    #[graphql(guard = "Require(\"call\", \"read\")")]
    async fn call(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "The call.")] call_id: Uuid,
        #[graphql(desc = "Only what changed after this cursor.")] after: Option<String>,
    ) -> Result<impl Stream<Item = CallChanged> + use<>> {
        permit_watch(context, "call", call_id).await?;
        let (cursors, scope) = (context.data::<Cursors>()?.clone(), format!("call:{call_id}"));
        let seen = resume(context, &scope, after)?.unwrap_or(0);
        let views = context.data::<Views>()?.clone();
        // Before the first snapshot, so that no change falls between the two.
        let watch = views.watch(MODEL, Some(call_id));
        Ok(flatten(context, CallPages { views, watch, cursors, scope, call_id, seen, due: true }))
    }
}
