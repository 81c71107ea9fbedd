//! Thousands who watch one call, each on a socket of its own, straight at the nodes: a subscriber here costs a task and a few
//! KiB, and keeps no journal. They all ask for the same, so what each received is held against what the first of them
//! received (see `tally`); that sequence is their common journal, and whoever received anything else is named in it.

mod member;
mod paced;
mod tally;

use std::sync::Arc;
use std::time::Duration;

use domain::Position;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use uuid::Uuid;

use super::edge::Target;
use crate::history::{Entry, Journal, Watched};
use member::Member;
use tally::Tally;

/// Files and sockets of the runner beside those of a crowd.
const OTHER_FILES: u64 = 1_000;
/// Whoever was cut off, all of them at once, is back and has what it missed within this time, on a machine that is busy
/// with other things.
const BACK_WITHIN: Duration = Duration::from_secs(300);
/// Members that connect for the first time, at a time. Later they come as they must.
const OPENING: usize = 256;

/// Where members begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Begin {
    /// All at this node.
    At(usize),
    /// At all nodes in turn.
    Everywhere,
}

/// A cut of some members' sockets.
#[derive(Debug, Clone, Copy, Default)]
struct Cut {
    round: u64,
    percent: u64,
    seed: u64,
}

impl Cut {
    /// Whether it is this member's turn.
    fn hits(self, member: usize) -> bool {
        let mixed = (self.seed ^ member as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        (mixed >> 32) % 100 < self.percent
    }
}

/// What everybody in a crowd shares.
struct Common {
    doors: Vec<Target>,
    token: String,
    call: Uuid,
    tally: Tally,
    /// Whose turn it is to connect for the first time.
    opening: Arc<Semaphore>,
    cut: watch::Sender<Cut>,
    /// How many of the members, from the first on, read slowly.
    slow: watch::Sender<usize>,
}

/// Subscribers of one call. Dropping it closes their sockets.
pub(crate) struct Crowd {
    name: String,
    watched: Watched,
    journal: Journal,
    common: Arc<Common>,
    tasks: JoinSet<()>,
}

impl Crowd {
    /// So many subscribers of a call, who receive it from its first event on.
    ///
    /// # Panics
    /// The system does not allow that many sockets.
    pub(super) fn gather(
        (name, journal): (String, Journal),
        (doors, token): (Vec<Target>, &str),
        call: Uuid,
        count: usize,
        begin: Begin,
    ) -> Self {
        allow_files(count as u64 + OTHER_FILES);
        let watched = Watched { category: None, stream: Some(call), after: 0 };
        journal.note(Entry::Watches(watched.clone()));
        let tally = Tally::new(count, journal.clone());
        let (cut, slow) = (watch::Sender::new(Cut::default()), watch::Sender::new(0));
        let opening = Arc::new(Semaphore::new(OPENING));
        let common = Arc::new(Common { doors, token: token.to_owned(), call, tally, opening, cut, slow });
        let mut tasks = JoinSet::new();
        for number in 0..count {
            let door = if let Begin::At(door) = begin { door } else { number };
            tasks.spawn(Member::new(number, door, Arc::clone(&common)).run());
        }
        Self { name, watched, journal, common, tasks }
    }

    /// The call that it watches.
    pub(super) fn call(&self) -> Uuid {
        self.common.call
    }

    /// What it watches.
    pub(super) fn watched(&self) -> &Watched {
        &self.watched
    }

    /// Who they are.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// How many they are.
    pub(super) fn count(&self) -> usize {
        self.tasks.len()
    }

    /// The last position that everybody has received.
    pub(super) fn all_at(&self) -> Position {
        *self.common.tally.all_at().borrow()
    }

    /// Waits until everybody has received this position.
    ///
    /// # Panics
    /// Somebody has not, in time.
    pub(super) async fn reached(&self, position: Position) {
        let mut all_at = self.common.tally.all_at();
        let reached = tokio::time::timeout(BACK_WITHIN, all_at.wait_for(|at| *at >= position)).await.is_ok();
        assert!(reached, "{} does not get to {position}: {}", self.name, self.common.tally);
    }

    /// Waits until everybody but the first so many has received this position.
    ///
    /// # Panics
    /// Somebody has not, in time.
    pub(super) async fn reached_by_all_but(&self, first: usize, position: Position) {
        let reached = self.common.tally.reached_from(first, position);
        let reached = tokio::time::timeout(BACK_WITHIN, reached).await.is_ok();
        assert!(reached, "{} does not get to {position}: {}", self.name, self.common.tally);
    }

    /// Cuts the sockets of some by chance, in the middle of whatever comes. They come back at once, with their cursor.
    pub(super) fn cut(&self, percent: u64, seed: u64) {
        self.common.cut.send_modify(|cut| *cut = Cut { round: cut.round + 1, percent, seed });
    }

    /// From now on so many, from the first on, read one byte a second.
    pub(super) fn slow_down(&self, count: usize) {
        self.common.slow.send_replace(count);
    }

    /// How the connections of each member ended, other than by itself.
    pub(super) fn ends(&self) -> Vec<Ends> {
        self.common.tally.ends()
    }

    /// Events received by all of them, and connections they needed.
    pub(super) fn received_and_connections(&self) -> (u64, u64) {
        self.common.tally.received_and_connections()
    }

    /// Everybody leaves, when the log was at `head`; who has not received what the others had is noted.
    pub(super) fn leave(mut self, head: Position) {
        self.tasks.abort_all();
        self.common.tally.missing(head).for_each(|entry| self.journal.note(entry));
        self.journal.note(Entry::Left { head });
    }
}

/// How often a member's connection ended, and how.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Ends {
    /// With the error that says: too slow, go on after your cursor.
    pub(super) too_slow: u64,
    /// In any other way, mostly without a word.
    pub(super) cut_off: u64,
}

/// Raises the soft limit of open files to the hard one.
fn allow_files(needed: u64) {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).expect("the limit of open files");
    assert!(hard >= needed, "{needed} open files are needed, and the system allows {hard} (ulimit -Hn)");
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard).expect("a limit up to the hard one");
}
