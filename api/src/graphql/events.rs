//! The log itself: history of a call, the live stream of events, and the replay of a past call.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use async_graphql::{Context, Json, Object, Result, SimpleObject, Subscription};
use chrono::{DateTime, Utc};
use domain::{Event, Recorded};
use futures_util::{Stream, StreamExt};
use projections::log::{of_stream_id, of_stream_id_before};
use projections::models::Scroll;
use serde_json::value::RawValue;
use uuid::Uuid;

use super::calls::{HISTORY_EVENTS, call_unknown, permit_watch};
use super::cost;
use super::pages::{Connection, PageArgs, PageQuery, bad_cursor, resume};
use super::scalars::Position;
use crate::auth::{Require, RequireAll};
use crate::cursor::Cursors;
use crate::error::{bad_input, internal};
use crate::track::{Place, Push, Shows};
use crate::views::{PageError, Pages, Views, flatten};

/// Events taken from the log at once.
const PAGE_EVENTS: usize = 500;
/// Fastest replay.
const SPEED_MAX: f64 = 10_000.0;
/// Longest pause of a replay: a silence of hours is no reason to keep a client waiting for it.
const PAUSE_MAX: Duration = Duration::from_secs(3_600);

/// A stored event.
#[derive(SimpleObject)]
pub(crate) struct StoredEvent {
    /// Identity of the event.
    event_id: Uuid,
    /// Place in the log.
    position: Position,
    /// Kind of stream: `call`, `agent`, `transcript` or `sentiment`.
    category: &'static str,
    /// The call or agent it is about.
    stream_id: Uuid,
    /// Place in the stream.
    version: i64,
    /// What happened, such as `call.answered`.
    #[graphql(name = "type")]
    event_type: String,
    /// Shape of the payload, counted from 1 for each type.
    schema_version: i16,
    /// When it happened.
    occurred_at: DateTime<Utc>,
    /// When it was stored, by the clock of the database.
    recorded_at: DateTime<Utc>,
    /// Who caused it: `user:ID`, `system:NAME` or `provider:NAME`.
    actor: String,
    /// Groups what came from one beginning.
    correlation_id: Uuid,
    /// The command or event that led to it.
    causation_id: Option<Uuid>,
    /// W3C `traceparent` of the request.
    trace: Option<String>,
    /// The event itself.
    payload: Json<Box<RawValue>>,
}

impl From<&Recorded> for StoredEvent {
    fn from(event: &Recorded) -> Self {
        Self {
            event_id: event.id,
            position: Position(event.position),
            category: event.stream.category.as_str(),
            stream_id: event.stream.id,
            version: event.version,
            event_type: event.event_type.clone(),
            schema_version: event.schema_version,
            occurred_at: event.occurred_at,
            recorded_at: event.recorded_at,
            actor: event.actor.to_string(),
            correlation_id: event.correlation_id,
            causation_id: event.causation_id,
            trace: event.trace.clone(),
            payload: Json(event.payload.clone()),
        }
    }
}

/// Events of a history on a page where nothing is said.
pub(crate) const HISTORY_DEFAULT: Option<i32> = Some(50);

/// Which events of a history are wanted, and after which position.
type HistoryPage = (PageQuery<(Uuid, domain::Position)>, Option<domain::Position>);

/// Which page of a call's history is meant, and the place it goes on from.
pub(crate) fn history_place(context: &Context<'_>, call_id: Uuid, mut args: PageArgs) -> Result<HistoryPage> {
    if args.last.is_none() {
        args.first = args.first.or(HISTORY_DEFAULT);
    }
    let page = args.query::<(Uuid, domain::Position)>(context, "page:history")?;
    match page.cursor {
        Some((of, _)) if of != call_id => {
            let field = if page.scroll == Scroll::Forward { "after" } else { "before" };
            Err(bad_cursor(field, crate::cursor::CursorError::OtherScope))
        }
        place => Ok((page, place.map(|(_, position)| position))),
    }
}

/// Queries about the log.
#[derive(Default)]
pub(crate) struct EventQuery;

#[Object]
impl EventQuery {
    /// Every event of a call over all its streams, in order, with actor and cause.
    #[graphql(
        guard = "Require(\"call\", \"read\")",
        complexity = "cost::page(first.or(last).or(HISTORY_DEFAULT), None, child_complexity)"
    )]
    async fn call_history(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "The call.")] call_id: Uuid,
        #[graphql(desc = "How many from the beginning, 1 to 100; 50 when neither is given.")] first: Option<i32>,
        #[graphql(desc = "Those after this cursor.")] after: Option<String>,
        #[graphql(desc = "How many from the end, 1 to 100.")] last: Option<i32>,
        #[graphql(desc = "Those before this cursor.")] before: Option<String>,
    ) -> Result<Connection<StoredEvent>> {
        permit_watch(context, "call", call_id).await?;
        let (page, place) = history_place(context, call_id, PageArgs { first, after, last, before })?;
        let (database, limit) = (&context.data::<Views>()?.database, usize::try_from(page.limit).unwrap_or(0));
        let events = match page.scroll {
            Scroll::Forward => of_stream_id(database, call_id, place.unwrap_or(0), limit).await,
            Scroll::Backward => {
                let before = place.unwrap_or(domain::Position::MAX);
                of_stream_id_before(database, call_id, before, limit).await
            }
        };
        let events = events.map_err(|error| internal(&error))?;
        page.connection(context, events, |event| (call_id, event.position), |event| StoredEvent::from(&event))
    }

    /// How far the log goes: the position of its last event.
    #[graphql(guard = "RequireAll(\"event\", \"read\")")]
    async fn log_position(&self, context: &Context<'_>) -> Result<Position> {
        Ok(Position(context.data::<Views>()?.tail.head()))
    }
}

/// An event as it is pushed.
#[derive(SimpleObject)]
struct EventAppended {
    /// Goes on after this event: `after` of the next subscription.
    cursor: String,
    /// The event.
    event: StoredEvent,
}

/// An event of a past call, at its time.
#[derive(SimpleObject)]
struct EventReplayed {
    /// Goes on after this event: `after` of the next subscription.
    cursor: String,
    /// Milliseconds from the call's first event to this one, in its own time.
    offset_ms: i64,
    /// The event.
    event: StoredEvent,
}

/// Which events are wanted.
struct Wanted {
    stream_id: Option<Uuid>,
    types: Option<HashSet<String>>,
}

impl Wanted {
    fn takes(&self, event: &Recorded) -> bool {
        self.stream_id.is_none_or(|id| id == event.stream.id)
            && self.types.as_ref().is_none_or(|types| types.contains(&event.event_type))
    }
}

struct EventPages {
    views: Views,
    cursors: Cursors,
    scope: String,
    wanted: Wanted,
    seen: domain::Position,
    /// While catching up with one call from further back than memory goes: read its own events only, up to the head at the
    /// time.
    catch_up_to: Option<domain::Position>,
}

impl EventPages {
    fn pushes<'a>(&self, events: impl Iterator<Item = &'a Recorded>) -> Vec<Push<EventAppended>> {
        let push = |event: &Recorded| {
            let payload = EventAppended { cursor: self.cursors.at(&self.scope, event.position), event: event.into() };
            Push::new(payload, event.position, Shows::Every)
        };
        events.filter(|event| self.wanted.takes(event)).map(push).collect()
    }
}

impl Pages for EventPages {
    type Item = EventAppended;

    async fn next(&mut self) -> Result<Option<Vec<Push<EventAppended>>>, PageError> {
        // What is held in memory is not asked of the database: however many come back at once, it does not notice.
        if self.views.tail.read_held(self.seen, 1).is_some() {
            self.catch_up_to = None;
        }
        if let (Some(upto), Some(id)) = (self.catch_up_to, self.wanted.stream_id) {
            let _place = self.views.place_of_page().await?;
            let page = of_stream_id(&self.views.database, id, self.seen, PAGE_EVENTS).await?;
            let page: Vec<Recorded> = page.into_iter().filter(|event| event.position <= upto).collect();
            match page.last() {
                Some(last) => self.seen = last.position,
                None => (self.seen, self.catch_up_to) = (self.seen.max(upto), None),
            }
            return Ok(Some(self.pushes(page.iter())));
        }
        self.views.tail.wait_past(self.seen).await;
        let page: Vec<Arc<Recorded>> = match self.views.tail.read_held(self.seen, PAGE_EVENTS) {
            Some(page) => page,
            None => {
                let _place = self.views.place_of_page().await?;
                self.views.tail.read(self.seen, PAGE_EVENTS).await?
            }
        };
        if let Some(last) = page.last() {
            self.seen = last.position;
        }
        Ok(Some(self.pushes(page.iter().map(Arc::as_ref))))
    }

    fn place(&self) -> Option<Place> {
        let live = self.catch_up_to.is_none() && self.views.tail.head() <= self.seen;
        Some(Place { seen: self.seen, live })
    }
}

/// How long a pause of a call takes in a replay.
fn pause(own_ms: u64, speed: f64) -> Duration {
    // Slow enough, it is longer than a duration can be.
    let seconds = Duration::from_millis(own_ms).as_secs_f64() / speed;
    Duration::try_from_secs_f64(seconds).unwrap_or(PAUSE_MAX).min(PAUSE_MAX)
}

/// Subscriptions to the log.
#[derive(Default)]
pub(crate) struct EventSubscription;

#[Subscription]
impl EventSubscription {
    /// Events as they are appended: of one call or agent, of some types, or all. Each once, in order, none left out. With
    /// `after`, everything since that cursor first; without, from now on.
    #[graphql(guard = "RequireAll(\"event\", \"read\")")]
    async fn events(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "Only those about this call, over all its streams, or about this agent.")] subject_id: Option<
            Uuid,
        >,
        #[graphql(desc = "Only those of these types, such as `call.answered`.")] types: Option<Vec<String>>,
        #[graphql(desc = "Everything after this cursor first.")] after: Option<String>,
        #[graphql(desc = "Everything from the beginning first.", default_with = "Some(false)")] from_start: Option<
            bool,
        >,
    ) -> Result<impl Stream<Item = EventAppended> + use<>> {
        let known: HashSet<&str> = Event::types().collect();
        let unknown = types.iter().flatten().find(|name| !known.contains(name.as_str()));
        if let Some(unknown) = unknown {
            return Err(bad_input("types", "EVENT_TYPE_UNKNOWN", format!("there is no event type {unknown:?}")));
        }
        let mut names: Vec<&String> = types.iter().flatten().collect();
        names.sort();
        let scope = format!("events:{subject_id:?}:{names:?}");
        let (views, cursors) = (context.data::<Views>()?.clone(), context.data::<Cursors>()?.clone());
        let head = views.tail.head();
        let seen = match (after, from_start.unwrap_or(false)) {
            (Some(after), _) => cursors.position(&scope, &after).map_err(|error| bad_cursor("after", error))?,
            (None, true) => 0,
            (None, false) => head,
        };
        let wanted = Wanted { stream_id: subject_id, types: types.map(|types| types.into_iter().collect()) };
        let catch_up_to = (seen < head).then_some(head);
        Ok(flatten(context, EventPages { views, cursors, scope, wanted, seen, catch_up_to }))
    }

    /// Plays a past call back with its own timing, `speed` times faster than in life. Ends after its last event.
    #[graphql(guard = "Require(\"call\", \"read\")")]
    async fn replay_call(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "The call.")] call_id: Uuid,
        #[graphql(desc = "How many times faster, above 0 and at most 10000.", default_with = "Some(1.0)")]
        speed: Option<f64>,
        #[graphql(desc = "Goes on after this cursor.")] after: Option<String>,
    ) -> Result<impl Stream<Item = EventReplayed> + use<>> {
        let speed = speed.unwrap_or(1.0);
        if !(speed > 0.0 && speed <= SPEED_MAX) {
            return Err(bad_input("speed", "SPEED_OUT_OF_RANGE", format!("above 0 and at most {SPEED_MAX}")));
        }
        permit_watch(context, "call", call_id).await?;
        let (cursors, scope) = (context.data::<Cursors>()?.clone(), format!("replay:{call_id}"));
        let seen = resume(context, &scope, after)?.unwrap_or(0);
        let database = &context.data::<Views>()?.database;
        let mut events: Vec<Recorded> = Vec::new();
        loop {
            let after = events.last().map_or(0, |event| event.position);
            let page =
                of_stream_id(database, call_id, after, HISTORY_EVENTS).await.map_err(|error| internal(&error))?;
            if page.is_empty() {
                break;
            }
            events.extend(page);
        }
        let origin = events.first().map(|event| event.occurred_at).ok_or_else(call_unknown)?;
        let mut clock_ms = None;
        Ok(futures_util::stream::iter(events).filter(move |event| std::future::ready(event.position > seen)).then(
            move |event| {
                let offset_ms = (event.occurred_at - origin).num_milliseconds();
                // What is behind the cursor was played before: the clock begins with the first event that is not.
                let pause_ms = offset_ms.saturating_sub(*clock_ms.get_or_insert(offset_ms)).max(0);
                clock_ms = clock_ms.map(|clock: i64| clock.max(offset_ms));
                let payload =
                    EventReplayed { cursor: cursors.at(&scope, event.position), offset_ms, event: (&event).into() };
                async move {
                    tokio::time::sleep(pause(pause_ms.unsigned_abs(), speed)).await;
                    payload
                }
            },
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_are_bounded_however_slow_the_replay() {
        let seconds = Duration::from_secs;
        assert_eq!(pause(8_000, 4.0), seconds(2));
        assert_eq!(pause(8_000, 0.5), seconds(16));
        assert_eq!(pause(0, f64::MIN_POSITIVE), seconds(0));
        assert_eq!(pause(u64::MAX, 1.0), PAUSE_MAX);
        for speed in [1e-6, 1e-300, f64::MIN_POSITIVE] {
            assert_eq!(pause(8_000, speed), PAUSE_MAX, "{speed}");
        }
    }
}
