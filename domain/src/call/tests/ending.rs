//! How calls end, and what is left to do then.

use super::*;
use crate::testing::{notes, short};

fn by_customer() -> Command {
    Command::End { by: EndedBy::Customer, reason: EndReason::Completed }
}

fn abandoned() -> Event {
    Abandoned { queue: queue("sales") }.into()
}

fn withdrawn(leg: LegNumber, agent_id: AgentId) -> Event {
    OfferWithdrawn { leg, agent_id }.into()
}

#[test]
fn who_hangs_up_while_waiting_abandons() {
    for command in [Command::Abandon, by_customer()] {
        given(&waiting()).when(command.clone()).then(&[abandoned()]);
        given(&ringing()).when(command).then(&[withdrawn(1, ANNA), abandoned()]);
    }
    // Closing time is no abandonment.
    let close = Command::End { by: EndedBy::System, reason: EndReason::QueueClosed };
    let closed = Ended { by: EndedBy::System, reason: EndReason::QueueClosed };
    given(&waiting()).when(close).then(&[closed.into()]);
}

#[test]
fn who_does_not_wait_does_not_abandon() {
    given(&initiated()).when(Command::Abandon).then_refused("NOT_WAITING");
    given(&talking()).when(Command::Abandon).then_refused("NOT_WAITING");
    let over = Ended { by: EndedBy::Customer, reason: EndReason::Completed };
    given(&initiated()).when(by_customer()).then(&[over.into()]);
}

#[test]
fn a_caller_who_was_passed_on_to_a_queue_abandons_there() {
    let target = TransferTarget::Queue { queue: queue("sales") };
    let passed_on = TransferredBlind { leg: 1, agent_id: ANNA, target };
    let events = story(&[&talking(), &[passed_on.into(), wrap_up_started(1, ANNA), queued("sales")]]);
    given(&events).when(by_customer()).then(&[abandoned()]);
    // Anna's wrap-up outlives the call.
    let done = WrapUpCompleted { leg: 1, agent_id: ANNA, disposition: label("solved"), notes: None };
    given(&story(&[&events, &[abandoned()]])).when(complete(None)).then(&[done.into()]);
}

#[test]
fn the_end_of_a_conversation_begins_the_wrap_up() {
    given(&talking()).when(end()).then(&[wrap_up_started(1, ANNA), ended()]);
    let on_hold = story(&[&talking(), &[held(1, ANNA)]]);
    let over = Ended { by: EndedBy::Customer, reason: EndReason::Completed };
    given(&on_hold).when(by_customer()).then(&[wrap_up_started(1, ANNA), over.into()]);
}

#[test]
fn a_fault_ends_a_call_like_any_end() {
    let fail = || Command::Fail { reason: short("carrier lost") };
    let failed = || Event::from(Failed { reason: short("carrier lost") });
    given(&initiated()).when(fail()).then(&[failed()]);
    given(&ringing()).when(fail()).then(&[withdrawn(1, ANNA), failed()]);
    given(&talking()).when(fail()).then(&[wrap_up_started(1, ANNA), failed()]);
}

#[test]
fn the_end_closes_an_open_consultation() {
    given(&consulting()).when(end()).then(&[withdrawn(2, BORIS), wrap_up_started(1, ANNA), ended()]);
    // Boris only advised: his leg ends without wrap-up, so Anna's is the only one.
    let cancelled = Event::from(ConsultCancelled { leg: 1, consult_leg: 2 });
    let expected = [cancelled, wrap_up_started(1, ANNA), ended()];
    given(&advised()).when(end()).then(&expected);
    let done = WrapUpCompleted { leg: 1, agent_id: ANNA, disposition: label("solved"), notes: None };
    let after = story(&[&advised(), &expected]);
    given(&after).when(complete(None)).then(&[done.into()]);
    given(&after).when(complete(Some(2))).then_refused("LEG_NOT_IN_WRAP_UP");
    given(&after).when(Command::Answer { agent_id: BORIS }).then_refused("CALL_OVER");
}

#[test]
fn a_call_that_is_over_takes_nothing_but_the_end_of_wrap_up() {
    let answer = Command::Answer { agent_id: ANNA };
    let record = Command::StartRecording { recording_id: uuid::Uuid::from_u128(9) };
    let commands = [end(), Command::Abandon, offer(BORIS), answer, record, Command::StopRecording];
    for command in commands {
        given(&wrapping_up()).when(command.clone()).then_refused("CALL_OVER");
        given(&story(&[&ringing(), &[withdrawn(1, ANNA), abandoned()]])).when(command).then_refused("CALL_OVER");
    }
}

#[test]
fn wrap_up_is_completed_once() {
    let disposition = label("solved");
    let written = Some(notes("Calls back on Monday."));
    let command = Command::CompleteWrapUp { leg: None, disposition: disposition.clone(), notes: written.clone() };
    let done = Event::from(WrapUpCompleted { leg: 1, agent_id: ANNA, disposition, notes: written });
    given(&wrapping_up()).when(command).then(std::slice::from_ref(&done));
    given(&talking()).when(complete(None)).then_refused("NO_WRAP_UP_OPEN");
    given(&talking()).when(complete(Some(1))).then_refused("LEG_NOT_IN_WRAP_UP");
    let after = story(&[&wrapping_up(), &[done]]);
    given(&after).when(complete(None)).then_refused("NO_WRAP_UP_OPEN");
    given(&after).when(complete(Some(1))).then_refused("LEG_NOT_IN_WRAP_UP");
}

#[test]
fn of_several_wrap_ups_one_has_to_be_named() {
    let passed_on = TransferredConsult { leg: 1, agent_id: ANNA, to_leg: 2, to_agent_id: BORIS };
    let events = [passed_on.into(), wrap_up_started(1, ANNA), wrap_up_started(2, BORIS), ended()];
    let both = story(&[&advised(), &events]);
    given(&both).when(complete(None)).then_refused("LEG_AMBIGUOUS");
    let done =
        |leg, agent_id| Event::from(WrapUpCompleted { leg, agent_id, disposition: label("solved"), notes: None });
    given(&both).when(complete(Some(2))).then(&[done(2, BORIS)]);
    given(&story(&[&both, &[done(2, BORIS)]])).when(complete(None)).then(&[done(1, ANNA)]);
}
