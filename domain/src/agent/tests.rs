//! The rules of an agent, as given events, when command, then events.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod properties;

use super::*;
use crate::call::AgentFacts;
use crate::testing::{self, Given, label, person, short, team};

fn given(events: &[Event]) -> Given<Agent> {
    testing::given(events)
}

fn capability(name: &str, level: u8) -> Capability {
    Capability { name: label(name), level }
}

fn register(capacity: u8, capabilities: Vec<Capability>) -> Command {
    Command::Register { name: person("Anna Malá"), team: Some(team("north")), capacity, capabilities }
}

fn registered_with(capabilities: Vec<Capability>) -> Vec<Event> {
    vec![Registered { name: person("Anna Malá"), team: Some(team("north")), capacity: 2, capabilities }.into()]
}

/// Anna of team north, two conversations at once, Czech at level 9.
fn registered() -> Vec<Event> {
    registered_with(vec![capability("cs", 9)])
}

/// Anna has signed in and is available.
fn working() -> Vec<Event> {
    [registered(), vec![SignedIn { presence: Presence::Available }.into()]].concat()
}

fn on_break(reason: Option<&str>) -> PresenceChanged {
    PresenceChanged { presence: Presence::OnBreak, reason: reason.map(short) }
}

fn go_on_break(reason: Option<&str>) -> Command {
    Command::ChangePresence { presence: Presence::OnBreak, reason: reason.map(short) }
}

fn many_capabilities(count: usize) -> Vec<Capability> {
    (0..count).map(|n| capability(&format!("skill {n}"), 1)).collect()
}

#[test]
fn an_agent_is_registered_once() {
    given(&[]).when(register(2, vec![capability("cs", 9)])).then(&registered());
    given(&registered()).when(register(2, vec![])).then_refused("AGENT_ALREADY_REGISTERED");
}

#[test]
fn an_unknown_agent_takes_nothing_else() {
    let commands = [
        Command::SignIn { presence: Presence::Available },
        Command::SignOut { reason: None },
        Command::ChangeCapacity { capacity: 1 },
        Command::RemoveCapability { name: label("cs") },
    ];
    for command in commands {
        given(&[]).when(command).then_refused("AGENT_UNKNOWN");
    }
}

#[test]
fn registration_keeps_the_bounds() {
    given(&[]).when(register(0, vec![])).then_refused("CAPACITY_OUT_OF_RANGE");
    given(&[]).when(register(CAPACITY_MAX + 1, vec![])).then_refused("CAPACITY_OUT_OF_RANGE");
    given(&[]).when(register(1, vec![capability("cs", 0)])).then_refused("CAPABILITY_LEVEL_OUT_OF_RANGE");
    given(&[]).when(register(1, vec![capability("cs", 11)])).then_refused("CAPABILITY_LEVEL_OUT_OF_RANGE");
    let twice = vec![capability("cs", 1), capability("en", 2), capability("cs", 3)];
    given(&[]).when(register(1, twice)).then_refused("CAPABILITY_DUPLICATE");
    let too_many = many_capabilities(CAPABILITIES_MAX + 1);
    given(&[]).when(register(1, too_many)).then_refused("TOO_MANY_CAPABILITIES");
    let most = many_capabilities(CAPABILITIES_MAX);
    given(&[]).when(register(2, most.clone())).then(&registered_with(most));
}

#[test]
fn an_agent_signs_in_and_out() {
    let sign_in = || Command::SignIn { presence: Presence::InTraining };
    let reason = Some(short("end of shift"));
    let sign_out = || Command::SignOut { reason: reason.clone() };
    let signed_out = Event::from(SignedOut { reason: reason.clone() });
    given(&registered()).when(sign_in()).then(&[SignedIn { presence: Presence::InTraining }.into()]);
    given(&working()).when(sign_in()).then_refused("ALREADY_SIGNED_IN");
    given(&working()).when(sign_out()).then(std::slice::from_ref(&signed_out));
    given(&registered()).when(sign_out()).then_refused("NOT_SIGNED_IN");
    let gone = [working(), vec![signed_out]].concat();
    given(&gone).when(sign_out()).then_refused("NOT_SIGNED_IN");
    given(&gone).when(sign_in()).then(&[SignedIn { presence: Presence::InTraining }.into()]);
}

#[test]
fn presence_changes_while_signed_in() {
    given(&working()).when(go_on_break(None)).then(&[on_break(None).into()]);
    given(&registered()).when(go_on_break(None)).then_refused("NOT_SIGNED_IN");
    let resting = [working(), vec![on_break(Some("coffee")).into()]].concat();
    given(&resting).when(go_on_break(Some("coffee"))).then_refused("PRESENCE_UNCHANGED");
    given(&resting).when(go_on_break(Some("fresh air"))).then(&[on_break(Some("fresh air")).into()]);
    given(&resting).when(go_on_break(None)).then(&[on_break(None).into()]);
    let stay = Command::ChangePresence { presence: Presence::Available, reason: None };
    given(&working()).when(stay).then_refused("PRESENCE_UNCHANGED");
}

#[test]
fn a_new_shift_forgets_the_reason_of_the_last() {
    let out_and_in = vec![SignedOut { reason: None }.into(), SignedIn { presence: Presence::OnBreak }.into()];
    let events = [working(), vec![on_break(Some("coffee")).into()], out_and_in].concat();
    given(&events).when(go_on_break(None)).then_refused("PRESENCE_UNCHANGED");
    given(&events).when(go_on_break(Some("coffee"))).then(&[on_break(Some("coffee")).into()]);
}

#[test]
fn only_who_is_signed_in_and_available_is_offered_calls() {
    let facts = |events: &[Event]| testing::fold::<Agent>(events).facts();
    let known = |available| AgentFacts { registered: true, available };
    assert_eq!(facts(&[]), AgentFacts { registered: false, available: false });
    assert_eq!(facts(&registered()), known(false));
    assert_eq!(facts(&working()), known(true));
    assert_eq!(facts(&[working(), vec![on_break(None).into()]].concat()), known(false));
    assert_eq!(facts(&[working(), vec![SignedOut { reason: None }.into()]].concat()), known(false));
    for presence in Presence::ALL {
        let events = [registered(), vec![SignedIn { presence }.into()]].concat();
        assert_eq!(testing::fold::<Agent>(&events).is_available(), presence == Presence::Available);
    }
}

#[test]
fn capabilities_are_set_and_removed() {
    let set = |name, level| Command::SetCapability { capability: capability(name, level) };
    let was_set = |name, level| Event::from(CapabilitySet { capability: capability(name, level) });
    let remove = |name| Command::RemoveCapability { name: label(name) };
    given(&registered()).when(set("en", 1)).then(&[was_set("en", 1)]);
    given(&registered()).when(set("cs", 10)).then(&[was_set("cs", 10)]);
    given(&registered()).when(set("cs", 9)).then_refused("CAPABILITY_UNCHANGED");
    given(&registered()).when(set("en", 0)).then_refused("CAPABILITY_LEVEL_OUT_OF_RANGE");
    given(&registered()).when(set("en", CAPABILITY_LEVEL_MAX + 1)).then_refused("CAPABILITY_LEVEL_OUT_OF_RANGE");
    given(&registered()).when(remove("cs")).then(&[CapabilityRemoved { name: label("cs") }.into()]);
    given(&registered()).when(remove("en")).then_refused("CAPABILITY_UNKNOWN");
}

#[test]
fn at_the_bound_a_capability_can_be_corrected_but_not_added() {
    let full = registered_with(many_capabilities(CAPABILITIES_MAX));
    let set = |name, level| Command::SetCapability { capability: capability(name, level) };
    given(&full).when(set("one more", 1)).then_refused("TOO_MANY_CAPABILITIES");
    let corrected = CapabilitySet { capability: capability("skill 0", 2) };
    given(&full).when(set("skill 0", 2)).then(&[corrected.into()]);
    let removed = CapabilityRemoved { name: label("skill 0") };
    let added = CapabilitySet { capability: capability("one more", 1) };
    given(&[full, vec![removed.into()]].concat()).when(set("one more", 1)).then(&[added.into()]);
}

#[test]
fn an_agent_changes_and_leaves_teams() {
    let assign = |name: Option<&str>| Command::AssignTeam { team: name.map(team) };
    let assigned = |name: Option<&str>| Event::from(TeamAssigned { team: name.map(team) });
    given(&registered()).when(assign(Some("south"))).then(&[assigned(Some("south"))]);
    given(&registered()).when(assign(Some("north"))).then_refused("TEAM_UNCHANGED");
    given(&registered()).when(assign(None)).then(&[assigned(None)]);
    given(&[registered(), vec![assigned(None)]].concat()).when(assign(None)).then_refused("TEAM_UNCHANGED");
}

#[test]
fn capacity_changes_within_its_bounds() {
    let change = |capacity| Command::ChangeCapacity { capacity };
    given(&registered()).when(change(CAPACITY_MAX)).then(&[CapacityChanged { capacity: CAPACITY_MAX }.into()]);
    given(&registered()).when(change(1)).then(&[CapacityChanged { capacity: 1 }.into()]);
    given(&registered()).when(change(2)).then_refused("CAPACITY_UNCHANGED");
    given(&registered()).when(change(0)).then_refused("CAPACITY_OUT_OF_RANGE");
    given(&registered()).when(change(CAPACITY_MAX + 1)).then_refused("CAPACITY_OUT_OF_RANGE");
}

#[test]
fn every_rule_is_named_and_tested() {
    testing::assert_rules(include_str!("refusal.rs"), &[include_str!("tests.rs")]);
}
