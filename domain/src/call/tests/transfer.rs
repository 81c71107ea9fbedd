//! Passing a customer on: blind, or after a consultation.

use super::*;

const CLARA: AgentId = AgentId::from_u128(3);

fn blind(to: Destination) -> Command {
    Command::TransferBlind { leg: None, to }
}

fn to_agent(agent_id: AgentId) -> Command {
    blind(Destination::Agent { agent_id, agent: READY, ring_timeout_ms: RING_MS })
}

fn to_queue(name: &str) -> Command {
    blind(Destination::Queue { queue: queue(name), priority: 7 })
}

fn transferred(target: TransferTarget) -> Event {
    TransferredBlind { leg: 1, agent_id: ANNA, target }.into()
}

fn start_consult(agent_id: AgentId) -> Command {
    Command::StartConsult { leg: None, agent_id, agent: READY, ring_timeout_ms: RING_MS }
}

fn consult_started(consult_leg: LegNumber, agent_id: AgentId) -> Event {
    ConsultStarted { leg: 1, consult_leg, agent_id, ring_timeout_ms: RING_MS }.into()
}

#[test]
fn blind_to_a_queue_lets_the_caller_wait_there() {
    let waits = Queued { queue: queue("support"), priority: 7 };
    let target = TransferTarget::Queue { queue: queue("support") };
    let expected = [transferred(target), wrap_up_started(1, ANNA), waits.into()];
    given(&talking()).when(to_queue("support")).then(&expected);
    // The agent who passed the caller on still works on leg 1, and is not offered the caller again until that is done.
    let after = story(&[&talking(), &expected]);
    given(&after).when(offer(ANNA)).then_refused("AGENT_ALREADY_IN_CALL");
    given(&after).when(offer(BORIS)).then(&[offered(2, BORIS)]);
    let done = WrapUpCompleted { leg: 1, agent_id: ANNA, disposition: label("passed on"), notes: None };
    given(&story(&[&after, &[done.into()]])).when(offer(ANNA)).then(&[offered(2, ANNA)]);
    given(&after).when(to_queue("sales")).then_refused("NO_LEG_CONNECTED");
}

#[test]
fn blind_to_an_agent_rings_there_at_once() {
    let target = TransferTarget::Agent { agent_id: BORIS };
    let expected = [transferred(target), wrap_up_started(1, ANNA), offered(2, BORIS)];
    given(&talking()).when(to_agent(BORIS)).then(&expected);
    given(&talking()).when(to_agent(ANNA)).then_refused("TRANSFER_TO_SELF");
    let with = |registered, available, ring_timeout_ms| {
        let agent = AgentFacts { registered, available };
        blind(Destination::Agent { agent_id: BORIS, agent, ring_timeout_ms })
    };
    given(&talking()).when(with(false, false, RING_MS)).then_refused("AGENT_UNKNOWN");
    given(&talking()).when(with(true, false, RING_MS)).then_refused("AGENT_NOT_AVAILABLE");
    given(&talking()).when(with(true, true, 0)).then_refused("RING_TIMEOUT_OUT_OF_RANGE");
    // Boris takes the customer; Anna, still in wrap-up, can't get the customer back before it is done.
    let taken = story(&[&talking(), &expected, &[answered(2, BORIS)]]);
    given(&taken).when(to_agent(ANNA)).then_refused("AGENT_ALREADY_IN_CALL");
}

#[test]
fn blind_to_the_outside_leaves_nobody_of_ours_on_the_line() {
    let number = phone("+442083661177");
    let expected = [transferred(TransferTarget::External { number: number.clone() }), wrap_up_started(1, ANNA)];
    given(&talking()).when(blind(Destination::External { number })).then(&expected);
    let after = story(&[&talking(), &expected]);
    given(&after).when(Command::Hold { leg: None }).then_refused("NO_LEG_CONNECTED");
    given(&after).when(Command::Abandon).then_refused("NOT_WAITING");
    // The number outside was busy, and the caller comes back.
    given(&after).when(Command::Queue { queue: queue("sales"), priority: 0 }).then(&[queued("sales")]);
    let hung_up = Command::End { by: EndedBy::Customer, reason: EndReason::Completed };
    let over = Ended { by: EndedBy::Customer, reason: EndReason::Completed };
    given(&after).when(hung_up).then(&[over.into()]);
}

#[test]
fn a_blind_transfer_names_the_connected_leg() {
    let to = Destination::Queue { queue: queue("support"), priority: 0 };
    given(&talking()).when(Command::TransferBlind { leg: Some(2), to }).then_refused("LEG_NOT_CONNECTED");
    given(&waiting()).when(to_queue("support")).then_refused("NO_LEG_CONNECTED");
    given(&consulting()).when(to_queue("support")).then_refused("CONSULT_OPEN");
    given(&advised()).when(to_agent(BORIS)).then_refused("CONSULT_OPEN");
}

#[test]
fn a_consultation_holds_the_customer_and_rings_at_the_colleague() {
    given(&talking()).when(start_consult(BORIS)).then(&[held(1, ANNA), consult_started(2, BORIS)]);
    let on_hold = story(&[&talking(), &[held(1, ANNA)]]);
    given(&on_hold).when(start_consult(BORIS)).then(&[consult_started(2, BORIS)]);
    given(&talking()).when(start_consult(ANNA)).then_refused("TRANSFER_TO_SELF");
    given(&consulting()).when(start_consult(CLARA)).then_refused("CONSULT_OPEN");
    given(&waiting()).when(start_consult(BORIS)).then_refused("NO_LEG_CONNECTED");
    let unknown = AgentFacts { registered: false, available: false };
    let ask = Command::StartConsult { leg: None, agent_id: BORIS, agent: unknown, ring_timeout_ms: RING_MS };
    given(&talking()).when(ask).then_refused("AGENT_UNKNOWN");
}

#[test]
fn the_customer_stays_on_hold_while_the_consultation_is_open() {
    given(&consulting()).when(Command::Resume { leg: None }).then_refused("CONSULT_OPEN");
    given(&advised()).when(Command::Resume { leg: None }).then_refused("CONSULT_OPEN");
    given(&advised()).when(Command::Hold { leg: None }).then_refused("ALREADY_ON_HOLD");
}

#[test]
fn the_colleague_answers_declines_or_lets_it_ring() {
    given(&consulting()).when(Command::Answer { agent_id: BORIS }).then(&[answered(2, BORIS)]);
    let declined = Event::from(Declined { leg: 2, agent_id: BORIS, reason: None });
    given(&consulting()).when(Command::Decline { agent_id: BORIS, reason: None }).then(std::slice::from_ref(&declined));
    let expired = Event::from(OfferExpired { leg: 2, agent_id: BORIS });
    given(&consulting())
        .when(Command::ExpireOffer { agent_id: BORIS, leg: Some(2) })
        .then(std::slice::from_ref(&expired));
    // Nobody advised: the customer is still on hold, and Anna may resume or ask somebody else.
    for refused in [declined, expired] {
        let after = story(&[&consulting(), &[refused]]);
        given(&after).when(Command::Resume { leg: None }).then(&[Resumed { leg: 1, agent_id: ANNA }.into()]);
        given(&after).when(start_consult(CLARA)).then(&[consult_started(3, CLARA)]);
        given(&after).when(Command::CancelConsult { leg: None }).then_refused("NO_CONSULT_OPEN");
    }
}

#[test]
fn the_customer_is_passed_on_to_the_colleague_who_has_answered() {
    let transfer = || Command::TransferConsult { leg: None };
    let passed_on = TransferredConsult { leg: 1, agent_id: ANNA, to_leg: 2, to_agent_id: BORIS };
    let expected = [passed_on.into(), wrap_up_started(1, ANNA)];
    given(&talking()).when(transfer()).then_refused("NO_CONSULT_OPEN");
    given(&consulting()).when(transfer()).then_refused("CONSULT_NOT_ANSWERED");
    given(&advised()).when(transfer()).then(&expected);
    // Leg 2 is the customer's now: it can be held and passed on, and leg 1 can't.
    let after = story(&[&advised(), &expected]);
    given(&after).when(Command::Hold { leg: None }).then(&[held(2, BORIS)]);
    given(&after).when(Command::Hold { leg: Some(1) }).then_refused("LEG_NOT_CONNECTED");
    given(&after).when(transfer()).then_refused("NO_CONSULT_OPEN");
}

#[test]
fn a_consultation_is_cancelled_ringing_or_answered() {
    let cancel = || Command::CancelConsult { leg: None };
    let cancelled = Event::from(ConsultCancelled { leg: 1, consult_leg: 2 });
    given(&talking()).when(cancel()).then_refused("NO_CONSULT_OPEN");
    given(&consulting()).when(cancel()).then(std::slice::from_ref(&cancelled));
    given(&advised()).when(cancel()).then(std::slice::from_ref(&cancelled));
    // Who only advised has no wrap-up, and may be asked again.
    let after = story(&[&advised(), &[cancelled]]);
    given(&after).when(complete(Some(2))).then_refused("LEG_NOT_IN_WRAP_UP");
    given(&after).when(start_consult(BORIS)).then(&[consult_started(3, BORIS)]);
    given(&after).when(Command::Answer { agent_id: BORIS }).then_refused("NO_OPEN_OFFER");
}
