//! Subscriptions whose clients read at any pace or not at all, leave, come back with their cursor, and share their sources: for
//! every seed, each gets what is promised to it.
//!
//! `VOICE_SIMULATION_SEED=N cargo test -p api simulation` runs one seed again.

use std::collections::VecDeque;

use futures_util::FutureExt;

use super::*;
use seeds::{first_fault, for_each_seed};

#[path = "../../../../tests/simulation/seeds.rs"]
mod seeds;

const ROUNDS: u64 = 120;
const WATCHERS: u64 = 4;
/// So small that it is full at times.
const QUEUE_BYTES: usize = 12;

/// What is done wrong, so that the checks can be seen to notice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Planted {
    Nothing,
    /// What must not be skipped is skipped when a queue is full.
    SkipsWhenFull,
    /// Whoever was too slow comes back at the head and not at its cursor.
    ResumesAtHead,
}

struct Watcher {
    outbox: Arc<Outbox>,
    /// All, or the newest state only.
    every: bool,
    /// What is asked for is what comes after here.
    after: Position,
    got: Vec<Position>,
}

struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides.max(1)
    }
}

struct Hub {
    log: Log,
    /// Equals ride along with equals.
    fanouts: [Fanout; 2],
    planted: Planted,
}

impl Hub {
    fn head(&self) -> Position {
        *self.log.head.borrow()
    }

    /// Subscribes to everything after a place.
    fn open(&self, every: bool, after: Position) -> Arc<Outbox> {
        let outbox = Outbox::new(QUEUE_BYTES);
        let shows = if every && self.planted != Planted::SkipsWhenFull { Shows::Every } else { Shows::Whole };
        if let Ok(lane) = begin(&outbox, "a") {
            let fanout = self.fanouts[usize::from(every)].clone();
            let log = self.log.clone();
            lane.spawn(fill(after, move || log.showing(after, 1, shows), lane.clone(), fanout));
        }
        outbox
    }

    fn watcher(&self, every: bool, after: Position) -> Watcher {
        Watcher { outbox: self.open(every, after), every, after, got: Vec::new() }
    }

    /// Comes back with its cursor.
    fn resume(&self, watcher: &mut Watcher, too_slow: bool) {
        watcher.outbox.close();
        let cursor = watcher.got.last().copied().unwrap_or(watcher.after);
        let skips = too_slow && self.planted == Planted::ResumesAtHead;
        watcher.outbox = self.open(watcher.every, if skips { self.head() } else { cursor });
    }

    /// Reads what waits, up to some bytes.
    fn read(&self, watcher: &mut Watcher, bytes: usize) -> Result<(), String> {
        let taken = watcher.outbox.take(bytes).now_or_never().unwrap_or_default();
        let mut waited = 0;
        for out in taken {
            match out {
                Out::Next(_, frame) => {
                    waited += frame.body.len();
                    let position = frame.shown.position.unwrap_or(-1);
                    if watcher.got.last().is_some_and(|last| *last >= position) {
                        return Err(format!("{position} follows {:?}", watcher.got));
                    }
                    watcher.got.push(position);
                }
                Out::Last(_, Ending::TooSlow) => {
                    self.resume(watcher, true);
                    break;
                }
                other => return Err(format!("{other:?}")),
            }
        }
        if waited > QUEUE_BYTES { Err(format!("{waited} bytes waited")) } else { Ok(()) }
    }
}

async fn turns(count: u64) {
    for _ in 0..count {
        tokio::task::yield_now().await;
    }
}

async fn run(seed: u64, planted: Planted) -> Result<(), String> {
    let mut dice = Dice(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
    let hub = Hub { log: Log { head: watch::channel(0).0 }, fanouts: Default::default(), planted };
    let mut watchers: VecDeque<Watcher> = (0..WATCHERS).map(|at| hub.watcher(at % 2 == 0, 0)).collect();
    for _ in 0..ROUNDS {
        let at = usize::try_from(dice.roll(WATCHERS)).unwrap_or(0);
        match dice.roll(8) {
            0 | 1 => {
                let more = Position::try_from(dice.roll(6)).unwrap_or(0);
                hub.log.head.send_modify(|head| *head += more);
            }
            2 => hub.resume(&mut watchers[at], false),
            3 | 4 => hub.read(&mut watchers[at], usize::try_from(dice.roll(30)).unwrap_or(1) + 1)?,
            5 if dice.roll(4) == 0 => tokio::time::advance(Duration::from_millis(dice.roll(2_000))).await,
            _ => turns(dice.roll(8)).await,
        }
    }
    hub.log.head.send_modify(|head| *head += 1);
    let head = hub.head();
    for mut watcher in watchers {
        let mut patience = TURNS_MAX;
        while watcher.got.last() != Some(&head) {
            hub.read(&mut watcher, ROOMY)?;
            turns(1).await;
            patience -= 1;
            if patience == 0 {
                return Err(format!("nothing follows {:?}, the head is {head}", watcher.got));
            }
        }
        let wanted: Vec<Position> = (watcher.after + 1..=head).collect();
        if watcher.every && watcher.got != wanted {
            return Err(format!("{:?} is not everything up to {head}", watcher.got));
        }
        watcher.outbox.close();
    }
    // Nobody is left, and nothing that runs for nobody.
    for _ in 0..TURNS_MAX {
        if hub.log.head.receiver_count() == 0 {
            return Ok(());
        }
        tokio::task::yield_now().await;
    }
    Err("a source is left behind".to_owned())
}

fn simulated(seed: u64, planted: Planted) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .map_err(|error| error.to_string())?;
    runtime.block_on(run(seed, planted))
}

#[test]
fn everybody_gets_everything_in_order_or_comes_back_for_it() {
    for_each_seed(|seed| simulated(seed, Planted::Nothing));
}

#[test]
fn a_hub_that_skips_is_noticed() {
    for planted in [Planted::SkipsWhenFull, Planted::ResumesAtHead] {
        assert!(first_fault(|seed| simulated(seed, planted)).is_some(), "{planted:?} was not noticed");
    }
}
