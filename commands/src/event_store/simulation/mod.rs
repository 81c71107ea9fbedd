//! The writer on a simulated clock, against a simulated server that loses, delays and forgets answers, in processes that are
//! killed at any point: what it answers must be true of the log, for every seed.
//!
//! `VOICE_SIMULATION_SEED=N cargo test -p commands simulation` runs one seed again.
#![allow(clippy::expect_used, reason = "tests")]

mod client;
mod patience;
mod store;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::committed::Told;
use super::queue::Pending;
use super::writer::Writer;
use crate::simulation::{first_fault, for_each_seed, lock, on_a_clock_of_its_own};
use client::{Answers, Client, Given};
use store::{LATE_MAX_MS, Planted, Store};

/// In simulated time. Nothing takes longer than a writer that looks for an outcome, a few times in a row.
const ENDS_WITHIN: Duration = Duration::from_secs(3_600);
/// Keys of appends that the server refuses.
const POISON: &str = "poison";
const NODES: usize = 2;
const CLIENTS: u64 = 5;
/// So short that it is full at times.
const QUEUE_LENGTH: usize = 8;

/// A process that appends; it may be killed, and is started again.
struct Node {
    queue: mpsc::Sender<Pending>,
    task: JoinHandle<()>,
    shutdown: CancellationToken,
    head: watch::Receiver<i64>,
}

impl Node {
    fn start(store: &Store, placed_min: usize) -> Self {
        let (queue, waiting) = mpsc::channel(QUEUE_LENGTH);
        let (moved, head) = watch::channel(0);
        let writer = Writer::new(store.clone(), waiting, Told::new(moved), placed_min);
        let shutdown = CancellationToken::new();
        Self { queue, task: tokio::spawn(writer.run(shutdown.clone())), shutdown, head }
    }
}

type Nodes = Arc<Mutex<Vec<Node>>>;

fn queue_of(nodes: &Nodes, number: usize) -> mpsc::Sender<Pending> {
    lock(nodes)[number % NODES].queue.clone()
}

/// One run: what is not as it must be.
async fn run(seed: u64, planted: Planted) -> Vec<String> {
    let mut luck = StdRng::seed_from_u64(seed);
    let harm = luck.random_range(0..25);
    let store = Store::new(luck.random(), harm, planted);
    // From every batch to none.
    let placed_min = luck.random_range(1..=QUEUE_LENGTH);
    let nodes: Nodes = Arc::new(Mutex::new((0..NODES).map(|_| Node::start(&store, placed_min)).collect()));
    let answers: Answers = Arc::default();
    let mut clients: Vec<_> = (0..CLIENTS)
        .map(|number| Client::new(number, luck.random(), Arc::clone(&nodes), Arc::clone(&answers)))
        .map(|client| tokio::spawn(client.run()))
        .collect();
    for _ in 0..luck.random_range(0..4) {
        tokio::time::sleep(Duration::from_millis(luck.random_range(0..800))).await;
        let mut nodes = lock(&nodes);
        let killed = luck.random_range(0..NODES);
        nodes[killed].task.abort();
        nodes[killed] = Node::start(&store, placed_min);
    }
    tokio::time::sleep(Duration::from_millis(luck.random_range(0..5_000))).await;
    store.heal();
    for client in clients.drain(..) {
        client.await.expect("a client ends");
    }
    let mut faults = end(&store, &nodes, luck.random(), &answers).await;
    // What is still under way is committed: no answer may be wrong by that.
    tokio::time::sleep(Duration::from_millis(2 * LATE_MAX_MS)).await;
    faults.extend(judge(&store, &lock(&answers)));
    faults
}

/// Ends every node with appends in its queue: each of them is answered for good.
async fn end(store: &Store, nodes: &Nodes, seed: u64, answers: &Answers) -> Vec<String> {
    let mut faults = Vec::new();
    let mut last = Client::new(CLIENTS, seed, Arc::clone(nodes), Arc::clone(answers));
    let queued: Vec<_> = (0..QUEUE_LENGTH).map(|_| last.send(0)).collect();
    let ending: Vec<Node> = std::mem::take(&mut *lock(nodes));
    for node in ending {
        node.shutdown.cancel();
        if node.task.await.is_err() {
            faults.push("a writer panicked".to_owned());
        }
        let head = i64::try_from(store.state().events.len()).unwrap_or(i64::MAX);
        if *node.head.borrow() > head {
            faults.push(format!("{} is beyond the log's head {head}", *node.head.borrow()));
        }
    }
    for sent in queued {
        if let Given::Unknown | Given::NotTaken = last.answered(sent).await {
            faults.push("what was queued at shutdown was not appended".to_owned());
        }
    }
    faults
}

/// Holds every answer against the log.
fn judge(store: &Store, answers: &[client::Answered]) -> Vec<String> {
    let state = store.state();
    let mut faults = state.faults.clone();
    for answered in answers {
        let here = state.events.iter().enumerate().filter(|(_, event)| event.key == answered.key);
        let here: Vec<_> = here.map(|(index, event)| (index + 1, event)).collect();
        let times = if here.is_empty() { 0 } else { answered.events };
        if here.len() != times {
            faults.push(format!("{}: {} events in the log, not {times}", answered.key, here.len()));
        }
        match &answered.given {
            Given::Appended { version, position } => match here.last() {
                Some((at, event))
                    if i64::try_from(*at).ok() == Some(*position)
                        && event.version == *version
                        && event.stream == answered.stream => {}
                other => faults.push(format!("{answered:?} is {other:?}")),
            },
            Given::Conflict if !here.is_empty() => faults.push(format!("{answered:?} and is in the log")),
            // It speaks of this try alone: another one under the key may have done what it was to do.
            Given::Refused if !here.is_empty() && !tried_besides(answers, &answered.key) => {
                faults.push(format!("{answered:?} and is in the log"));
            }
            _ => {}
        }
    }
    // Of one client and one stream, sent to one node one after the other: in that order.
    for (first, second) in answers.iter().zip(answers.iter().skip(1)) {
        if let (Given::Appended { position: one, .. }, Given::Appended { position: two, .. }) =
            (&first.given, &second.given)
            && first.train.is_some()
            && first.train == second.train
            && one >= two
        {
            faults.push(format!("{first:?} was overtaken by {second:?}"));
        }
    }
    faults
}

fn tried_besides(answers: &[client::Answered], key: &str) -> bool {
    answers
        .iter()
        .any(|answered| answered.key == key && matches!(answered.given, Given::Unknown | Given::Appended { .. }))
}

fn simulated(seed: u64, planted: Planted) -> Result<(), String> {
    on_a_clock_of_its_own(async {
        let ended = tokio::time::timeout(ENDS_WITHIN, run(seed, planted)).await;
        ended.unwrap_or_else(|_| vec!["somebody waits for ever".to_owned()])
    })
}

#[test]
fn what_a_writer_answers_is_true_whatever_breaks() {
    for_each_seed(|seed| simulated(seed, Planted::Nothing));
}

#[test]
fn a_server_that_forgets_or_doubles_is_noticed() {
    for planted in [Planted::ForgetsCommits, Planted::IgnoresKeys, Planted::TakesAnyPlace] {
        assert!(first_fault(|seed| simulated(seed, planted)).is_some(), "{planted:?} was not noticed");
    }
}

/// As many as there are clients, so that something waits or is held back at any moment.
#[tokio::test(start_paused = true)]
async fn those_who_go_on_asking_do_not_put_the_end_off() {
    let store = Store::new(0, 0, Planted::Nothing);
    let nodes: Nodes = Arc::new(Mutex::new(vec![Node::start(&store, 2), Node::start(&store, 2)]));
    let asking = (0..CLIENTS).map(|number| {
        let mut client = Client::new(number, number, Arc::clone(&nodes), Arc::default());
        tokio::spawn(async move {
            loop {
                let sent = client.send(0);
                if client.answered(sent).await == Given::NotTaken {
                    return;
                }
            }
        })
    });
    let asking: Vec<_> = asking.collect();
    tokio::time::sleep(Duration::from_secs(1)).await;
    let first = lock(&nodes)[0].shutdown.clone();
    first.cancel();
    for ended in asking {
        let ended = tokio::time::timeout(Duration::from_secs(10), ended).await;
        assert!(matches!(ended, Ok(Ok(()))), "a client is never refused: {ended:?}");
    }
}
