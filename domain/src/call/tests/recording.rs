//! Recording, and its end with the call.

use uuid::Uuid;

use super::*;
use crate::testing::short;

const TAPE: Uuid = Uuid::from_u128(9);

fn start() -> Command {
    Command::StartRecording { recording_id: TAPE }
}

fn pause() -> Command {
    Command::PauseRecording { reason: Some(short("card payment")) }
}

fn recorded() -> Vec<Event> {
    story(&[&talking(), &[RecordingStarted { recording_id: TAPE }.into()]])
}

fn paused() -> Vec<Event> {
    let paused = RecordingPaused { recording_id: TAPE, reason: Some(short("card payment")) };
    story(&[&recorded(), &[paused.into()]])
}

fn stopped() -> Event {
    RecordingStopped { recording_id: TAPE }.into()
}

#[test]
fn a_call_is_recorded_paused_resumed_and_stopped() {
    let pausing = RecordingPaused { recording_id: TAPE, reason: Some(short("card payment")) };
    given(&talking()).when(start()).then(&[RecordingStarted { recording_id: TAPE }.into()]);
    given(&waiting()).when(start()).then(&[RecordingStarted { recording_id: TAPE }.into()]);
    given(&recorded()).when(pause()).then(&[pausing.into()]);
    given(&paused()).when(Command::ResumeRecording).then(&[RecordingResumed { recording_id: TAPE }.into()]);
    given(&recorded()).when(Command::StopRecording).then(&[stopped()]);
    given(&paused()).when(Command::StopRecording).then(&[stopped()]);
}

#[test]
fn recording_follows_its_order() {
    given(&recorded()).when(start()).then_refused("ALREADY_RECORDING");
    given(&paused()).when(start()).then_refused("ALREADY_RECORDING");
    given(&paused()).when(pause()).then_refused("RECORDING_ALREADY_PAUSED");
    given(&recorded()).when(Command::ResumeRecording).then_refused("RECORDING_NOT_PAUSED");
    for command in [pause(), Command::ResumeRecording, Command::StopRecording] {
        given(&talking()).when(command).then_refused("NOT_RECORDING");
    }
}

#[test]
fn recording_stops_with_the_call_even_when_paused() {
    for events in [recorded(), paused()] {
        given(&events).when(end()).then(&[stopped(), wrap_up_started(1, ANNA), ended()]);
    }
    let while_waiting = story(&[&waiting(), &[RecordingStarted { recording_id: TAPE }.into()]]);
    let abandoned = Abandoned { queue: queue("sales") };
    given(&while_waiting).when(Command::Abandon).then(&[stopped(), abandoned.into()]);
}

#[test]
fn recording_goes_on_over_a_transfer() {
    let target = TransferTarget::Queue { queue: queue("support") };
    let passed_on = TransferredBlind { leg: 1, agent_id: ANNA, target };
    let after = story(&[&recorded(), &[passed_on.into(), wrap_up_started(1, ANNA), queued("support")]]);
    given(&after).when(start()).then_refused("ALREADY_RECORDING");
    given(&after).when(Command::StopRecording).then(&[stopped()]);
}
