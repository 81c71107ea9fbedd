//! What holds for an agent whatever is asked, and in whatever order.

use proptest::prelude::*;
use proptest::sample::select;

use super::*;

proptest! {
    #[test]
    fn rules_hold_under_any_commands(commands in prop::collection::vec(command(), 0..60)) {
        testing::run::<Agent>(commands, |agent, history| {
            assert!(agent.registered);
            assert!(matches!(history[0], Event::Registered(_)), "life begins with the registration");
            assert_eq!(agent.presence.is_some(), agent.signed_in, "who is signed in has a presence");
            assert!(agent.signed_in || agent.presence_reason.is_none());
            assert!((1..=CAPACITY_MAX).contains(&agent.capacity));
            assert!(agent.capabilities.len() <= CAPABILITIES_MAX);
            assert!(agent.capabilities.values().all(|level| (1..=CAPABILITY_LEVEL_MAX).contains(level)));
            assert_eq!(agent.facts().available, agent.is_available());
        });
    }
}

#[test]
fn random_commands_reach_every_event() {
    let reached = testing::types_reached::<Agent>(&prop::collection::vec(command(), 0..60).boxed(), 200);
    assert_eq!(reached, Event::SCHEMAS.iter().map(|(name, _)| *name).collect());
}

fn command() -> impl Strategy<Value = Command> {
    let reason = || prop::option::of(select(vec!["coffee", "end of shift"]).prop_map(short));
    let presence = || select(Presence::ALL.to_vec());
    let team_name = || prop::option::of(select(vec!["north", "south"]).prop_map(team));
    let name = || select(vec!["cs", "en", "billing"]);
    let skill = || (name(), 0..13u8).prop_map(|(name, level)| capability(name, level));
    prop_oneof![
        3 => (team_name(), 0..23u8, prop::collection::vec(skill(), 0..4)).prop_map(|(team, capacity, capabilities)| {
            Command::Register { name: person("Anna Malá"), team, capacity, capabilities }
        }),
        2 => presence().prop_map(|presence| Command::SignIn { presence }),
        1 => reason().prop_map(|reason| Command::SignOut { reason }),
        3 => (presence(), reason()).prop_map(|(presence, reason)| Command::ChangePresence { presence, reason }),
        2 => skill().prop_map(|capability| Command::SetCapability { capability }),
        1 => name().prop_map(|name| Command::RemoveCapability { name: label(name) }),
        1 => team_name().prop_map(|team| Command::AssignTeam { team }),
        1 => (0..23u8).prop_map(|capacity| Command::ChangeCapacity { capacity }),
    ]
}
