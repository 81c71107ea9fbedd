//! What a dashboard shows.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, Utc};
use domain::call::LegNumber;
use domain::{AgentId, CallId, Position};
use serde::{Deserialize, Serialize};

use crate::metrics::ratio;
use crate::metrics::service_level::{AbandonDialect, Counts, Dialect, abandonment_rate, service_level};
use crate::models::LegTimes;
use crate::models::agents::Activity;

/// A row of `dashboard_days`: what happened on one day in one queue. A count belongs to the day on which it happened:
/// a wait is offered when it begins, answered when it is answered, a leg is handled when its wrap-up is completed, and
/// all of its handle time counts there.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct DayRow {
    /// The day, in the configured time zone.
    pub day: NaiveDate,
    /// The queue; empty for conversations that came from no queue, and for a total of several.
    pub queue: String,
    /// What happened to those who waited.
    #[serde(flatten)]
    pub counts: Counts,
    /// Waits that ended with the call, by a rule or by a fault: neither answered nor abandoned.
    pub ended_waiting: i64,
    /// Waits of the answered, milliseconds.
    pub wait_ms_sum: i64,
    /// Longest wait of the answered, milliseconds.
    pub wait_ms_max: i64,
    /// Legs that had the customer and are done. Per leg, not per call: a call that two agents handled counts twice.
    /// Who only advised a colleague has handled nothing. A leg that ends without wrap-up is done when it ends.
    pub handled: i64,
    /// Speaking to the customer, milliseconds, of the handled legs.
    pub talk_ms_sum: i64,
    /// Customer on hold, milliseconds, of the handled legs.
    pub hold_ms_sum: i64,
    /// Speaking to the colleague who passed the customer on, milliseconds, of the handled legs.
    pub consult_ms_sum: i64,
    /// Work after the conversation, milliseconds, of the handled legs.
    pub wrap_up_ms_sum: i64,
    /// Position of the last event counted.
    pub position: Position,
}

impl DayRow {
    /// A row of zeros.
    #[must_use]
    pub fn zero(day: NaiveDate, queue: &str) -> Self {
        Self { day, queue: queue.to_owned(), ..Self::default() }
    }

    /// Adds another row's numbers to this one.
    pub fn add(&mut self, other: &Self) {
        self.counts.add(&other.counts);
        self.ended_waiting += other.ended_waiting;
        self.wait_ms_sum += other.wait_ms_sum;
        self.wait_ms_max = self.wait_ms_max.max(other.wait_ms_max);
        self.handled += other.handled;
        self.talk_ms_sum += other.talk_ms_sum;
        self.hold_ms_sum += other.hold_ms_sum;
        self.consult_ms_sum += other.consult_ms_sum;
        self.wrap_up_ms_sum += other.wrap_up_ms_sum;
        self.position = self.position.max(other.position);
    }

    /// Service level, 0 to 1.
    #[must_use]
    pub fn service_level(&self, dialect: Dialect) -> Option<f64> {
        service_level(&self.counts, dialect)
    }

    /// Share of callers who hung up while waiting, 0 to 1.
    #[must_use]
    pub fn abandonment_rate(&self, dialect: AbandonDialect) -> Option<f64> {
        abandonment_rate(&self.counts, dialect)
    }

    /// Average speed of answer, milliseconds: `sum of (answer - enqueue) / answered`. The answered only; from entering
    /// the queue it was answered from.
    #[must_use]
    pub fn average_speed_of_answer_ms(&self) -> Option<f64> {
        ratio(self.wait_ms_sum, self.counts.answered)
    }

    /// Average handle time, milliseconds: `sum of (talk + hold + wrap-up) / handled legs`. Of a leg that began as a
    /// consultation, that counts too.
    #[must_use]
    pub fn average_handle_ms(&self) -> Option<f64> {
        let handle_ms = self.talk_ms_sum + self.hold_ms_sum + self.consult_ms_sum + self.wrap_up_ms_sum;
        ratio(handle_ms, self.handled)
    }
}

/// The floor at this moment and its day so far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DashboardView {
    /// The moment of the question.
    pub at: DateTime<Utc>,
    /// The queue that was asked for; `None`: all of them.
    pub queue: Option<String>,
    /// Callers who wait now.
    pub waiting: i64,
    /// Begin of the longest wait of those.
    pub oldest_enqueued_at: Option<DateTime<Utc>>,
    /// Calls with an agent now, held or not.
    pub in_progress: i64,
    /// Agents by what they do now; every activity is there. Agents belong to no queue: always the whole floor.
    pub agents: BTreeMap<Activity, i64>,
    /// The day so far.
    pub day: DayRow,
}

impl DashboardView {
    /// Age of the longest wait, milliseconds.
    #[must_use]
    pub fn longest_wait_ms(&self) -> Option<i64> {
        self.oldest_enqueued_at.map(|begin| (self.at - begin).num_milliseconds().max(0))
    }
}

/// A row of `dashboard_calls` with its legs: a call that waits or has a leg that is not closed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct LiveCall {
    pub(super) call_id: CallId,
    /// The queue the caller waits in.
    pub(super) queue: Option<String>,
    /// Begin of that wait.
    pub(super) enqueued_at: Option<DateTime<Utc>>,
    pub(super) position: Position,
    pub(super) legs: Vec<LiveLeg>,
}

/// A row of `dashboard_legs`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct LiveLeg {
    pub(super) call_id: CallId,
    pub(super) leg: LegNumber,
    pub(super) agent_id: AgentId,
    /// The queue the caller waited in when it was offered.
    pub(super) queue: Option<String>,
    /// Opened by a colleague who asked.
    pub(super) consult: bool,
    /// The agent has or had the customer.
    pub(super) had_customer: bool,
    #[serde(flatten)]
    pub(super) times: LegTimes,
}

/// A row of `dashboard_agents`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct LiveAgent {
    pub(super) agent_id: AgentId,
    pub(super) presence: Option<domain::agent::Presence>,
    pub(super) position: Position,
}
