//! The hub for those who watch: one per process, however many watch.
//!
//! It follows the checkpoints of all projections and reads what changed once for everybody. Watchers get the keys of the
//! rows that changed and ask for the rows themselves; when it can't be said what changed, they are told so and look at
//! everything. The hub does not know who watches, what they ask for, or what the rows contain.

#[cfg(test)]
mod simulation;
mod stored;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use domain::Position;
use sqlx::PgPool;
use tokio::sync::{broadcast, watch};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use crate::backoff::Backoff;
use crate::listen::{PROJECTIONS_CHANNEL, listen, next_sent, woken};
use crate::progress::{Moved, Positions, Progress};
use stored::Stored;

/// Change rows are kept for this many positions behind the checkpoint.
pub const CHANGES_KEPT_POSITIONS: i64 = 100_000;
/// Most keys that one [`Changed`] names; more are "anything".
pub const CHANGED_KEYS_MAX: usize = 2_000;
/// Changes that wait for a slow watcher before it is told that it lagged.
pub const CHANGED_WAITING_MAX: usize = 1_024;
/// Look by the clock after something has moved.
const POLL_MIN: Duration = Duration::from_millis(50);
/// Look by the clock when nothing has happened for a while.
const POLL_MAX: Duration = Duration::from_millis(250);

/// A read model moved on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changed {
    /// The read model.
    pub projection: &'static str,
    /// The checkpoint it moved to.
    pub upto: Position,
    /// What changed since the last time. Empty: it moved, and nothing changed. `None`: anything may have changed.
    pub keys: Option<HashSet<Uuid>>,
}

/// A read model did not get to a position in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the read model is at position {at} only")]
pub struct Behind {
    /// Where it is.
    pub at: Position,
}

/// A handle to the hub. Cheap to clone.
#[derive(Clone)]
pub struct Changes {
    inner: Arc<Inner>,
}

/// How much can be told.
#[derive(Debug, Clone, Copy)]
struct Bounds {
    /// Change rows are there for so many positions behind a checkpoint.
    kept_positions: i64,
    /// Most keys that are named.
    keys: usize,
}

const BOUNDS: Bounds = Bounds { kept_positions: CHANGES_KEPT_POSITIONS, keys: CHANGED_KEYS_MAX };

struct Inner {
    stored: Box<dyn Stored>,
    bounds: Bounds,
    names: Vec<&'static str>,
    positions: watch::Sender<Positions>,
    changed: broadcast::Sender<Arc<Changed>>,
}

impl Changes {
    /// Starts to follow the named projections on tasks of `tracker`, until `shutdown` fires. `local` is the progress of the
    /// projectors of this process, where there are any.
    ///
    /// # Errors
    /// The database does not answer, or is not migrated.
    pub async fn start(
        pool: PgPool,
        names: Vec<&'static str>,
        local: Option<&Progress>,
        tracker: &TaskTracker,
        shutdown: CancellationToken,
    ) -> Result<Self, sqlx::Error> {
        let inner = Arc::new(Inner::begin(Box::new(pool.clone()), BOUNDS, names).await?);
        let heard = watch::Sender::new(Positions::new());
        let hearing = Some(heard.subscribe());
        let hub = Arc::clone(&inner);
        tracker.spawn(listen(pool, PROJECTIONS_CHANNEL, shutdown.clone(), move |payload| {
            hub.hear(payload, &heard);
        }));
        tracker.spawn(Arc::clone(&inner).follow(hearing, local.map(Progress::moves), shutdown));
        Ok(Self { inner })
    }

    /// Follows every change from now on. A receiver that lags must treat what it missed as "anything may have changed".
    ///
    /// To join a view with its changes: subscribe first, then take a [`Snapshot`](crate::Snapshot), then skip what is not
    /// after the snapshot's position.
    #[must_use]
    pub fn subscribe(&self) -> broadcast::Receiver<Arc<Changed>> {
        self.inner.changed.subscribe()
    }

    /// Checkpoints as the hub knows them.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<Positions> {
        self.inner.positions.subscribe()
    }

    /// Checkpoint of one projection as the hub knows it.
    #[must_use]
    pub fn position(&self, projection: &str) -> Position {
        self.inner.positions.borrow().get(projection).copied().unwrap_or(0)
    }

    /// Waits until a projection has reached a position: to read what one has just written.
    ///
    /// # Errors
    /// It did not get there in time.
    pub async fn wait_for(&self, projection: &str, position: Position, timeout: Duration) -> Result<(), Behind> {
        let mut positions = self.inner.positions.subscribe();
        let reached = positions.wait_for(|all| all.get(projection).is_some_and(|at| *at >= position));
        // The sender lives as long as `self`, so only the time can end the wait without success.
        match tokio::time::timeout(timeout, reached).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(Behind { at: self.position(projection) }),
        }
    }

    /// What changed after a position: for a watcher that comes back with a cursor. The position it is complete up to, and
    /// the keys, among which may be some that changed before it in a transaction that went on after it; `None` when that can't be
    /// said any more.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn since(
        &self,
        projection: &str,
        after: Position,
    ) -> Result<(Position, Option<HashSet<Uuid>>), sqlx::Error> {
        self.inner.keys_since(projection, after).await
    }
}

impl Inner {
    async fn begin(stored: Box<dyn Stored>, bounds: Bounds, names: Vec<&'static str>) -> Result<Self, sqlx::Error> {
        let positions = watch::Sender::new(stored.positions(&names).await?);
        Ok(Self { stored, bounds, names, positions, changed: broadcast::Sender::new(CHANGED_WAITING_MAX) })
    }

    /// Takes a notification's payload, `name:position`; a position that is none asks for a look at everything.
    fn hear(&self, payload: &str, heard: &watch::Sender<Positions>) {
        let Some((name, position)) = payload.rsplit_once(':') else { return };
        let Some(name) = self.names.iter().find(|known| **known == name) else { return };
        if let Ok(position) = position.parse() {
            heard.send_modify(|positions| {
                positions.insert(name, position);
            });
        } else {
            self.send(Changed { projection: name, upto: self.at(name), keys: None });
        }
    }

    async fn follow(
        self: Arc<Self>,
        mut heard: Option<watch::Receiver<Positions>>,
        mut local: Option<broadcast::Receiver<Moved>>,
        shutdown: CancellationToken,
    ) {
        let mut poll = POLL_MIN;
        let mut look_at = Instant::now() + poll;
        let mut backoff = Backoff::new();
        loop {
            let looked = tokio::select! {
                biased;
                () = shutdown.cancelled() => return,
                // First, since it says what changed: what comes by the other ways has to be asked for.
                moved = next_sent(&mut local) => self.moved(moved).await,
                positions = next(&mut heard) => self.hints(positions).await,
                () = sleep_until(look_at) => {
                    let looked = self.look().await;
                    poll = if matches!(looked, Ok(true)) { POLL_MIN } else { (poll * 2).min(POLL_MAX) };
                    look_at = Instant::now() + poll;
                    looked
                }
            };
            if let Err(error) = looked {
                tracing::warn!(%error, "changes of read models can't be followed; trying again");
                if !backoff.pause(&shutdown).await {
                    return;
                }
            } else {
                backoff.reset();
            }
        }
    }

    /// Takes over what a projector of this process did. `None`: some of it was missed.
    async fn moved(&self, moved: Option<Moved>) -> Result<bool, sqlx::Error> {
        let Some(Moved { name, after, upto, keys }) = moved else { return self.look().await };
        let followed = self.names.contains(&name);
        if followed && after == Some(self.at(name)) && keys.len() <= self.bounds.keys {
            self.positions.send_modify(|all| {
                all.insert(name, upto);
            });
            self.send(Changed { projection: name, upto, keys: Some(Arc::unwrap_or_clone(keys)) });
            return Ok(true);
        }
        self.hints(if followed { Positions::from([(name, upto)]) } else { Positions::new() }).await
    }

    /// Takes over what somebody said. It may come late, so it only counts where it is ahead.
    async fn hints(&self, positions: Positions) -> Result<bool, sqlx::Error> {
        let ahead = positions.into_iter().filter(|(name, position)| *position > self.at(name)).collect();
        self.advance(ahead).await
    }

    /// Takes over what is stored, whatever anybody said.
    async fn look(&self) -> Result<bool, sqlx::Error> {
        let stored = self.stored.positions(&self.names).await?;
        self.advance(stored.into_iter().filter(|(name, position)| *position != self.at(name)).collect()).await
    }

    /// Follows projections to where they are. `false`: there was nothing to follow.
    async fn advance(&self, positions: Positions) -> Result<bool, sqlx::Error> {
        let moved = !positions.is_empty();
        for (name, position) in positions {
            let last = self.at(name);
            let (upto, keys) =
                if self.changed.receiver_count() == 0 { (position, None) } else { self.keys_since(name, last).await? };
            self.positions.send_modify(|all| {
                all.insert(name, upto);
            });
            // A checkpoint moves back only when the database was restored; then anything may have changed.
            self.send(Changed { projection: name, upto, keys });
        }
        Ok(moved)
    }

    /// The checkpoint and what changed after `last` up to it; `None` when that can't be said any more.
    async fn keys_since(
        &self,
        projection: &str,
        last: Position,
    ) -> Result<(Position, Option<HashSet<Uuid>>), sqlx::Error> {
        let Some((upto, keys)) = self.stored.changed(projection, last, self.bounds.keys + 1).await? else {
            return Ok((0, None));
        };
        let known = upto >= last && upto - last <= self.bounds.kept_positions && keys.len() <= self.bounds.keys;
        Ok((upto, known.then_some(keys)))
    }

    fn at(&self, name: &str) -> Position {
        self.positions.borrow().get(name).copied().unwrap_or(0)
    }

    fn send(&self, changed: Changed) {
        // Nobody may be watching.
        drop(self.changed.send(Arc::new(changed)));
    }
}

/// The next that somebody says about checkpoints.
async fn next(said: &mut Option<watch::Receiver<Positions>>) -> Positions {
    woken(said).await;
    said.as_mut().map(|positions| positions.borrow_and_update().clone()).unwrap_or_default()
}
