//! Hold and mute.

use super::*;

#[test]
fn a_customer_is_held_and_resumed() {
    let hold = |leg| Command::Hold { leg };
    let resume = |leg| Command::Resume { leg };
    let resumed = Event::from(Resumed { leg: 1, agent_id: ANNA });
    given(&talking()).when(hold(None)).then(&[held(1, ANNA)]);
    given(&talking()).when(hold(Some(1))).then(&[held(1, ANNA)]);
    given(&talking()).when(resume(None)).then_refused("NOT_ON_HOLD");
    let on_hold = story(&[&talking(), &[held(1, ANNA)]]);
    given(&on_hold).when(hold(None)).then_refused("ALREADY_ON_HOLD");
    given(&on_hold).when(resume(None)).then(std::slice::from_ref(&resumed));
    given(&story(&[&on_hold, &[resumed]])).when(hold(None)).then(&[held(1, ANNA)]);
}

#[test]
fn only_the_connected_leg_is_held_or_muted() {
    let mute = |leg| Command::Mute { leg, party: Party::Agent };
    given(&ringing()).when(Command::Hold { leg: None }).then_refused("NO_LEG_CONNECTED");
    given(&ringing()).when(Command::Hold { leg: Some(1) }).then_refused("LEG_NOT_CONNECTED");
    given(&talking()).when(Command::Resume { leg: Some(2) }).then_refused("LEG_NOT_CONNECTED");
    given(&wrapping_up()).when(mute(Some(1))).then_refused("CALL_OVER");
    // The customer is not on the leg of a consultation.
    given(&advised()).when(Command::Hold { leg: Some(2) }).then_refused("LEG_NOT_CONNECTED");
    given(&advised()).when(mute(Some(2))).then_refused("LEG_NOT_CONNECTED");
}

#[test]
fn each_party_is_muted_by_itself() {
    let mute = |party| Command::Mute { leg: None, party };
    let unmute = |party| Command::Unmute { leg: None, party };
    let muted = |party| Event::from(Muted { leg: 1, party });
    let unmuted = |party| Event::from(Unmuted { leg: 1, party });
    given(&talking()).when(mute(Party::Agent)).then(&[muted(Party::Agent)]);
    given(&talking()).when(unmute(Party::Agent)).then_refused("NOT_MUTED");
    let silent = story(&[&talking(), &[muted(Party::Agent)]]);
    given(&silent).when(mute(Party::Agent)).then_refused("ALREADY_MUTED");
    given(&silent).when(mute(Party::Customer)).then(&[muted(Party::Customer)]);
    given(&silent).when(unmute(Party::Customer)).then_refused("NOT_MUTED");
    given(&silent).when(unmute(Party::Agent)).then(&[unmuted(Party::Agent)]);
    let one_heard = story(&[&silent, &[muted(Party::Customer), unmuted(Party::Agent)]]);
    given(&one_heard).when(unmute(Party::Agent)).then_refused("NOT_MUTED");
    given(&one_heard).when(mute(Party::Customer)).then_refused("ALREADY_MUTED");
}

#[test]
fn mute_and_hold_end_with_the_leg() {
    let passed_on = TransferredConsult { leg: 1, agent_id: ANNA, to_leg: 2, to_agent_id: BORIS };
    let muted = Event::from(Muted { leg: 1, party: Party::Customer });
    let events = story(&[&advised(), &[muted, passed_on.into(), wrap_up_started(1, ANNA)]]);
    given(&events).when(Command::Unmute { leg: None, party: Party::Customer }).then_refused("NOT_MUTED");
    given(&events).when(Command::Resume { leg: None }).then_refused("NOT_ON_HOLD");
}
