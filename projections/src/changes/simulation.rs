//! The hub on a simulated clock: read models are moved by a projector of its own process and by others, notifications are
//! late or lost, the database fails, change rows are removed, and the database is restored from an older moment. Whoever
//! watches and reads what it is told has changed must see everything up to where it is told the read model is.
//!
//! `VOICE_SIMULATION_SEED=N cargo test -p projections changes::simulation` runs one seed again.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use domain::Position;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::watch;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::stored::Stored;
use super::{Bounds, Changed, Inner};
use crate::progress::{Moved, Positions, Progress};
use crate::simulation::{Luck, broken, first_fault, for_each_seed, lock, on_a_clock_of_its_own};

const NAMES: [&str; 2] = ["one", "other"];
const KEYS: u128 = 8;
/// Small, so that they are reached.
const BOUNDS: Bounds = Bounds { kept_positions: 12, keys: 4 };
const COMMITS: usize = 40;
const WATCHERS: usize = 4;
/// Longest time for one way of a message.
const WAY_MAX_MS: u64 = 40;
/// In simulated time, when nothing breaks any more: a look by the clock, after the longest pause, and the slowest who watch.
const SEEN_WITHIN: Duration = Duration::from_secs(12);

/// What goes wrong that must not, so that the checks can be seen to notice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Planted {
    Nothing,
    /// A commit of this process does not name all of its keys.
    CommitHidesKey,
    /// A change is not among those stored.
    RowIsMissing,
    /// A commit says that nobody else has had a hand in the read model when somebody has.
    CommitHidesOthers,
    /// Whoever watches does not look at everything when anything may have changed.
    WatcherTrusts,
}

/// A stored read model.
#[derive(Default)]
struct Model {
    position: Position,
    changes: Vec<(Position, Uuid)>,
    /// Where each row was changed last.
    rows: BTreeMap<Uuid, Position>,
    /// What was before, for a restore.
    before: Option<(Position, BTreeMap<Uuid, Position>)>,
}

/// The server. Cheap to clone.
#[derive(Clone)]
struct Database {
    models: Arc<Mutex<BTreeMap<&'static str, Model>>>,
    luck: Luck,
    planted: Planted,
}

impl Database {
    fn models(&self) -> MutexGuard<'_, BTreeMap<&'static str, Model>> {
        lock(&self.models)
    }

    fn of<T>(&self, name: &'static str, read: impl FnOnce(&mut Model) -> T) -> T {
        read(self.models().entry(name).or_default())
    }

    async fn way(&self) -> Result<(), sqlx::Error> {
        sleep(self.luck.within(WAY_MAX_MS)).await;
        if self.luck.harmed() { Err(broken()) } else { Ok(()) }
    }

    /// Rows, changes and checkpoint at once; where it was before.
    fn commit(&self, name: &'static str, steps: Position, keys: &HashSet<Uuid>) -> (Position, Position) {
        let misses = self.planted == Planted::RowIsMissing && self.luck.chance(10);
        self.of(name, |model| {
            if self.luck.chance(5) {
                model.before = Some((model.position, model.rows.clone()));
            }
            let after = model.position;
            model.position += steps;
            for key in keys {
                model.rows.insert(*key, model.position);
                if !misses {
                    model.changes.push((model.position, *key));
                }
            }
            let kept = model.position - BOUNDS.kept_positions;
            model.changes.retain(|(position, _)| *position > kept);
            (after, model.position)
        })
    }

    /// Puts back what was before. `false`: nothing is kept.
    fn restore(&self, name: &'static str) -> bool {
        self.of(name, |model| {
            let Some((position, rows)) = model.before.take().filter(|(position, _)| *position < model.position) else {
                return false;
            };
            (model.position, model.rows) = (position, rows);
            model.changes.retain(|(at, _)| *at <= position);
            true
        })
    }
}

#[async_trait]
impl Stored for Database {
    async fn positions(&self, names: &[&'static str]) -> Result<Positions, sqlx::Error> {
        self.way().await?;
        let positions = names.iter().map(|name| (*name, self.of(name, |model| model.position))).collect();
        self.way().await?;
        Ok(positions)
    }

    async fn changed(
        &self,
        projection: &str,
        last: Position,
        limit: usize,
    ) -> Result<Option<(Position, HashSet<Uuid>)>, sqlx::Error> {
        self.way().await?;
        let found = self.models().get(projection).map(|model| {
            let keys: HashSet<Uuid> =
                model.changes.iter().filter(|(position, _)| *position > last).map(|(_, key)| *key).collect();
            (model.position, keys.into_iter().take(limit).collect())
        });
        self.way().await?;
        Ok(found)
    }
}

/// Moves the read models, from this process and from others, and says so or not.
async fn commits(database: Database, progress: Progress, hub: Arc<Inner>, heard: watch::Sender<Positions>, seed: u64) {
    let mut luck = StdRng::seed_from_u64(seed);
    // Where the projectors of this process left the read models, with nobody else since.
    let mut own: BTreeMap<&'static str, Position> = BTreeMap::new();
    let restored_after = luck.random_ratio(1, 4).then(|| luck.random_range(0..COMMITS));
    for committed in 0..COMMITS {
        sleep(Duration::from_millis(luck.random_range(0..120))).await;
        let name = NAMES[luck.random_range(0..NAMES.len())];
        let many = if luck.random_range(0..10) == 0 { 7 } else { 3 };
        let keys = (0..luck.random_range(0..many)).map(|_| Uuid::from_u128(luck.random_range(0..KEYS)));
        let keys: HashSet<Uuid> = keys.collect();
        let steps = if luck.random_range(0..12) == 0 { BOUNDS.kept_positions + 3 } else { luck.random_range(1..4) };
        if restored_after == Some(committed) {
            // Before and after a restore everything rests, as with a real one: whoever follows has seen what there was, and
            // sees that it is gone before there is anything else.
            database.luck.heal();
            sleep(SEEN_WITHIN).await;
            if database.restore(name) {
                own.remove(name);
                sleep(SEEN_WITHIN).await;
            }
        }
        let (after, upto) = database.commit(name, steps, &keys);
        if luck.random() {
            let untouched = own.insert(name, upto) == Some(after);
            let hides = database.planted == Planted::CommitHidesOthers;
            let mut named = keys;
            if database.planted == Planted::CommitHidesKey
                && let Some(key) = named.iter().next().copied()
            {
                named.remove(&key);
            }
            let after = if untouched { Some(after) } else { hides.then(|| hub.at(name)) };
            progress.committed(Moved { name, after, upto, keys: Arc::new(named) });
        } else if luck.random_range(0..3) > 0 {
            let (hub, heard) = (Arc::clone(&hub), heard.clone());
            let late = Duration::from_millis(luck.random_range(0..400));
            tokio::spawn(async move {
                sleep(late).await;
                hub.hear(&format!("{name}:{upto}"), &heard);
            });
        }
    }
}

/// Somebody who shows a read model as the API does: subscribes, reads it, and reads again what it is told has changed.
struct Watcher {
    database: Database,
    changes: Receiver<Arc<Changed>>,
    name: &'static str,
    rows: BTreeMap<Uuid, Position>,
    faults: Vec<String>,
}

impl Watcher {
    fn begin(database: &Database, hub: &Inner, name: &'static str) -> Self {
        let changes = hub.changed.subscribe();
        let rows = database.of(name, |model| model.rows.clone());
        Self { database: database.clone(), changes, name, rows, faults: Vec::new() }
    }

    /// Watches for good. Ends with the hub.
    async fn run(mut self, pace_ms: u64) -> Self {
        loop {
            let (upto, keys) = match self.changes.recv().await {
                Ok(changed) if changed.projection != self.name => continue,
                Ok(changed) => (changed.upto, changed.keys.clone()),
                Err(RecvError::Lagged(_)) => (0, None),
                Err(RecvError::Closed) => return self,
            };
            sleep(Duration::from_millis(pace_ms)).await;
            self.read(upto, keys);
        }
    }

    fn read(&mut self, upto: Position, keys: Option<HashSet<Uuid>>) {
        let trusts = self.database.planted == Planted::WatcherTrusts;
        let (name, rows, faults) = (self.name, &mut self.rows, &mut self.faults);
        self.database.of(name, |model| {
            match keys {
                Some(keys) => {
                    for key in keys {
                        rows.extend(model.rows.get(&key).map(|at| (key, *at)));
                    }
                }
                None if trusts => {}
                None => rows.clone_from(&model.rows),
            }
            let missed = model.rows.iter().find(|(key, at)| **at <= upto && rows.get(*key) != Some(at));
            faults.extend(missed.map(|(key, at)| format!("{name} is at {upto}, and {key} of {at} was not shown")));
        });
    }
}

async fn run(seed: u64, planted: Planted) -> Vec<String> {
    let mut luck = StdRng::seed_from_u64(seed);
    let harm = luck.random_range(0..15);
    let database = Database { models: Arc::default(), luck: Luck::new(luck.random(), 0), planted };
    for name in NAMES {
        database.of(name, |_| ());
    }
    let hub = Inner::begin(Box::new(database.clone()), BOUNDS, NAMES.to_vec()).await;
    let Ok(hub) = hub.map(Arc::new) else { return vec!["a server that is well does not answer".to_owned()] };
    database.luck.harm(harm);
    let (progress, heard, shutdown) = (Progress::new(), watch::Sender::new(Positions::new()), CancellationToken::new());
    let following = Arc::clone(&hub).follow(Some(heard.subscribe()), Some(progress.moves()), shutdown.clone());
    let following = tokio::spawn(following);
    let committing = commits(database.clone(), progress.clone(), Arc::clone(&hub), heard.clone(), luck.random());
    let committing = tokio::spawn(committing);
    let mut watchers = Vec::new();
    for _ in 0..WATCHERS {
        let name = NAMES[luck.random_range(0..NAMES.len())];
        let watcher = Watcher::begin(&database, &hub, name);
        watchers.push(tokio::spawn(watcher.run(luck.random_range(0..150))));
        sleep(Duration::from_millis(luck.random_range(0..2_000))).await;
    }
    drop(committing.await);
    database.luck.heal();
    // By itself, and whoever watches has time to read.
    sleep(SEEN_WITHIN).await;
    let mut faults = Vec::new();
    for name in NAMES {
        let (stored, at) = (database.of(name, |model| model.position), hub.at(name));
        if stored != at {
            faults.push(format!("{name} is at {stored}, and said to be at {at}"));
        }
    }
    shutdown.cancel();
    drop(following.await);
    drop(hub);
    for watcher in watchers {
        let Ok(watcher) = watcher.await else { return vec!["a watcher has ended badly".to_owned()] };
        let name = watcher.name;
        let shown = database.of(name, |model| model.rows == watcher.rows);
        faults.extend(watcher.faults);
        if !shown {
            faults.push(format!("{name} is not shown as it is in the end"));
        }
    }
    faults
}

fn simulated(seed: u64, planted: Planted) -> Result<(), String> {
    on_a_clock_of_its_own(run(seed, planted))
}

#[test]
fn who_watches_sees_everything_up_to_where_it_is_told_the_read_model_is() {
    for_each_seed(|seed| simulated(seed, Planted::Nothing));
}

#[test]
fn changes_that_are_not_told_are_noticed() {
    for planted in [Planted::CommitHidesKey, Planted::RowIsMissing, Planted::CommitHidesOthers, Planted::WatcherTrusts]
    {
        assert!(first_fault(|seed| simulated(seed, planted)).is_some(), "{planted:?} was not noticed");
    }
}
