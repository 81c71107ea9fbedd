//! Nothing lost, nothing doubled: every fault in its short form, on PostgreSQL, Kafka and processes of our own.
//!
//! A binary of its own, so that it has the machine to itself: what is waited for here is how soon everything is well again after
//! a fault, and that says little while two hundred other tests run. The long form is the program `voice-faults`; what is
//! promised is in `docs/reliability.md`.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod control;

use tests::faults::{Fault, run_in_order};
use tokio::sync::{Mutex, MutexGuard};

/// One cluster at a time: two would keep each other from catching up.
static TURN: Mutex<()> = Mutex::const_new(());

async fn turn() -> MutexGuard<'static, ()> {
    TURN.lock().await
}

/// A number that was printed by a run that failed, to have the same choices again.
fn seed() -> u64 {
    let given = std::env::var("VOICE_FAULTS_SEED").ok();
    given.map_or_else(rand::random, |seed| seed.parse().expect("VOICE_FAULTS_SEED is a number"))
}

#[allow(clippy::print_stderr, reason = "shown when a test fails: what was broken, in order")]
async fn nothing_is_lost_in(faults: &[Fault]) {
    let _turn = turn().await;
    let seed = seed();
    let summary = run_in_order(seed, faults, &|what| eprintln!("{what}")).await;
    let violations: Vec<String> = summary.violations.iter().map(ToString::to_string).collect();
    assert!(violations.is_empty(), "VOICE_FAULTS_SEED={seed}\n{summary}\n{violations:#?}");
    assert!(summary.faults.len() == faults.len() && summary.commands > 0 && summary.delivered > 0, "{summary}");
}

#[tokio::test]
async fn writers_and_postgresql_break() {
    nothing_is_lost_in(&[Fault::F1, Fault::F2, Fault::F3, Fault::F5, Fault::F6, Fault::F31]).await;
}

#[tokio::test]
async fn relay_and_kafka_break() {
    nothing_is_lost_in(&[Fault::F7, Fault::F8, Fault::F12, Fault::F9, Fault::F17, Fault::F18]).await;
}

#[tokio::test]
async fn projectors_and_rebuilds_break() {
    let faults = [Fault::F14, Fault::F15, Fault::F16, Fault::F19, Fault::F20, Fault::F21, Fault::F22];
    nothing_is_lost_in(&faults).await;
}

#[tokio::test]
async fn subscribers_lines_and_clocks_break() {
    nothing_is_lost_in(&[Fault::F23, Fault::F24, Fault::F25, Fault::F26, Fault::F13, Fault::F27]).await;
}
