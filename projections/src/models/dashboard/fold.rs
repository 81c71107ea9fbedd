//! From what goes on and an event to what goes on then, and what it adds to the day.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, Utc};
use chrono_tz::Tz;
use domain::call::{Event, LegNumber};
use domain::{AgentId, CallId, Position, agent};

use super::row::{LiveAgent, LiveCall, LiveLeg};
use super::{DayRow, NO_QUEUE};
use crate::Decoded;
use crate::metrics::intervals::day_of;
use crate::metrics::service_level::{ANSWER_THRESHOLD_MS, SHORT_ABANDON_MS};
use crate::models::rows::elapsed_ms;
use crate::models::{LegState, LegTimes};

/// The live part of a batch, and what the batch adds to the days.
#[derive(Debug)]
pub(super) struct Live {
    zone: Tz,
    /// Calls of the batch. One that neither waits nor has a leg is over for us.
    pub(super) calls: BTreeMap<CallId, LiveCall>,
    /// Agents whose presence changed.
    pub(super) agents: BTreeMap<AgentId, LiveAgent>,
    /// What to add.
    pub(super) days: BTreeMap<(NaiveDate, String), DayRow>,
    /// Position of the last event that changed anything.
    pub(super) position: Option<Position>,
}

/// How a wait ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Left {
    Answered,
    Abandoned,
    FlowOut,
    WithCall,
}

/// Whether an event of a call changes anything here.
pub(super) fn tells(event: &Event) -> bool {
    !matches!(
        event,
        Event::Initiated(_)
            | Event::Muted(_)
            | Event::Unmuted(_)
            | Event::RecordingStarted(_)
            | Event::RecordingPaused(_)
            | Event::RecordingResumed(_)
            | Event::RecordingStopped(_)
    )
}

impl Live {
    pub(super) fn new(zone: Tz, calls: Vec<LiveCall>) -> Self {
        let calls = calls.into_iter().map(|call| (call.call_id, call)).collect();
        Self { zone, calls, agents: BTreeMap::new(), days: BTreeMap::new(), position: None }
    }

    /// Takes one event in.
    pub(super) fn fold(&mut self, decoded: &Decoded) {
        let recorded = &decoded.recorded;
        let (id, position, at) = (recorded.stream.id, recorded.position, recorded.occurred_at);
        match &decoded.event {
            domain::Event::Agent(event) => self.fold_agent(id, event, position),
            domain::Event::Call(event) if tells(event) => {
                let empty = LiveCall { call_id: id, queue: None, enqueued_at: None, position, legs: Vec::new() };
                let mut call = self.calls.remove(&id).unwrap_or(empty);
                call.position = position;
                self.fold_call(&mut call, event, at);
                self.calls.insert(id, call);
                self.position = Some(position);
            }
            domain::Event::Call(_) | domain::Event::Transcript(_) | domain::Event::Sentiment(_) => {}
        }
    }

    fn fold_agent(&mut self, agent_id: AgentId, event: &agent::Event, position: Position) {
        let presence = match event {
            agent::Event::Registered(_) | agent::Event::SignedOut(_) => None,
            agent::Event::SignedIn(e) => Some(e.presence),
            agent::Event::PresenceChanged(e) => Some(e.presence),
            _ => return,
        };
        self.agents.insert(agent_id, LiveAgent { agent_id, presence, position });
        self.position = Some(position);
    }

    fn fold_call(&mut self, call: &mut LiveCall, event: &Event, at: DateTime<Utc>) {
        match event {
            Event::Queued(e) => {
                self.leave(call, Left::FlowOut, at);
                call.queue = Some(e.queue.to_string());
                call.enqueued_at = Some(at);
                self.day(at, e.queue.as_str(), call.position).counts.offered += 1;
            }
            Event::Offered(e) => call.open(e.leg, e.agent_id, false, at),
            Event::ConsultStarted(e) => call.open(e.consult_leg, e.agent_id, true, at),
            Event::Declined(e) => self.close(call, e.leg, at),
            Event::OfferExpired(e) => self.close(call, e.leg, at),
            Event::OfferWithdrawn(e) => self.close(call, e.leg, at),
            Event::ConsultCancelled(e) => self.close(call, e.consult_leg, at),
            Event::Answered(e) if call.is_consult(e.leg) => call.turn(e.leg, LegState::Consulting, at),
            Event::Answered(e) => {
                self.leave(call, Left::Answered, at);
                call.turn(e.leg, LegState::Connected, at);
            }
            Event::Held(e) => call.turn(e.leg, LegState::OnHold, at),
            Event::Resumed(e) => call.turn(e.leg, LegState::Connected, at),
            // Of the leg that a transfer closes, the wrap-up tells that starts with the same append.
            Event::TransferredConsult(e) => call.turn(e.to_leg, LegState::Connected, at),
            Event::WrapUpStarted(e) => call.turn(e.leg, LegState::WrapUp, at),
            Event::WrapUpCompleted(e) => self.close(call, e.leg, at),
            Event::Abandoned(_) => self.end(call, Left::Abandoned, at),
            Event::Ended(_) | Event::Failed(_) => self.end(call, Left::WithCall, at),
            _ => {}
        }
    }

    fn day(&mut self, at: DateTime<Utc>, queue: &str, position: Position) -> &mut DayRow {
        let day = day_of(at, self.zone);
        let row = self.days.entry((day, queue.to_owned())).or_insert_with(|| DayRow::zero(day, queue));
        row.position = position;
        row
    }

    /// Ends the wait, if the call waits.
    fn leave(&mut self, call: &mut LiveCall, left: Left, at: DateTime<Utc>) {
        let (Some(queue), Some(enqueued_at)) = (call.queue.take(), call.enqueued_at.take()) else {
            return;
        };
        let wait_ms = elapsed_ms(enqueued_at, at);
        let in_threshold = i64::from(wait_ms <= ANSWER_THRESHOLD_MS);
        let day = self.day(at, &queue, call.position);
        match left {
            Left::Answered => {
                day.counts.answered += 1;
                day.counts.answered_in_threshold += in_threshold;
                day.wait_ms_sum += wait_ms;
                day.wait_ms_max = day.wait_ms_max.max(wait_ms);
            }
            Left::Abandoned => {
                day.counts.abandoned += 1;
                day.counts.abandoned_short += i64::from(wait_ms <= SHORT_ABANDON_MS);
                day.counts.abandoned_in_threshold += in_threshold;
            }
            Left::FlowOut => day.counts.flow_outs += 1,
            Left::WithCall => day.ended_waiting += 1,
        }
    }

    /// Closes a leg; one that had the customer has been handled.
    fn close(&mut self, call: &mut LiveCall, number: LegNumber, at: DateTime<Utc>) {
        call.turn(number, LegState::Closed, at);
        let Some(found) = call.legs.iter().position(|leg| leg.leg == number) else {
            return;
        };
        let LiveLeg { had_customer, queue, times, .. } = call.legs.remove(found);
        if had_customer {
            let day = self.day(at, queue.as_deref().unwrap_or(NO_QUEUE), call.position);
            day.handled += 1;
            day.talk_ms_sum += times.talk_ms;
            day.hold_ms_sum += times.hold_ms;
            day.consult_ms_sum += times.consult_ms;
            day.wrap_up_ms_sum += times.wrap_up_ms;
        }
    }

    fn end(&mut self, call: &mut LiveCall, left: Left, at: DateTime<Utc>) {
        self.leave(call, left, at);
        let open = call.legs.iter().filter(|leg| leg.times.state != LegState::WrapUp);
        for number in open.map(|leg| leg.leg).collect::<Vec<_>>() {
            self.close(call, number, at);
        }
    }
}

impl LiveCall {
    /// Nothing goes on any more.
    pub(super) fn is_idle(&self) -> bool {
        self.queue.is_none() && self.legs.is_empty()
    }

    fn open(&mut self, leg: LegNumber, agent_id: AgentId, consult: bool, at: DateTime<Utc>) {
        let (call_id, queue) = (self.call_id, self.queue.clone().filter(|_| !consult));
        let times = LegTimes::ringing(at);
        self.legs.push(LiveLeg { call_id, leg, agent_id, queue, consult, had_customer: false, times });
    }

    fn is_consult(&self, number: LegNumber) -> bool {
        self.legs.iter().any(|leg| leg.leg == number && leg.consult)
    }

    fn turn(&mut self, number: LegNumber, state: LegState, at: DateTime<Utc>) {
        if let Some(leg) = self.legs.iter_mut().find(|leg| leg.leg == number) {
            leg.times.turn(state, at);
            leg.had_customer |= state.has_customer();
        }
    }
}
