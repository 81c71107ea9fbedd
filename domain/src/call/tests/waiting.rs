//! From the first ring to the answer.

use super::*;
use crate::testing::{person, short};

#[test]
fn a_call_is_initiated_once() {
    let command = Command::Initiate {
        direction: Direction::Outbound,
        channel: Channel::Chat,
        from: phone("+420222000002"),
        to: phone("+420601000001"),
        customer_name: Some(person("Jana Nováková")),
        language: Some(label("cs")),
    };
    let initiated_by_us = Initiated {
        direction: Direction::Outbound,
        channel: Channel::Chat,
        from: phone("+420222000002"),
        to: phone("+420601000001"),
        customer_name: Some(person("Jana Nováková")),
        language: Some(label("cs")),
    };
    given(&[]).when(command).then(&[initiated_by_us.into()]);
    given(&initiated()).when(initiate()).then_refused("CALL_ALREADY_INITIATED");
    given(&wrapping_up()).when(initiate()).then_refused("CALL_ALREADY_INITIATED");
}

#[test]
fn an_unknown_call_takes_nothing_else() {
    given(&[]).when(offer(ANNA)).then_refused("CALL_UNKNOWN");
    given(&[]).when(end()).then_refused("CALL_UNKNOWN");
    given(&[]).when(complete(None)).then_refused("CALL_UNKNOWN");
}

#[test]
fn a_caller_waits_and_moves_to_another_queue() {
    let command = |name| Command::Queue { queue: queue(name), priority: 5 };
    let queued_at_5 = |name| Queued { queue: queue(name), priority: 5 }.into();
    given(&initiated()).when(command("sales")).then(&[queued_at_5("sales")]);
    given(&waiting()).when(command("support")).then(&[queued_at_5("support")]);
    given(&waiting()).when(command("sales")).then_refused("ALREADY_IN_QUEUE");
    given(&ringing()).when(command("support")).then_refused("OFFER_OPEN");
    given(&talking()).when(command("support")).then_refused("CUSTOMER_CONNECTED");
}

#[test]
fn an_offer_opens_a_leg() {
    given(&waiting()).when(offer(ANNA)).then(&[offered(1, ANNA)]);
    // A call for one agent needs no queue.
    given(&initiated()).when(offer(ANNA)).then(&[offered(1, ANNA)]);
}

#[test]
fn an_offer_needs_an_agent_who_is_ready() {
    let with = |registered, available, ring_timeout_ms| Command::Offer {
        agent_id: ANNA,
        agent: AgentFacts { registered, available },
        ring_timeout_ms,
    };
    given(&waiting()).when(with(false, false, RING_MS)).then_refused("AGENT_UNKNOWN");
    given(&waiting()).when(with(true, false, RING_MS)).then_refused("AGENT_NOT_AVAILABLE");
    given(&waiting()).when(with(true, true, 0)).then_refused("RING_TIMEOUT_OUT_OF_RANGE");
    given(&waiting()).when(with(true, true, RING_TIMEOUT_MS_MAX + 1)).then_refused("RING_TIMEOUT_OUT_OF_RANGE");
    let longest = Offered { leg: 1, agent_id: ANNA, ring_timeout_ms: RING_TIMEOUT_MS_MAX };
    given(&waiting()).when(with(true, true, RING_TIMEOUT_MS_MAX)).then(&[longest.into()]);
}

#[test]
fn one_offer_at_a_time() {
    given(&ringing()).when(offer(BORIS)).then_refused("OFFER_OPEN");
    given(&talking()).when(offer(BORIS)).then_refused("CUSTOMER_CONNECTED");
}

#[test]
fn an_agent_declines_and_may_be_offered_the_call_again() {
    let reason = Some(short("my headset is broken"));
    let decline = |agent_id| Command::Decline { agent_id, reason: reason.clone() };
    let declined = Event::from(Declined { leg: 1, agent_id: ANNA, reason: reason.clone() });
    given(&ringing()).when(decline(ANNA)).then(std::slice::from_ref(&declined));
    given(&ringing()).when(decline(BORIS)).then_refused("NO_OPEN_OFFER");
    let after = story(&[&ringing(), &[declined]]);
    given(&after).when(decline(ANNA)).then_refused("NO_OPEN_OFFER");
    given(&after).when(offer(ANNA)).then(&[offered(2, ANNA)]);
    given(&after).when(Command::Queue { queue: queue("sales"), priority: 0 }).then_refused("ALREADY_IN_QUEUE");
}

#[test]
fn an_offer_expires() {
    let expire = |leg| Command::ExpireOffer { agent_id: ANNA, leg };
    let expired = |leg| Event::from(OfferExpired { leg, agent_id: ANNA });
    given(&ringing()).when(expire(None)).then(&[expired(1)]);
    given(&ringing()).when(expire(Some(1))).then(&[expired(1)]);
    given(&talking()).when(expire(Some(1))).then_refused("NO_OPEN_OFFER");
    // The timer of the first offer comes late: the second one to the same agent goes on ringing.
    let again = story(&[&ringing(), &[expired(1), offered(2, ANNA)]]);
    given(&again).when(expire(Some(1))).then_refused("NO_OPEN_OFFER");
    given(&again).when(expire(Some(2))).then(&[expired(2)]);
}

#[test]
fn the_agent_who_is_offered_the_call_answers() {
    let answer = |agent_id| Command::Answer { agent_id };
    given(&ringing()).when(answer(ANNA)).then(&[answered(1, ANNA)]);
    given(&ringing()).when(answer(BORIS)).then_refused("NO_OPEN_OFFER");
    given(&talking()).when(answer(ANNA)).then_refused("NO_OPEN_OFFER");
    assert_eq!(testing::fold::<Call>(&talking()).waiting_in, None, "who is answered waits no more");
}
