//! From a call and an event to the next state of the call.

use chrono::{DateTime, Utc};
use domain::call::{self, EndedBy, Event, LegNumber, Party};
use domain::{AgentId, Personal};

use super::{CallRow, CallState, CallView, LegKind, LegOutcome, LegRow, RecordingState};
use crate::models::rows::elapsed_ms;
use crate::models::{LegState, LegTimes};
use crate::{Decoded, Header};

impl CallView {
    /// Takes one event in. Events of other streams, and whatever comes before the call was initiated, change nothing.
    ///
    /// Folding a call's events up to an instant gives the call as it was then.
    #[must_use]
    pub fn fold(view: Option<Self>, decoded: &Decoded) -> Option<Self> {
        let domain::Event::Call(event) = &decoded.event else {
            return view;
        };
        let recorded = &decoded.recorded;
        let mut view = match (view, event) {
            (Some(view), _) if view.call.call_id != recorded.stream.id => return Some(view),
            (Some(view), _) => view,
            (None, Event::Initiated(initiated)) => initiated_view(recorded, initiated),
            (None, _) => return None,
        };
        view.take(event, recorded.occurred_at);
        view.refresh(recorded.occurred_at);
        view.call.version = recorded.version;
        view.call.position = recorded.position;
        Some(view)
    }

    fn take(&mut self, event: &Event, at: DateTime<Utc>) {
        match event {
            Event::Queued(e) => self.enqueue(e.queue.as_str(), at),
            Event::Ended(e) => {
                self.end(CallState::Ended, Some(e.by), at);
                self.call.end_reason = Some(e.reason);
            }
            Event::Abandoned(_) => self.end(CallState::Abandoned, Some(EndedBy::Customer), at),
            Event::Failed(e) => {
                self.end(CallState::Failed, None, at);
                self.call.failure = Some(e.reason.to_string());
            }
            Event::RecordingStarted(e) => {
                self.call.recording = RecordingState::On;
                self.call.recording_id = Some(e.recording_id);
            }
            Event::RecordingPaused(_) => self.call.recording = RecordingState::Paused,
            Event::RecordingResumed(_) => self.call.recording = RecordingState::On,
            Event::RecordingStopped(_) => self.call.recording = RecordingState::Off,
            _ => self.take_on_leg(event, at),
        }
    }

    fn take_on_leg(&mut self, event: &Event, at: DateTime<Utc>) {
        match event {
            Event::Offered(e) => self.open(e.leg, e.agent_id, e.ring_timeout_ms, None, at),
            Event::ConsultStarted(e) => self.open(e.consult_leg, e.agent_id, e.ring_timeout_ms, Some(e.leg), at),
            Event::Declined(e) => {
                self.close(e.leg, LegOutcome::Declined, at);
                self.leg(e.leg, |leg| leg.decline_reason = e.reason.as_ref().map(ToString::to_string));
            }
            Event::OfferExpired(e) => self.close(e.leg, LegOutcome::Expired, at),
            Event::OfferWithdrawn(e) => self.close(e.leg, LegOutcome::Withdrawn, at),
            Event::Answered(e) => self.answer(e.leg, at),
            Event::Held(e) => self.leg(e.leg, |leg| leg.times.turn(LegState::OnHold, at)),
            Event::Resumed(e) => self.leg(e.leg, |leg| leg.times.turn(LegState::Connected, at)),
            Event::Muted(e) => self.mute(e.leg, e.party, true),
            Event::Unmuted(e) => self.mute(e.leg, e.party, false),
            Event::TransferredBlind(e) => {
                self.close(e.leg, LegOutcome::TransferredBlind, at);
                self.call.transfers += 1;
            }
            Event::TransferredConsult(e) => self.take_over(e, at),
            Event::ConsultCancelled(e) => self.close(e.consult_leg, LegOutcome::ConsultCancelled, at),
            Event::WrapUpStarted(e) => self.leg(e.leg, |leg| leg.begin_wrap_up(at)),
            Event::WrapUpCompleted(e) => {
                self.leg(e.leg, |leg| leg.complete_wrap_up(e, at));
                self.call.disposition = Some(e.disposition.to_string());
            }
            _ => {}
        }
    }

    fn leg(&mut self, number: LegNumber, change: impl FnOnce(&mut LegRow)) {
        if let Some(leg) = self.legs.iter_mut().find(|leg| leg.leg == number) {
            change(leg);
        }
    }

    fn enqueue(&mut self, queue: &str, at: DateTime<Utc>) {
        self.leave_queue(at);
        self.call.queue = Some(queue.to_owned());
        self.call.waiting_since = Some(at);
        self.call.first_queued_at.get_or_insert(at);
    }

    /// Ends the present wait, if there is one, and tells how long it was.
    fn leave_queue(&mut self, at: DateTime<Utc>) -> Option<i64> {
        let wait_ms = elapsed_ms(self.call.waiting_since.take()?, at);
        self.call.wait_total_ms += wait_ms;
        Some(wait_ms)
    }

    fn open(
        &mut self,
        leg: LegNumber,
        agent_id: AgentId,
        ring_timeout_ms: u32,
        consulted_by: Option<LegNumber>,
        at: DateTime<Utc>,
    ) {
        let call = &self.call;
        let enqueued_at = call.waiting_since.filter(|_| consulted_by.is_none());
        self.legs.push(LegRow {
            call_id: call.call_id,
            leg,
            agent_id,
            kind: if consulted_by.is_some() { LegKind::Consult } else { LegKind::Primary },
            consulted_by,
            queue: call.queue.clone().filter(|_| enqueued_at.is_some()),
            enqueued_at,
            offered_at: at,
            ring_timeout_ms: i64::from(ring_timeout_ms),
            answered_at: None,
            took_over_at: None,
            ended_at: None,
            outcome: None,
            decline_reason: None,
            wrap_up_started_at: None,
            wrap_up_completed_at: None,
            times: LegTimes::ringing(at),
            customer_muted: false,
            agent_muted: false,
            disposition: None,
            notes: None,
        });
    }

    fn answer(&mut self, number: LegNumber, at: DateTime<Utc>) {
        let mut with_customer = false;
        self.leg(number, |leg| {
            with_customer = leg.kind == LegKind::Primary;
            leg.answered_at = Some(at);
            leg.times.turn(if with_customer { LegState::Connected } else { LegState::Consulting }, at);
        });
        if with_customer {
            let wait_ms = self.leave_queue(at);
            self.call.wait_ms = self.call.wait_ms.or(wait_ms);
            self.call.answered_at.get_or_insert(at);
        }
    }

    fn take_over(&mut self, event: &call::TransferredConsult, at: DateTime<Utc>) {
        self.close(event.leg, LegOutcome::TransferredConsult, at);
        self.leg(event.to_leg, |leg| {
            leg.took_over_at = Some(at);
            leg.times.turn(LegState::Connected, at);
        });
        self.call.transfers += 1;
    }

    fn mute(&mut self, number: LegNumber, party: Party, muted: bool) {
        self.leg(number, |leg| match party {
            Party::Customer => leg.customer_muted = muted,
            Party::Agent => leg.agent_muted = muted,
        });
    }

    fn close(&mut self, number: LegNumber, outcome: LegOutcome, at: DateTime<Utc>) {
        self.leg(number, |leg| leg.close(outcome, at));
    }

    fn end(&mut self, state: CallState, by: Option<EndedBy>, at: DateTime<Utc>) {
        self.leave_queue(at);
        let outcome = if state == CallState::Failed { LegOutcome::Failed } else { LegOutcome::Completed };
        for leg in &mut self.legs {
            match leg.times.state {
                LegState::WrapUp | LegState::Closed => {
                    leg.outcome.get_or_insert(outcome);
                }
                _ => leg.close(outcome, at),
            }
        }
        self.call.state = state;
        self.call.state_since = self.call.state_since.max(at);
        self.call.ended_at = Some(at);
        self.call.ended_by = by;
    }

    /// Draws from the legs what the call says about them.
    fn refresh(&mut self, at: DateTime<Utc>) {
        let state = state_of(&self.call, &self.legs);
        let (call, legs) = (&mut self.call, &self.legs);
        if state != call.state {
            call.state = state;
            call.state_since = call.state_since.max(at);
        }
        let current = legs.iter().find(|leg| leg.has_customer());
        call.agent_id = current.map(|leg| leg.agent_id).or(call.agent_id);
        call.customer_muted = current.is_some_and(|leg| leg.customer_muted);
        call.agent_muted = current.is_some_and(|leg| leg.agent_muted);
        call.wrap_up_open = legs.iter().any(|leg| leg.times.state == LegState::WrapUp);
        call.talk_ms = legs.iter().map(|leg| leg.times.talk_ms).sum();
        call.hold_ms = legs.iter().map(|leg| leg.times.hold_ms).sum();
        call.wrap_up_ms = legs.iter().map(|leg| leg.times.wrap_up_ms).sum();
    }
}

impl LegRow {
    fn close(&mut self, outcome: LegOutcome, at: DateTime<Utc>) {
        // A leg that was never answered is taken back, whatever ends.
        let never_answered = self.times.state == LegState::Ringing;
        let missed = matches!(outcome, LegOutcome::Declined | LegOutcome::Expired);
        self.outcome = Some(if never_answered && !missed { LegOutcome::Withdrawn } else { outcome });
        self.ended_at = Some(at);
        self.times.turn(LegState::Closed, at);
        self.unmute();
    }

    fn unmute(&mut self) {
        self.customer_muted = false;
        self.agent_muted = false;
    }

    fn begin_wrap_up(&mut self, at: DateTime<Utc>) {
        self.ended_at.get_or_insert(at);
        self.wrap_up_started_at = Some(at);
        self.times.turn(LegState::WrapUp, at);
        self.unmute();
    }

    fn complete_wrap_up(&mut self, event: &call::WrapUpCompleted, at: DateTime<Utc>) {
        self.wrap_up_completed_at = Some(at);
        self.times.turn(LegState::Closed, at);
        self.disposition = Some(event.disposition.to_string());
        self.notes = event.notes.as_ref().map(|notes| Personal::new(notes.reveal().to_string()));
    }
}

/// Over stays over. Otherwise the first that holds: an agent has the customer (held or not), a phone rings for the
/// customer, the caller waits, the call was passed on, none of it.
fn state_of(call: &CallRow, legs: &[LegRow]) -> CallState {
    if call.state.is_over() {
        return call.state;
    }
    let rings = |leg: &LegRow| leg.times.state == LegState::Ringing && leg.kind == LegKind::Primary;
    match legs.iter().find(|leg| leg.has_customer()).map(|leg| leg.times.state) {
        Some(LegState::OnHold) => CallState::OnHold,
        Some(_) => CallState::Connected,
        None if legs.iter().any(rings) => CallState::Offered,
        None if call.waiting_since.is_some() => CallState::Waiting,
        None if call.transfers > 0 => CallState::Transferring,
        None => CallState::Initiated,
    }
}

fn initiated_view(recorded: &Header, event: &call::Initiated) -> CallView {
    let at = recorded.occurred_at;
    let call = CallRow {
        call_id: recorded.stream.id,
        direction: event.direction,
        channel: event.channel,
        from_number: Personal::new(event.from.reveal().to_string()),
        to_number: Personal::new(event.to.reveal().to_string()),
        customer_name: event.customer_name.as_ref().map(|name| Personal::new(name.reveal().to_string())),
        language: event.language.as_ref().map(ToString::to_string),
        state: CallState::Initiated,
        state_since: at,
        wrap_up_open: false,
        queue: None,
        agent_id: None,
        initiated_at: at,
        first_queued_at: None,
        waiting_since: None,
        answered_at: None,
        ended_at: None,
        ended_by: None,
        end_reason: None,
        failure: None,
        wait_ms: None,
        wait_total_ms: 0,
        talk_ms: 0,
        hold_ms: 0,
        wrap_up_ms: 0,
        transfers: 0,
        customer_muted: false,
        agent_muted: false,
        recording: RecordingState::Off,
        recording_id: None,
        disposition: None,
        version: recorded.version,
        position: recorded.position,
    };
    CallView { call, legs: Vec::new() }
}
