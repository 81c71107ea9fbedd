//! What holds for a call whatever is asked of it, and in whatever order.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use proptest::sample::select;
use uuid::Uuid;

use super::*;
use crate::testing::short;

proptest! {
    #[test]
    fn rules_hold_under_any_commands(commands in commands()) {
        testing::run::<Call>(commands, |call, history| {
            check_legs(call);
            check_phase(call);
            check_history(history);
        });
    }
}

#[test]
fn random_commands_reach_every_event() {
    let reached = testing::types_reached::<Call>(&commands().boxed(), 500);
    assert_eq!(reached, Event::SCHEMAS.iter().map(|(name, _)| *name).collect());
}

/// A series of commands; most of them begin with a call.
fn commands() -> impl Strategy<Value = Vec<Command>> {
    let first = prop_oneof![9 => Just(Some(initiate())), 1 => Just(None)];
    (first, prop::collection::vec(command(), 0..120)).prop_map(|(first, rest)| first.into_iter().chain(rest).collect())
}

fn command() -> impl Strategy<Value = Command> {
    prop_oneof![
        30 => before_the_conversation(),
        30 => in_the_conversation(),
        10 => recording(),
        15 => prop::option::weighted(0.7, 1..6u32).prop_map(complete),
        2 => at_the_end(),
        1 => Just(initiate()),
    ]
}

fn agent() -> impl Strategy<Value = (AgentId, AgentFacts)> {
    let facts = prop_oneof![
        8 => Just(READY),
        1 => Just(AgentFacts { registered: true, available: false }),
        1 => Just(AgentFacts { registered: false, available: false }),
    ];
    ((1..4u128).prop_map(AgentId::from_u128), facts)
}

fn agent_id() -> impl Strategy<Value = AgentId> {
    agent().prop_map(|(agent_id, _)| agent_id)
}

fn leg() -> impl Strategy<Value = Option<LegNumber>> {
    prop::option::weighted(0.3, 1..6u32)
}

fn ring_timeout_ms() -> impl Strategy<Value = u32> {
    prop_oneof![8 => Just(RING_MS), 1 => Just(0), 1 => Just(RING_TIMEOUT_MS_MAX + 1)]
}

fn queue_name() -> impl Strategy<Value = crate::QueueName> {
    select(vec!["sales", "support"]).prop_map(queue)
}

fn before_the_conversation() -> impl Strategy<Value = Command> {
    prop_oneof![
        2 => (queue_name(), any::<i16>()).prop_map(|(queue, priority)| Command::Queue { queue, priority }),
        4 => (agent(), ring_timeout_ms()).prop_map(|((agent_id, agent), ring_timeout_ms)| Command::Offer {
            agent_id,
            agent,
            ring_timeout_ms,
        }),
        1 => agent_id().prop_map(|agent_id| Command::Decline { agent_id, reason: Some(short("busy")) }),
        1 => (agent_id(), leg()).prop_map(|(agent_id, leg)| Command::ExpireOffer { agent_id, leg }),
        8 => agent_id().prop_map(|agent_id| Command::Answer { agent_id }),
    ]
}

fn in_the_conversation() -> impl Strategy<Value = Command> {
    let party = || select(vec![Party::Customer, Party::Agent]);
    prop_oneof![
        1 => leg().prop_map(|leg| Command::Hold { leg }),
        2 => leg().prop_map(|leg| Command::Resume { leg }),
        1 => (leg(), party()).prop_map(|(leg, party)| Command::Mute { leg, party }),
        1 => (leg(), party()).prop_map(|(leg, party)| Command::Unmute { leg, party }),
        1 => (leg(), destination()).prop_map(|(leg, to)| Command::TransferBlind { leg, to }),
        4 => (leg(), agent(), ring_timeout_ms()).prop_map(|(leg, (agent_id, agent), ring_timeout_ms)| {
            Command::StartConsult { leg, agent_id, agent, ring_timeout_ms }
        }),
        4 => leg().prop_map(|leg| Command::TransferConsult { leg }),
        1 => leg().prop_map(|leg| Command::CancelConsult { leg }),
    ]
}

fn destination() -> impl Strategy<Value = Destination> {
    prop_oneof![
        (agent(), ring_timeout_ms()).prop_map(|((agent_id, agent), ring_timeout_ms)| Destination::Agent {
            agent_id,
            agent,
            ring_timeout_ms,
        }),
        (queue_name(), any::<i16>()).prop_map(|(queue, priority)| Destination::Queue { queue, priority }),
        Just(Destination::External { number: phone("+442083661177") }),
    ]
}

fn recording() -> impl Strategy<Value = Command> {
    prop_oneof![
        any::<u128>().prop_map(|id| Command::StartRecording { recording_id: Uuid::from_u128(id) }),
        Just(Command::PauseRecording { reason: None }),
        Just(Command::ResumeRecording),
        Just(Command::StopRecording),
    ]
}

fn at_the_end() -> impl Strategy<Value = Command> {
    let by = vec![EndedBy::Customer, EndedBy::Agent, EndedBy::Supervisor, EndedBy::System, EndedBy::Provider];
    prop_oneof![
        select(by).prop_map(|by| Command::End { by, reason: EndReason::Completed }),
        Just(Command::Abandon),
        Just(Command::Fail { reason: short("carrier lost") }),
    ]
}

fn check_legs(call: &Call) {
    let in_phase = |phase| call.legs.iter().filter(move |leg| leg.phase == phase);
    assert!(
        call.legs.iter().map(|leg| leg.number).eq(1..=u32::try_from(call.legs.len()).unwrap()),
        "numbers are dense"
    );
    assert!(in_phase(LegPhase::Ringing).count() <= 1, "one phone rings at most");
    assert!(in_phase(LegPhase::Connected).filter(|leg| leg.consult_of.is_none()).count() <= 1, "one has the customer");
    for leg in &call.legs {
        let connected = leg.phase == LegPhase::Connected;
        assert!(connected || !leg.held, "only who is connected is held");
        assert!(connected || leg.muted.is_empty(), "only who is connected is muted");
        assert_eq!(leg.muted.iter().collect::<BTreeSet<_>>().len(), leg.muted.len(), "each party is muted once");
        let Some(asking) = leg.consult_of else { continue };
        assert!(
            matches!(leg.phase, LegPhase::Ringing | LegPhase::Connected),
            "an open consultation rings or is answered"
        );
        assert!(!leg.held && leg.muted.is_empty(), "the customer is not on the leg of a consultation");
        let customer = call.connected().expect("who consults has the customer");
        assert_eq!(customer.number, asking);
        assert!(customer.held, "the customer waits on hold");
    }
    let taking_part: Vec<_> =
        call.legs.iter().filter(|leg| leg.phase != LegPhase::Closed).map(|l| l.agent_id).collect();
    assert_eq!(taking_part.iter().collect::<BTreeSet<_>>().len(), taking_part.len(), "an agent has one open leg");
}

fn check_phase(call: &Call) {
    assert_ne!(call.phase, Phase::Unknown, "something has happened");
    if call.connected().is_some() {
        assert_eq!(call.waiting_in, None, "who is connected does not wait");
    }
    if call.phase == Phase::Over {
        assert!(call.legs.iter().all(|leg| matches!(leg.phase, LegPhase::WrapUp | LegPhase::Closed)));
        assert!(call.legs.iter().all(|leg| leg.consult_of.is_none()));
        assert_eq!(call.recording, Recording::Off);
        assert_eq!(call.waiting_in, None);
    }
}

/// What a reader of the log relies on: each leg opens once and closes once, wrap-up is completed after it was started,
/// the call ends once, and nothing but completed wrap-up follows.
fn check_history(history: &[Event]) {
    let mut agents = BTreeMap::new();
    let (mut left, mut wrapping_up) = (BTreeSet::new(), BTreeSet::new());
    let mut over = false;
    for event in history {
        assert!(!over || matches!(event, Event::WrapUpCompleted(_)), "{event:?} after the end");
        if let Some((leg, agent_id)) = opens(event) {
            assert!(agents.insert(leg, agent_id).is_none(), "leg {leg} opens twice");
        }
        if let Some((leg, agent_id)) = leaves(event) {
            assert!(agents.contains_key(&leg), "leg {leg} closes and was never open");
            assert!(left.insert(leg), "leg {leg} closes twice");
            assert!(agent_id.is_none_or(|agent_id| agents[&leg] == agent_id), "leg {leg} has one agent");
        }
        match event {
            Event::WrapUpStarted(e) => {
                assert_eq!(agents[&e.leg], e.agent_id);
                assert!(wrapping_up.insert(e.leg), "leg {} begins wrap-up twice", e.leg);
            }
            Event::WrapUpCompleted(e) => {
                assert_eq!(agents[&e.leg], e.agent_id);
                assert!(wrapping_up.remove(&e.leg), "leg {} completes what it has not begun", e.leg);
            }
            Event::Ended(_) | Event::Abandoned(_) | Event::Failed(_) => over = true,
            _ => {}
        }
    }
}

fn opens(event: &Event) -> Option<(LegNumber, AgentId)> {
    match event {
        Event::Offered(e) => Some((e.leg, e.agent_id)),
        Event::ConsultStarted(e) => Some((e.consult_leg, e.agent_id)),
        _ => None,
    }
}

/// The leg on which nobody rings or speaks after this event. A leg with a conversation is left by its wrap-up.
fn leaves(event: &Event) -> Option<(LegNumber, Option<AgentId>)> {
    match event {
        Event::Declined(e) => Some((e.leg, Some(e.agent_id))),
        Event::OfferExpired(e) => Some((e.leg, Some(e.agent_id))),
        Event::OfferWithdrawn(e) => Some((e.leg, Some(e.agent_id))),
        Event::ConsultCancelled(e) => Some((e.consult_leg, None)),
        Event::WrapUpStarted(e) => Some((e.leg, Some(e.agent_id))),
        _ => None,
    }
}
