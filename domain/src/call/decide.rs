//! The rules of a call.

use super::event::*;
use super::{AgentFacts, Call, Command, Destination, Leg, LegPhase, Phase, RING_TIMEOUT_MS_MAX, Recording, Refusal};
use crate::{AgentId, Label, LongText, Personal, QueueName};

type Decision = Result<Vec<Event>, Refusal>;

pub(super) fn decide(call: &Call, command: Command) -> Decision {
    match (call.phase, &command) {
        (Phase::Unknown, Command::Initiate { .. }) => {}
        (Phase::Unknown, _) => return Err(Refusal::CallUnknown),
        (_, Command::Initiate { .. }) => return Err(Refusal::CallAlreadyInitiated),
        // The work after a conversation goes on when the call is over.
        (Phase::Over, Command::CompleteWrapUp { .. }) | (Phase::Live, _) => {}
        (Phase::Over, _) => return Err(Refusal::CallOver),
    }
    match command {
        Command::Initiate { direction, channel, from, to, customer_name, language } => {
            one(Initiated { direction, channel, from, to, customer_name, language })
        }
        Command::Queue { queue, priority } => enqueue(call, queue, priority),
        Command::Offer { agent_id, agent, ring_timeout_ms } => offer(call, agent_id, agent, ring_timeout_ms),
        Command::Decline { agent_id, reason } => {
            let leg = ringing_for(call, agent_id)?;
            one(Declined { leg, agent_id, reason })
        }
        Command::ExpireOffer { agent_id, leg: expired } => {
            let leg = ringing_for(call, agent_id)?;
            if expired.is_some_and(|expired| expired != leg) {
                return Err(Refusal::NoOpenOffer(agent_id));
            }
            one(OfferExpired { leg, agent_id })
        }
        Command::Answer { agent_id } => {
            let leg = ringing_for(call, agent_id)?;
            one(Answered { leg, agent_id })
        }
        Command::Hold { leg } => hold(call, leg),
        Command::Resume { leg } => resume(call, leg),
        Command::Mute { leg, party } => mute(call, leg, party),
        Command::Unmute { leg, party } => unmute(call, leg, party),
        Command::TransferBlind { leg, to } => transfer_blind(call, leg, to),
        Command::StartConsult { leg, agent_id, agent, ring_timeout_ms } => {
            start_consult(call, leg, agent_id, agent, ring_timeout_ms)
        }
        Command::TransferConsult { leg } => transfer_consult(call, leg),
        Command::CancelConsult { leg } => cancel_consult(call, leg),
        Command::CompleteWrapUp { leg, disposition, notes } => complete_wrap_up(call, leg, disposition, notes),
        Command::End { by: EndedBy::Customer, .. } if call.waiting_in.is_some() => abandon(call),
        Command::End { by, reason } => Ok(over(call, Ended { by, reason }.into())),
        Command::Abandon => abandon(call),
        Command::Fail { reason } => Ok(over(call, Failed { reason }.into())),
        Command::StartRecording { recording_id } => match call.recording {
            Recording::Off => one(RecordingStarted { recording_id }),
            Recording::On(_) | Recording::Paused(_) => Err(Refusal::AlreadyRecording),
        },
        Command::PauseRecording { reason } => match call.recording {
            Recording::On(recording_id) => one(RecordingPaused { recording_id, reason }),
            Recording::Paused(_) => Err(Refusal::RecordingAlreadyPaused),
            Recording::Off => Err(Refusal::NotRecording),
        },
        Command::ResumeRecording => match call.recording {
            Recording::Paused(recording_id) => one(RecordingResumed { recording_id }),
            Recording::On(_) => Err(Refusal::RecordingNotPaused),
            Recording::Off => Err(Refusal::NotRecording),
        },
        Command::StopRecording => match call.recording {
            Recording::On(recording_id) | Recording::Paused(recording_id) => one(RecordingStopped { recording_id }),
            Recording::Off => Err(Refusal::NotRecording),
        },
    }
}

fn one(event: impl Into<Event>) -> Decision {
    Ok(vec![event.into()])
}

fn enqueue(call: &Call, queue: QueueName, priority: i16) -> Decision {
    if call.connected().is_some() {
        return Err(Refusal::CustomerConnected);
    }
    if call.waiting_in.as_ref() == Some(&queue) {
        return Err(Refusal::AlreadyInQueue);
    }
    if call.ringing().is_some() {
        return Err(Refusal::OfferOpen);
    }
    one(Queued { queue, priority })
}

/// What must hold before an agent's phone may ring for this call.
fn may_ring(call: &Call, agent_id: AgentId, agent: AgentFacts, ring_timeout_ms: u32) -> Result<(), Refusal> {
    if !agent.registered {
        return Err(Refusal::AgentUnknown(agent_id));
    }
    if call.ringing().is_some() {
        return Err(Refusal::OfferOpen);
    }
    let takes_part = |phase| matches!(phase, LegPhase::Connected | LegPhase::WrapUp);
    if call.legs.iter().any(|leg| leg.agent_id == agent_id && takes_part(leg.phase)) {
        return Err(Refusal::AgentAlreadyInCall(agent_id));
    }
    if !agent.available {
        return Err(Refusal::AgentNotAvailable(agent_id));
    }
    if ring_timeout_ms == 0 || ring_timeout_ms > RING_TIMEOUT_MS_MAX {
        return Err(Refusal::RingTimeoutOutOfRange);
    }
    Ok(())
}

fn offer(call: &Call, agent_id: AgentId, agent: AgentFacts, ring_timeout_ms: u32) -> Decision {
    if call.connected().is_some() {
        return Err(Refusal::CustomerConnected);
    }
    may_ring(call, agent_id, agent, ring_timeout_ms)?;
    one(Offered { leg: call.next_leg(), agent_id, ring_timeout_ms })
}

fn ringing_for(call: &Call, agent_id: AgentId) -> Result<LegNumber, Refusal> {
    let ringing = call.ringing().filter(|leg| leg.agent_id == agent_id);
    ringing.map(|leg| leg.number).ok_or(Refusal::NoOpenOffer(agent_id))
}

fn hold(call: &Call, leg: Option<LegNumber>) -> Decision {
    let leg = call.meant(leg)?;
    if leg.held {
        return Err(Refusal::AlreadyOnHold);
    }
    one(Held { leg: leg.number, agent_id: leg.agent_id })
}

fn resume(call: &Call, leg: Option<LegNumber>) -> Decision {
    let leg = call.meant(leg)?;
    if !leg.held {
        return Err(Refusal::NotOnHold);
    }
    if call.consult_of(leg.number).is_some() {
        return Err(Refusal::ConsultOpen);
    }
    one(Resumed { leg: leg.number, agent_id: leg.agent_id })
}

fn mute(call: &Call, leg: Option<LegNumber>, party: Party) -> Decision {
    let leg = call.meant(leg)?;
    if leg.muted.contains(&party) {
        return Err(Refusal::AlreadyMuted);
    }
    one(Muted { leg: leg.number, party })
}

fn unmute(call: &Call, leg: Option<LegNumber>, party: Party) -> Decision {
    let leg = call.meant(leg)?;
    if !leg.muted.contains(&party) {
        return Err(Refusal::NotMuted);
    }
    one(Unmuted { leg: leg.number, party })
}

fn transfer_blind(call: &Call, leg: Option<LegNumber>, to: Destination) -> Decision {
    let leg = call.meant(leg)?;
    if call.consult_of(leg.number).is_some() {
        return Err(Refusal::ConsultOpen);
    }
    // The customer goes straight on to the next stage, so that there is no moment at which nobody has the call in hand.
    let (target, next) = match to {
        Destination::Agent { agent_id, agent, ring_timeout_ms } => {
            if agent_id == leg.agent_id {
                return Err(Refusal::TransferToSelf);
            }
            may_ring(call, agent_id, agent, ring_timeout_ms)?;
            let offered = Offered { leg: call.next_leg(), agent_id, ring_timeout_ms };
            (TransferTarget::Agent { agent_id }, Some(offered.into()))
        }
        Destination::Queue { queue, priority } => {
            (TransferTarget::Queue { queue: queue.clone() }, Some(Queued { queue, priority }.into()))
        }
        Destination::External { number } => (TransferTarget::External { number }, None),
    };
    let (leg, agent_id) = (leg.number, leg.agent_id);
    let mut events = vec![TransferredBlind { leg, agent_id, target }.into(), WrapUpStarted { leg, agent_id }.into()];
    events.extend(next);
    Ok(events)
}

fn start_consult(
    call: &Call,
    leg: Option<LegNumber>,
    agent_id: AgentId,
    agent: AgentFacts,
    ring_timeout_ms: u32,
) -> Decision {
    let leg = call.meant(leg)?;
    if leg.agent_id == agent_id {
        return Err(Refusal::TransferToSelf);
    }
    if call.consult_of(leg.number).is_some() {
        return Err(Refusal::ConsultOpen);
    }
    may_ring(call, agent_id, agent, ring_timeout_ms)?;
    let mut events = Vec::with_capacity(2);
    if !leg.held {
        events.push(Held { leg: leg.number, agent_id: leg.agent_id }.into());
    }
    events.push(ConsultStarted { leg: leg.number, consult_leg: call.next_leg(), agent_id, ring_timeout_ms }.into());
    Ok(events)
}

fn transfer_consult(call: &Call, leg: Option<LegNumber>) -> Decision {
    let leg = call.meant(leg)?;
    let consult = call.consult_of(leg.number).ok_or(Refusal::NoConsultOpen)?;
    if consult.phase != LegPhase::Connected {
        return Err(Refusal::ConsultNotAnswered);
    }
    let (leg, agent_id) = (leg.number, leg.agent_id);
    Ok(vec![
        TransferredConsult { leg, agent_id, to_leg: consult.number, to_agent_id: consult.agent_id }.into(),
        WrapUpStarted { leg, agent_id }.into(),
    ])
}

fn cancel_consult(call: &Call, leg: Option<LegNumber>) -> Decision {
    let leg = call.meant(leg)?;
    let consult = call.consult_of(leg.number).ok_or(Refusal::NoConsultOpen)?;
    one(ConsultCancelled { leg: leg.number, consult_leg: consult.number })
}

fn complete_wrap_up(
    call: &Call,
    leg: Option<LegNumber>,
    disposition: Label,
    notes: Option<Personal<LongText>>,
) -> Decision {
    let mut open = call.legs.iter().filter(|leg| leg.phase == LegPhase::WrapUp);
    let leg = match leg {
        Some(number) => open.find(|leg| leg.number == number).ok_or(Refusal::LegNotInWrapUp(number))?,
        None => {
            let first = open.next().ok_or(Refusal::NoWrapUpOpen)?;
            if open.next().is_some() {
                return Err(Refusal::LegAmbiguous);
            }
            first
        }
    };
    one(WrapUpCompleted { leg: leg.number, agent_id: leg.agent_id, disposition, notes })
}

fn abandon(call: &Call) -> Decision {
    let queue = call.waiting_in.clone().ok_or(Refusal::NotWaiting)?;
    Ok(over(call, Abandoned { queue }.into()))
}

/// The call is over: ringing offers are withdrawn, an open consultation ends, recording stops, and the agent who spoke
/// to the customer begins the wrap-up.
fn over(call: &Call, terminal: Event) -> Vec<Event> {
    let mut events = Vec::new();
    let mut wrap_up = None;
    for Leg { number, agent_id, phase, consult_of, .. } in &call.legs {
        let (leg, agent_id) = (*number, *agent_id);
        match (phase, *consult_of) {
            (LegPhase::Ringing, _) => events.push(OfferWithdrawn { leg, agent_id }.into()),
            // As after a cancelled consultation: who only advised a colleague has nothing to wrap up.
            (LegPhase::Connected, Some(asking)) => {
                events.push(ConsultCancelled { leg: asking, consult_leg: leg }.into());
            }
            (LegPhase::Connected, None) => wrap_up = Some(WrapUpStarted { leg, agent_id }.into()),
            (LegPhase::WrapUp | LegPhase::Closed, _) => {}
        }
    }
    if let Recording::On(recording_id) | Recording::Paused(recording_id) = call.recording {
        events.push(RecordingStopped { recording_id }.into());
    }
    // Before the terminal event, so that the fold of the terminal event finds the leg in wrap-up and leaves it there.
    events.extend(wrap_up);
    events.push(terminal);
    events
}
