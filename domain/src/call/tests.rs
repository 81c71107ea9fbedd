//! The rules of a call, as given events, when command, then events.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod conversation;
mod ending;
mod properties;
mod recording;
mod transfer;
mod waiting;

use super::*;
use crate::AgentId;
use crate::testing::{self, Given, label, phone, queue};

const ANNA: AgentId = AgentId::from_u128(1);
const BORIS: AgentId = AgentId::from_u128(2);
const READY: AgentFacts = AgentFacts { registered: true, available: true };
const RING_MS: u32 = 20_000;

fn given(events: &[Event]) -> Given<Call> {
    testing::given(events)
}

/// The events one after another.
fn story(parts: &[&[Event]]) -> Vec<Event> {
    parts.concat()
}

fn initiate() -> Command {
    Command::Initiate {
        direction: Direction::Inbound,
        channel: Channel::Voice,
        from: phone("+420601000001"),
        to: phone("+420222000002"),
        customer_name: None,
        language: None,
    }
}

fn initiated() -> Vec<Event> {
    let (from, to) = (phone("+420601000001"), phone("+420222000002"));
    let (direction, channel) = (Direction::Inbound, Channel::Voice);
    vec![Initiated { direction, channel, from, to, customer_name: None, language: None }.into()]
}

fn queued(name: &str) -> Event {
    Queued { queue: queue(name), priority: 0 }.into()
}

fn offer(agent_id: AgentId) -> Command {
    Command::Offer { agent_id, agent: READY, ring_timeout_ms: RING_MS }
}

fn offered(leg: LegNumber, agent_id: AgentId) -> Event {
    Offered { leg, agent_id, ring_timeout_ms: RING_MS }.into()
}

fn answered(leg: LegNumber, agent_id: AgentId) -> Event {
    Answered { leg, agent_id }.into()
}

fn held(leg: LegNumber, agent_id: AgentId) -> Event {
    Held { leg, agent_id }.into()
}

fn wrap_up_started(leg: LegNumber, agent_id: AgentId) -> Event {
    WrapUpStarted { leg, agent_id }.into()
}

fn ended() -> Event {
    Ended { by: EndedBy::Agent, reason: EndReason::Completed }.into()
}

fn end() -> Command {
    Command::End { by: EndedBy::Agent, reason: EndReason::Completed }
}

/// The caller waits in the queue `sales`.
fn waiting() -> Vec<Event> {
    story(&[&initiated(), &[queued("sales")]])
}

/// Anna's phone rings for the caller who waits.
fn ringing() -> Vec<Event> {
    story(&[&waiting(), &[offered(1, ANNA)]])
}

/// Anna speaks with the customer on leg 1.
fn talking() -> Vec<Event> {
    story(&[&ringing(), &[answered(1, ANNA)]])
}

/// Anna has put the customer on hold and calls Boris, whose phone rings on leg 2.
fn consulting() -> Vec<Event> {
    let asked = ConsultStarted { leg: 1, consult_leg: 2, agent_id: BORIS, ring_timeout_ms: RING_MS };
    story(&[&talking(), &[held(1, ANNA), asked.into()]])
}

/// Boris has answered Anna's consultation.
fn advised() -> Vec<Event> {
    story(&[&consulting(), &[answered(2, BORIS)]])
}

/// The conversation is over and Anna works on it.
fn wrapping_up() -> Vec<Event> {
    story(&[&talking(), &[wrap_up_started(1, ANNA), ended()]])
}

fn complete(leg: Option<LegNumber>) -> Command {
    Command::CompleteWrapUp { leg, disposition: label("solved"), notes: None }
}

#[test]
fn every_rule_is_named_and_tested() {
    let tests = [
        include_str!("tests/conversation.rs"),
        include_str!("tests/ending.rs"),
        include_str!("tests/recording.rs"),
        include_str!("tests/transfer.rs"),
        include_str!("tests/waiting.rs"),
    ];
    testing::assert_rules(include_str!("refusal.rs"), &tests);
}
