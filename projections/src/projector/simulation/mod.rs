//! Two projectors of one view on a simulated clock, against a simulated database that loses, delays and forgets answers;
//! they are killed at any point or asked to end, some events can't be folded, and parked keys are taken up again. The view
//! must be what the log makes of it, for every seed; who is asked to end does so soon, and finishes what it has in hand.
//!
//! `VOICE_SIMULATION_SEED=N cargo test -p projections simulation` runs one seed again.

mod database;

use std::time::Duration;

use domain::{Actor, Category, Position, Recorded, StreamName};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::value::RawValue;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::Projector;
use crate::progress::Progress;
use crate::simulation::{first_fault, for_each_seed, on_a_clock_of_its_own};
use database::{Database, NAME, Planted, READABLE};

const EVENTS: Position = 60;
const KEYS: u128 = 5;
/// In simulated time, after the last fault.
const CAUGHT_UP_WITHIN: Duration = Duration::from_secs(60);
/// In simulated time: one that is asked to end has a batch to finish at most, of a few messages each way.
const ENDS_WITHIN: Duration = Duration::from_secs(1);

fn event(position: Position, key: u128, event_type: &str) -> Recorded {
    Recorded {
        id: Uuid::nil(),
        position,
        stream: StreamName { category: Category::Agent, id: Uuid::from_u128(key) },
        version: 1,
        event_type: event_type.to_owned(),
        schema_version: 1,
        occurred_at: chrono::DateTime::UNIX_EPOCH,
        recorded_at: chrono::DateTime::UNIX_EPOCH,
        actor: Actor::system("simulation"),
        correlation_id: Uuid::nil(),
        causation_id: None,
        trace: None,
        payload: RawValue::from_string("{}".to_owned()).unwrap_or_else(|_| RawValue::NULL.to_owned()),
    }
}

async fn appends(database: Database, seed: u64) {
    let mut luck = StdRng::seed_from_u64(seed);
    for position in 1..=EVENTS {
        if luck.random_range(0..4) == 0 {
            tokio::time::sleep(Duration::from_millis(luck.random_range(0..500))).await;
        }
        // One that can be folded, one that the table refuses, one that nobody can read.
        let refused = luck.random_range(0..25) == 0;
        let event_type = if luck.random_range(0..40) == 0 { "agent.unheard_of" } else { READABLE };
        if refused {
            database.state().poison.insert(position);
        }
        database.append(event(position, luck.random_range(0..KEYS), event_type));
    }
}

/// A projector that runs.
struct Running {
    task: JoinHandle<()>,
    progress: Progress,
    shutdown: CancellationToken,
    /// The database as it sees it.
    database: Database,
}

impl Running {
    fn start(database: &Database) -> Self {
        let (progress, shutdown, database) = (Progress::new(), CancellationToken::new(), database.of_one_more());
        let view = Projector::between(Box::new(database.clone()), Box::new(database.clone()), progress.clone());
        Self { task: tokio::spawn(view.run(shutdown.clone())), progress, shutdown, database }
    }

    fn kill(&self) {
        self.task.abort();
    }

    /// Asks it to end, and waits until it has: what is not as it must be.
    async fn end(mut self, planted: Planted) -> Vec<String> {
        self.shutdown.cancel();
        if planted == Planted::EndsAtOnce {
            self.kill();
        }
        let mut faults = Vec::new();
        if tokio::time::timeout(ENDS_WITHIN, &mut self.task).await.is_err() {
            faults.push("it does not end when it is asked to".to_owned());
            self.kill();
        }
        if self.database.was_cut_off() {
            faults.push("it has ended in the middle of a transaction".to_owned());
        }
        let said = self.progress.watch().borrow().get(NAME).copied().unwrap_or(0);
        if said > self.database.state().position {
            faults.push(format!("{said} is said to be committed"));
        }
        faults
    }
}

/// One run: what is not as it must be.
async fn run(seed: u64, planted: Planted) -> Vec<String> {
    let mut luck = StdRng::seed_from_u64(seed);
    let harm = luck.random_range(0..12);
    let database = Database::new(luck.random(), harm, planted);
    let appending = tokio::spawn(appends(database.clone(), luck.random()));
    let mut faults = Vec::new();
    let mut projectors: Vec<_> = (0..2).map(|_| Running::start(&database)).collect();
    for _ in 0..luck.random_range(0..8) {
        tokio::time::sleep(Duration::from_millis(luck.random_range(0..1_500))).await;
        let which = luck.random_range(0..projectors.len());
        match luck.random_range(0..4) {
            0 | 1 => database.mend(),
            2 => {
                projectors[which].kill();
                projectors[which] = Running::start(&database);
            }
            _ => {
                let ending = projectors.swap_remove(which);
                faults.extend(ending.end(planted).await);
                projectors.push(Running::start(&database));
            }
        }
    }
    database.heal();
    drop(appending.await);
    let caught_up = async {
        while database.state().position < EVENTS {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let late = tokio::time::timeout(CAUGHT_UP_WITHIN, caught_up).await.is_err();
    faults.extend(judge(&database));
    if late {
        faults.push(format!("it is at {} of {EVENTS} only", database.state().position));
    }
    for projector in projectors {
        faults.extend(projector.end(planted).await);
    }
    faults
}

/// Of each key: everything that was folded in order and once, and behind it what is parked.
fn judge(database: &Database) -> Vec<String> {
    let mut state = database.state();
    let mut faults = std::mem::take(&mut state.faults);
    for key in (0..KEYS).map(Uuid::from_u128) {
        let wanted = state.log.iter().filter(|event| event.stream.id == key).map(|event| event.position);
        let wanted: Vec<Position> = wanted.filter(|at| *at <= state.position).collect();
        let mut found = state.rows.get(&key).cloned().unwrap_or_default();
        found.extend(state.parked.iter().filter(|(_, of)| **of == key).map(|(at, _)| *at));
        if found != wanted {
            faults.push(format!("{key} has {found:?} and not {wanted:?}"));
        }
    }
    faults
}

fn simulated(seed: u64, planted: Planted) -> Result<(), String> {
    on_a_clock_of_its_own(run(seed, planted))
}

#[test]
fn a_view_is_what_the_log_makes_of_it_whatever_breaks() {
    for_each_seed(|seed| simulated(seed, Planted::Nothing));
}

#[test]
fn a_database_that_cuts_transactions_in_two_and_a_projector_that_leaves_them_are_noticed() {
    for planted in [
        Planted::EndsAtOnce,
        Planted::LosesRows,
        Planted::KeepsRows,
        Planted::IgnoresCheckpoint,
        Planted::ForgetsParked,
    ] {
        assert!(first_fault(|seed| simulated(seed, planted)).is_some(), "{planted:?} was not noticed");
    }
}
