//! What a call's rules remember, folded from its events.

use uuid::Uuid;

use super::{Event, LegNumber, Party, Refusal};
use crate::{AgentId, QueueName};

/// Where a call is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Phase {
    /// Nothing has happened yet.
    #[default]
    Unknown,
    /// Initiated, and neither ended nor lost.
    Live,
    /// Ended, abandoned or failed.
    Over,
}

/// Where a leg is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LegPhase {
    /// The agent's phone rings.
    Ringing,
    /// The agent speaks, to the customer or, on a consult leg, to the colleague.
    Connected,
    /// The agent works after the conversation.
    WrapUp,
    /// Nothing more happens on it.
    Closed,
}

/// One offer to one agent and what became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leg {
    /// Number within the call.
    pub number: LegNumber,
    /// The agent.
    pub agent_id: AgentId,
    /// Where it is in its life.
    pub phase: LegPhase,
    /// The customer is on hold on this leg.
    pub held: bool,
    /// Parties that can't be heard.
    pub muted: Vec<Party>,
    /// The leg that asked for this one in a consultation that is still open.
    pub consult_of: Option<LegNumber>,
}

impl Leg {
    /// The conversation on this leg is over: nobody is on hold or muted on it any more.
    fn leave(&mut self, phase: LegPhase) {
        self.phase = phase;
        self.held = false;
        self.muted.clear();
    }
}

/// Whether the call is being recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Recording {
    /// Not recorded.
    #[default]
    Off,
    /// Being recorded.
    On(Uuid),
    /// Recording is paused.
    Paused(Uuid),
}

/// A call, as far as its rules need it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Call {
    /// Where it is in its life.
    pub phase: Phase,
    /// The queue the caller waits in.
    pub waiting_in: Option<QueueName>,
    /// Every leg, in order.
    pub legs: Vec<Leg>,
    /// Whether it is recorded.
    pub recording: Recording,
}

impl Call {
    /// The leg whose agent's phone rings.
    pub(super) fn ringing(&self) -> Option<&Leg> {
        self.legs.iter().find(|leg| leg.phase == LegPhase::Ringing)
    }

    /// The leg that the customer is connected to.
    #[must_use]
    pub fn connected(&self) -> Option<&Leg> {
        self.legs.iter().find(|leg| leg.phase == LegPhase::Connected && leg.consult_of.is_none())
    }

    /// The connected leg a command means.
    pub(super) fn meant(&self, leg: Option<LegNumber>) -> Result<&Leg, Refusal> {
        let connected = self.connected();
        match leg {
            None => connected.ok_or(Refusal::NoLegConnected),
            Some(number) => connected.filter(|l| l.number == number).ok_or(Refusal::LegNotConnected(number)),
        }
    }

    /// The leg of the consultation that a leg has open.
    pub(super) fn consult_of(&self, leg: LegNumber) -> Option<&Leg> {
        self.legs.iter().find(|l| l.consult_of == Some(leg))
    }

    /// The number of the next leg.
    pub(super) fn next_leg(&self) -> LegNumber {
        self.legs.last().map_or(1, |leg| leg.number + 1)
    }

    fn leg_mut(&mut self, number: LegNumber, change: impl FnOnce(&mut Leg)) {
        if let Some(leg) = self.legs.iter_mut().find(|leg| leg.number == number) {
            change(leg);
        }
    }

    fn open_leg(&mut self, number: LegNumber, agent_id: AgentId, consult_of: Option<LegNumber>) {
        let phase = LegPhase::Ringing;
        self.legs.push(Leg { number, agent_id, phase, held: false, muted: Vec::new(), consult_of });
    }

    fn close_leg(&mut self, number: LegNumber) {
        self.leg_mut(number, |leg| {
            leg.leave(LegPhase::Closed);
            leg.consult_of = None;
        });
    }

    fn is_over(&mut self) {
        self.phase = Phase::Over;
        self.waiting_in = None;
        for leg in &mut self.legs {
            if leg.phase != LegPhase::WrapUp {
                leg.leave(LegPhase::Closed);
            }
            leg.consult_of = None;
        }
    }

    /// See [`crate::Aggregate::heap_bytes`].
    pub(super) fn heap_bytes(&self) -> usize {
        let muted: usize = self.legs.iter().map(|leg| leg.muted.capacity() * size_of::<Party>()).sum();
        let queue = self.waiting_in.as_ref().map_or(0, |queue| queue.as_str().len());
        self.legs.capacity() * size_of::<Leg>() + muted + queue
    }

    /// Takes one event into the state.
    pub(super) fn fold(&mut self, event: &Event) {
        match event {
            Event::Initiated(_) => self.phase = Phase::Live,
            Event::Queued(e) => self.waiting_in = Some(e.queue.clone()),
            Event::Offered(e) => self.open_leg(e.leg, e.agent_id, None),
            Event::Declined(e) => self.close_leg(e.leg),
            Event::OfferExpired(e) => self.close_leg(e.leg),
            Event::OfferWithdrawn(e) => self.close_leg(e.leg),
            Event::Answered(e) => {
                let consult = self.legs.iter().any(|leg| leg.number == e.leg && leg.consult_of.is_some());
                if !consult {
                    self.waiting_in = None;
                }
                self.leg_mut(e.leg, |leg| leg.phase = LegPhase::Connected);
            }
            Event::Held(e) => self.leg_mut(e.leg, |leg| leg.held = true),
            Event::Resumed(e) => self.leg_mut(e.leg, |leg| leg.held = false),
            Event::Muted(e) => self.leg_mut(e.leg, |leg| leg.muted.push(e.party)),
            Event::Unmuted(e) => self.leg_mut(e.leg, |leg| leg.muted.retain(|party| *party != e.party)),
            Event::TransferredBlind(e) => self.close_leg(e.leg),
            Event::ConsultStarted(e) => self.open_leg(e.consult_leg, e.agent_id, Some(e.leg)),
            Event::TransferredConsult(e) => {
                self.close_leg(e.leg);
                self.leg_mut(e.to_leg, |leg| leg.consult_of = None);
            }
            Event::ConsultCancelled(e) => self.close_leg(e.consult_leg),
            Event::WrapUpStarted(e) => self.leg_mut(e.leg, |leg| leg.leave(LegPhase::WrapUp)),
            Event::WrapUpCompleted(e) => self.close_leg(e.leg),
            Event::Ended(_) | Event::Abandoned(_) | Event::Failed(_) => self.is_over(),
            Event::RecordingStarted(e) => self.recording = Recording::On(e.recording_id),
            Event::RecordingPaused(e) => self.recording = Recording::Paused(e.recording_id),
            Event::RecordingResumed(e) => self.recording = Recording::On(e.recording_id),
            Event::RecordingStopped(_) => self.recording = Recording::Off,
        }
    }
}
