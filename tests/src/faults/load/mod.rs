//! Those who give commands: clients over GraphQL, each with a journal, who send a command again under its id until they know.

mod client;
mod orders;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use domain::Position;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::cluster::CATCH_UP_WITHIN;
use crate::history::{Entry, Journal, Journals};
use client::Insistent;
use orders::{Orders, Shared};

/// How many give commands at once.
const WRITERS: usize = 4;
/// How long each of many commands may take in the end, on a machine that is busy with other things.
const COMMAND_WITHIN: Duration = Duration::from_millis(250);
/// Commands after which a writer goes to the next node, on average.
const DOOR_CHANGED_EVERY: u32 = 8;
/// What a writer pauses at most between two commands, so that two cores are left for those who follow.
const PAUSE_MAX_MS: u64 = 60;

/// The writers of a run.
pub struct Load {
    shared: Arc<Shared>,
    counts: Arc<Counts>,
    /// Whether commands are wanted.
    wanted: watch::Sender<bool>,
    stop: CancellationToken,
    tasks: JoinSet<()>,
    /// For what scenarios ask for themselves.
    client: Insistent,
    journal: Journal,
}

#[derive(Default)]
struct Counts {
    /// Moves with each command that was answered.
    done: watch::Sender<u64>,
    /// Writers with a command under way.
    busy: watch::Sender<usize>,
    /// Tries that were not answered, or not in earnest.
    unanswered: AtomicU64,
    /// Commands that an earlier try had done.
    repeated: AtomicU64,
    /// Full speed, without pauses.
    hurry: watch::Sender<bool>,
}

impl Load {
    /// Begins to give commands to whichever of these doors opens.
    pub(super) async fn start(doors: &[SocketAddr], token: &str, journals: &Journals, seed: u64) -> Self {
        let mut luck = StdRng::seed_from_u64(seed);
        let shared = Arc::new(Shared::new());
        let counts = Arc::new(Counts::default());
        let (wanted, stop) = (watch::Sender::new(true), CancellationToken::new());
        let setup = journals.of("writer-0");
        let client = Insistent::new(doors, token, 0, Arc::clone(&counts));
        for order in shared.preparation() {
            give(&client, &setup, &order, &shared).await;
        }
        let mut tasks = JoinSet::new();
        for number in 1..=WRITERS {
            let writer = Writer {
                client: Insistent::new(doors, token, number, Arc::clone(&counts)),
                journal: journals.of(&format!("writer-{number}")),
                orders: Orders::new(Arc::clone(&shared)),
                shared: Arc::clone(&shared),
                counts: Arc::clone(&counts),
                wanted: wanted.subscribe(),
                luck: StdRng::seed_from_u64(luck.random()),
            };
            let stop = stop.clone();
            tasks.spawn(async move { stop.run_until_cancelled(writer.run()).await.unwrap_or_default() });
        }
        Self { shared, counts, wanted, stop, tasks, client, journal: setup }
    }

    /// The call about which all writers contend now.
    #[must_use]
    pub fn shared_call(&self) -> Uuid {
        self.shared.current_call()
    }

    /// Commands answered so far.
    #[must_use]
    pub fn done(&self) -> u64 {
        *self.counts.done.borrow()
    }

    /// Tries that came to nothing, and commands that turned out to have been done by an earlier try.
    #[must_use]
    pub fn unanswered_and_repeated(&self) -> (u64, u64) {
        (self.counts.unanswered.load(Ordering::Relaxed), self.counts.repeated.load(Ordering::Relaxed))
    }

    /// Waits until so many more commands were answered.
    ///
    /// # Panics
    /// They are not, in time.
    pub async fn more(&self, commands: u64) {
        let mut done = self.counts.done.subscribe();
        let target = *done.borrow() + commands;
        let within = CATCH_UP_WITHIN + COMMAND_WITHIN * u32::try_from(commands).unwrap_or(u32::MAX);
        let reached = tokio::time::timeout(within, done.wait_for(|done| *done >= target)).await;
        drop(reached.expect("commands are not answered").expect("the writers live"));
    }

    /// Begins a call of this id, beside what the writers do, and has something said in it.
    pub async fn call(&self, call: Uuid) {
        for order in orders::conversation(call) {
            give(&self.client, &self.journal, &order, &self.shared).await;
        }
    }

    /// Has something said in a call, in a text that is so much longer: where that is in the log.
    ///
    /// # Panics
    /// It is refused.
    pub async fn say(&self, call: Uuid, padding_bytes: usize) -> Position {
        let order = orders::remark(call, padding_bytes);
        give(&self.client, &self.journal, &order, &self.shared).await.expect("something that may be said")
    }

    /// Without pauses from now on, or with.
    pub fn hurry(&self, hurry: bool) {
        self.counts.hurry.send_replace(hurry);
    }

    /// No new commands; waits until the last one is answered. `false`: not in time.
    pub async fn pause(&self) -> bool {
        self.wanted.send_replace(false);
        let mut busy = self.counts.busy.subscribe();
        let idle = busy.wait_for(|busy| *busy == 0);
        tokio::time::timeout(CATCH_UP_WITHIN, idle).await.is_ok()
    }

    /// New commands again.
    pub fn go_on(&self) {
        self.wanted.send_replace(true);
    }

    /// Ends the writers.
    pub(super) async fn stop(&mut self) {
        self.stop.cancel();
        while self.tasks.join_next().await.is_some() {}
    }
}

struct Writer {
    client: Insistent,
    journal: Journal,
    orders: Orders,
    shared: Arc<Shared>,
    counts: Arc<Counts>,
    wanted: watch::Receiver<bool>,
    luck: StdRng,
}

impl Writer {
    async fn run(mut self) {
        let hurry = self.counts.hurry.subscribe();
        loop {
            // Busy first, so that nobody sees an idle writer that has just made up its mind.
            self.counts.busy.send_modify(|busy| *busy += 1);
            if *self.wanted.borrow_and_update() {
                // Not always at the door that answered last, or one node would get all of it in the end.
                if self.luck.random_range(0..DOOR_CHANGED_EVERY) == 0 {
                    self.client.next_door();
                }
                let order = self.orders.next(&mut self.luck);
                give(&self.client, &self.journal, &order, &self.shared).await;
                self.counts.done.send_modify(|done| *done += 1);
            }
            self.counts.busy.send_modify(|busy| *busy -= 1);
            if self.wanted.wait_for(|wanted| *wanted).await.is_err() {
                return;
            }
            let pause = self.luck.random_range(0..=PAUSE_MAX_MS);
            if !*hurry.borrow() {
                tokio::time::sleep(Duration::from_millis(pause)).await;
            }
        }
    }
}

/// Notes a command, gives it until it is answered, and notes each answer. The position of what it has appended.
async fn give(client: &Insistent, journal: &Journal, order: &orders::Order, shared: &Shared) -> Option<Position> {
    journal.note(Entry::Intent {
        command: order.command,
        stream: order.stream,
        category: order.category.to_owned(),
        expected: order.expected,
        content: order.content.clone(),
    });
    client.insist(order, journal, shared).await
}
