//! The wallboard: the floor now, and its day so far.

use std::time::Duration;

use async_graphql::{ComplexObject, Context, Enum, Object, Result, SimpleObject, Subscription};
use chrono::{DateTime, NaiveDate, Utc};
use chrono_tz::Tz;
use futures_util::Stream;
use projections::models::dashboard::{self, DashboardView};
use tokio::time::Instant;

use super::agent_types::Activity;
use super::cost;
use super::pages::resume;
use super::scalars::{Position, sought};
use crate::auth::RequireAll;
use crate::cursor::Cursors;
use crate::error::internal;
use crate::limits::Limits;
use crate::track::{Place, Push, Shows};
use crate::views::{PageError, Pages, Views, Watch, flatten};

const MODEL: &str = "dashboard";

/// A published definition of service level.
#[derive(Enum, Debug, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "projections::metrics::service_level::Dialect")]
enum ServiceLevelDialect {
    /// Ours, and Talkdesk's: answered within threshold / (offered - short abandons).
    Standard,
    /// Sinch: on time / (arrived - false attempts).
    Sinch,
    /// Amazon Connect: left the queue within the threshold, answered or abandoned / queued.
    AmazonConnect,
    /// Genesys Cloud: answered within threshold / (answered + abandoned).
    Genesys,
    /// Genesys Cloud, short abandons left out of the denominator.
    GenesysWithoutShort,
    /// Genesys Cloud, all abandons left out of the denominator.
    GenesysWithoutAbandons,
    /// Genesys Cloud, flow-outs added to the denominator.
    GenesysWithFlowOuts,
}

/// Agents who do one thing now.
#[derive(SimpleObject)]
struct AgentCount {
    /// What they do.
    activity: Activity,
    /// How many.
    agents: i64,
}

/// The floor now, and its day so far. Counts belong to the day on which they happened, in the configured time zone.
#[derive(SimpleObject)]
#[graphql(complex)]
struct Dashboard {
    /// The moment of the answer.
    at: DateTime<Utc>,
    /// The queue that was asked for; null: all of them.
    queue: Option<String>,
    /// The day.
    day: NaiveDate,
    /// Callers who wait now.
    waiting: i64,
    /// Begin of the longest wait of those.
    oldest_enqueued_at: Option<DateTime<Utc>>,
    /// Age of the longest wait at `at`, milliseconds.
    longest_wait_ms: Option<i64>,
    /// Calls with an agent now, held or not.
    in_progress: i64,
    /// Agents by what they do now, every activity listed. Agents belong to no queue: always the whole floor.
    #[graphql(complexity = "cost::list(cost::ACTIVITIES, child_complexity)")]
    agents: Vec<AgentCount>,
    /// Entries into a queue today. A call that moves to another queue counts again there.
    offered: i64,
    /// Answered from a queue today.
    answered: i64,
    /// Answered within 20 seconds of entering the queue.
    answered_in_threshold: i64,
    /// Callers who hung up while waiting.
    abandoned: i64,
    /// Of those, within 5 seconds, that second included.
    abandoned_short: i64,
    /// Callers who moved to another queue; never an abandonment.
    flow_outs: i64,
    /// Share of callers who hung up while waiting, 0 to 1: abandons that are not short / (offered - short abandons). Null:
    /// nothing to divide by.
    abandonment_rate: Option<f64>,
    /// Average speed of answer, milliseconds: sum of (answer - enqueue) / answered. Answered calls only.
    average_speed_of_answer_ms: Option<f64>,
    /// Longest wait of the answered, milliseconds.
    longest_wait_answered_ms: i64,
    /// Legs done today, wrap-up included. Per leg: a call that two agents handled counts twice.
    handled: i64,
    /// Average handle time, milliseconds: sum of (talk + hold + wrap-up) / handled legs.
    average_handle_time_ms: Option<f64>,
    #[graphql(skip)]
    view: DashboardView,
}

#[ComplexObject]
impl Dashboard {
    /// Service level, 0 to 1: by default, answered within 20 s / (offered - abandons of 5 s or less). Null: nothing to
    /// divide by. On a live day it may exceed 1 for a moment: who enters before midnight may be answered after it.
    async fn service_level(
        &self,
        #[graphql(desc = "Whose definition.", default_with = "Some(ServiceLevelDialect::Standard)")] dialect: Option<
            ServiceLevelDialect,
        >,
    ) -> Option<f64> {
        self.view.day.service_level(dialect.unwrap_or(ServiceLevelDialect::Standard).into())
    }
}

impl From<DashboardView> for Dashboard {
    fn from(view: DashboardView) -> Self {
        let (day, counts) = (&view.day, &view.day.counts);
        Self {
            at: view.at,
            queue: view.queue.clone(),
            day: day.day,
            waiting: view.waiting,
            oldest_enqueued_at: view.oldest_enqueued_at,
            longest_wait_ms: view.longest_wait_ms(),
            in_progress: view.in_progress,
            agents: view
                .agents
                .iter()
                .map(|(activity, agents)| AgentCount { activity: (*activity).into(), agents: *agents })
                .collect(),
            offered: counts.offered,
            answered: counts.answered,
            answered_in_threshold: counts.answered_in_threshold,
            abandoned: counts.abandoned,
            abandoned_short: counts.abandoned_short,
            flow_outs: counts.flow_outs,
            abandonment_rate: day.abandonment_rate(Default::default()),
            average_speed_of_answer_ms: day.average_speed_of_answer_ms(),
            longest_wait_answered_ms: day.wait_ms_max,
            handled: day.handled,
            average_handle_time_ms: day.average_handle_ms(),
            view,
        }
    }
}

/// The time zone whose days are counted.
#[derive(Clone, Copy)]
pub(crate) struct Zone(pub(crate) Tz);

/// Queries for wallboards.
#[derive(Default)]
pub(crate) struct DashboardQuery;

#[Object]
impl DashboardQuery {
    /// The floor now, and its day so far.
    #[graphql(guard = "RequireAll(\"dashboard\", \"read\")")]
    async fn dashboard(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "Only this queue; absent: all of them.")] queue: Option<String>,
        #[graphql(desc = "Answer when the read model has reached this position.")] at_least: Option<Position>,
    ) -> Result<Dashboard> {
        let queue = sought("queue", queue)?;
        let (views, zone) = (context.data::<Views>()?, context.data::<Zone>()?.0);
        let mut snapshot = views.snapshot(&[MODEL], at_least.map(|position| position.0)).await?;
        let view = dashboard::today(&mut snapshot, zone, Utc::now(), queue.as_deref()).await;
        Ok(view.map_err(|error| internal(&error))?.into())
    }
}

/// The dashboard after a change.
#[derive(SimpleObject)]
struct DashboardChanged {
    /// Goes on after this state: `after` of the next subscription.
    cursor: String,
    /// The dashboard.
    dashboard: Dashboard,
}

struct DashboardPages {
    views: Views,
    watch: Watch,
    cursors: Cursors,
    scope: String,
    zone: Tz,
    queue: Option<String>,
    seen: domain::Position,
    /// There may be something to show: at the beginning, and after a change until it was read.
    due: bool,
    push_next: Instant,
    push_every: Duration,
}

impl Pages for DashboardPages {
    type Item = DashboardChanged;

    async fn next(&mut self) -> Result<Option<Vec<Push<DashboardChanged>>>, PageError> {
        if !self.due && self.watch.changed().await.is_none() {
            return Ok(None);
        }
        self.due = true;
        tokio::time::sleep_until(self.push_next).await;
        let mut snapshot = self.views.page().await?;
        let position = snapshot.position(MODEL).await?;
        // What came during the pause was shown with the push before, or nothing has changed since the cursor.
        if position <= self.seen {
            self.due = false;
            return Ok(Some(Vec::new()));
        }
        let view = dashboard::today(&mut snapshot, self.zone, Utc::now(), self.queue.as_deref()).await?;
        (self.seen, self.push_next) = (position, Instant::now() + self.push_every);
        self.due = false;
        let cursor = self.cursors.at(&self.scope, position);
        let payload = DashboardChanged { cursor, dashboard: view.into() };
        Ok(Some(vec![Push::new(payload, position, Shows::Whole)]))
    }

    fn place(&self) -> Option<Place> {
        (!self.due).then_some(Place { seen: self.seen, live: true })
    }
}

/// Subscriptions for wallboards.
#[derive(Default)]
pub(crate) struct DashboardSubscription;

#[Subscription]
impl DashboardSubscription {
    /// The dashboard as it is, then after changes, at most four times a second. Shows the latest state. With `after`, only
    /// when something has changed since that cursor. Waiting times go on between two pushes: count from
    /// `oldestEnqueuedAt`.
    #[graphql(guard = "RequireAll(\"dashboard\", \"read\")")]
    async fn dashboard(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "Only this queue; absent: all of them.")] queue: Option<String>,
        #[graphql(desc = "Only what changed after this cursor.")] after: Option<String>,
    ) -> Result<impl Stream<Item = DashboardChanged> + use<>> {
        let queue = sought("queue", queue)?;
        let (cursors, scope) = (context.data::<Cursors>()?.clone(), format!("dashboard:{queue:?}"));
        let seen = resume(context, &scope, after)?.unwrap_or(-1);
        let (views, zone) = (context.data::<Views>()?.clone(), context.data::<Zone>()?.0);
        let watch = views.watch(MODEL, None);
        let (push_next, push_every) = (Instant::now(), context.data::<Limits>()?.dashboard_every);
        let due = true;
        Ok(flatten(
            context,
            DashboardPages { views, watch, cursors, scope, zone, queue, seen, due, push_next, push_every },
        ))
    }
}
