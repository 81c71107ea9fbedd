//! The projector: keeps one read model up to date.
//!
//! Read what is after the checkpoint, fold it, commit rows and checkpoint together; and again. The checkpoint moves by
//! compare-and-set at the beginning of the transaction, so of two projectors of one model only one gets any further, and
//! the other one notices before it has touched a row. It then stands by and takes over when the checkpoint rests while the
//! log goes on. No lease is needed for that: there is nothing that two could do at the same time.
//!
//! The projector does not know what a read model contains, nor where the tail gets its events from.

mod setup;
#[cfg(test)]
mod simulation;
mod store;
mod surroundings;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use domain::Position;
use sqlx::PgPool;
use tokio::sync::{Semaphore, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::backoff::{Backoff, spread};
use crate::feed::{Followed, READ_EVENTS_MAX, Tail};
use crate::fold::{Batch, Failure, PARKED_KEYS_MAX, chain};
use crate::held::HELD_FOR;
use crate::log::LogError;
use crate::progress::{Moved, Progress};
use crate::read_model::ReadModel;
use crate::rebuild::RebuildError;
pub(crate) use store::write_changes;
use surroundings::{Events, Place, Stored, View};

/// Most events in one transaction. As many as the tail hands out at once, so that one that is behind has fewer of them.
pub const BATCH_EVENTS_MAX: usize = READ_EVENTS_MAX;
/// What nobody waits for is put off for so long: what comes meanwhile goes with it, and a transaction with rows that somebody waits
/// for goes first.
pub const UNHURRIED_REST: Duration = Duration::from_millis(20);
/// Views of one process that are made anew at the same time. Each holds some ten thousand events in memory, and two keep two cores busy.
pub(crate) const REBUILDS_AT_ONCE_MAX: usize = 2;
/// How often one that stands by looks at the checkpoint. It takes over after two looks at a resting one.
pub const STANDBY_LOOK: Duration = Duration::from_millis(500);

/// Old change rows are removed each time the checkpoint has moved by this many positions.
const PRUNE_EVERY_POSITIONS: i64 = 1_000;

/// What became of a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Committed {
    /// The checkpoint moved, and everything with it.
    Yes,
    /// The checkpoint was not where it was expected; nothing was done.
    Overtaken,
    /// One of several events can't be folded; nothing was done, and fewer are taken the next time.
    No,
}

/// Why a projector can't go on for now, or at all.
#[derive(Debug, thiserror::Error)]
enum Stop {
    #[error("the log could not be read")]
    Log(#[from] LogError),
    #[error("the read model could not be written")]
    Database(#[from] sqlx::Error),
    #[error("the read model could not be made anew")]
    Rebuild(#[from] RebuildError),
    #[error("the stored view has version {stored}, this program has {own}: it is left to the newer program")]
    Newer { stored: i32, own: i32 },
    #[error("the view is being made by another process")]
    Busy,
    #[error("the view was changed from outside")]
    Changed,
    #[error("the checkpoint {position} is beyond the log's head {head}: the database was restored from two moments")]
    AheadOfLog { position: Position, head: Position },
    #[error("more than {PARKED_KEYS_MAX} keys are parked: the fault is hardly in the events")]
    TooManyParked,
}

/// One read model and its place in the log.
pub(crate) struct Projector {
    view: Box<dyn View>,
    events: Box<dyn Events>,
    progress: Progress,
    position: Position,
    generation: i64,
    parked_keys: HashSet<Uuid>,
    /// Most events in the next transaction: halved to corner a poisonous event, doubled after each success.
    limit: usize,
    /// Checkpoint at which old change rows were last removed.
    pruned_at: Position,
    /// The checkpoint was read and not yet moved: others may have changed rows meanwhile.
    loaded: bool,
}

impl Projector {
    /// `rebuilds`: places for views that are made anew from a long log.
    pub(crate) fn new(
        pool: PgPool,
        tail: Tail,
        model: Arc<dyn ReadModel>,
        progress: Progress,
        rebuilds: Arc<Semaphore>,
    ) -> Self {
        Self::between(Box::new(tail), Box::new(Stored::new(pool, model, rebuilds)), progress)
    }

    /// Keeps a view up to date with events.
    fn between(events: Box<dyn Events>, view: Box<dyn View>, progress: Progress) -> Self {
        Self {
            view,
            events,
            progress,
            position: 0,
            generation: 0,
            parked_keys: HashSet::new(),
            limit: BATCH_EVENTS_MAX,
            pruned_at: 0,
            loaded: true,
        }
    }

    /// Projects until shutdown, and finishes the batch at hand then. Every failure but one is outlived.
    pub(crate) async fn run(mut self, shutdown: CancellationToken) {
        let projection = self.view.name();
        let mut backoff = Backoff::new();
        let mut said = String::new();
        while !shutdown.is_cancelled() {
            let Err(stop) = self.term(&shutdown, &mut backoff).await else { return };
            let (position, error) = (self.position, chain(&stop));
            match stop {
                Stop::TooManyParked => {
                    tracing::error!(projection, position, error, "projector has ended");
                    return;
                }
                Stop::Changed | Stop::Busy => tracing::info!(projection, reason = error, "projector begins anew"),
                // Said once: what lasts for hours is no news every few seconds.
                _ if error == said => tracing::debug!(projection, position, error, "projector tries again"),
                _ => tracing::warn!(projection, position, error, "projector tries again"),
            }
            said = error;
            backoff.pause(&shutdown).await;
        }
    }

    /// From preparing the tables to the first failure or to shutdown.
    async fn term(&mut self, shutdown: &CancellationToken, backoff: &mut Backoff) -> Result<(), Stop> {
        // Making a view anew takes long and leaves nothing behind that matters, so it need not be finished.
        let prepared = shutdown.run_until_cancelled(self.view.prepare()).await;
        let Some(prepared) = prepared else { return Ok(()) };
        prepared?;
        self.load().await?;
        let mut head = self.events.watch();
        while !shutdown.is_cancelled() {
            let mut events = self.events.read(self.position, self.limit).await?;
            if events.is_empty() {
                self.wait(&mut head, shutdown).await;
                continue;
            }
            self.gather(&mut events, &mut head, shutdown).await?;
            match self.fold(&events).await? {
                Committed::Yes => backoff.reset(),
                Committed::No => {}
                Committed::Overtaken => self.stand_by(shutdown).await?,
            }
        }
        Ok(())
    }

    /// Waits until there is something to do, or for shutdown.
    async fn wait(&self, head: &mut watch::Receiver<Position>, shutdown: &CancellationToken) {
        let position = self.position;
        // The tail outlives its projectors, so the wait ends with an event or with shutdown.
        let ahead = shutdown.run_until_cancelled(head.wait_for(|head| *head > position));
        if tokio::time::timeout(HELD_FOR, ahead).await.is_err() {
            self.view.rest().await;
            drop(shutdown.run_until_cancelled(head.wait_for(|head| *head > position)).await);
        }
    }

    /// Lets events that nobody waits for wait for others, until one comes that somebody waits for.
    async fn gather(
        &self,
        events: &mut Vec<Arc<Followed>>,
        head: &mut watch::Receiver<Position>,
        shutdown: &CancellationToken,
    ) -> Result<(), Stop> {
        let until = Instant::now() + UNHURRIED_REST;
        let mut looked_at = 0;
        while events.len() < self.limit && !self.view.urgent(&events[looked_at..]) {
            looked_at = events.len();
            let last = events.last().map_or(self.position, |event| event.recorded.position);
            let ahead = shutdown.run_until_cancelled(head.wait_for(|head| *head > last));
            if !matches!(tokio::time::timeout_at(until, ahead).await, Ok(Some(_))) {
                break;
            }
            events.extend(self.events.read(last, self.limit - events.len()).await?);
        }
        Ok(())
    }

    /// Folds events in one transaction, or finds out which of them can't be folded: the failing batch is halved until one
    /// event is left, and that one is parked.
    async fn fold(&mut self, events: &[Arc<Followed>]) -> Result<Committed, Stop> {
        let batch = Batch::of(events, &self.parked_keys);
        match self.commit(&batch).await {
            Ok(committed) => self.done(&batch, committed),
            Err(Failure::Machinery(error)) => Err(error.into()),
            Err(Failure::Poison(error)) => match events {
                [event] => {
                    let parking = Batch::parking(&event.recorded, error);
                    match self.commit(&parking).await {
                        Ok(committed) => self.done(&parking, committed),
                        Err(Failure::Machinery(error)) => Err(error.into()),
                        Err(Failure::Poison(text)) => Err(sqlx::Error::Protocol(text).into()),
                    }
                }
                _ => {
                    self.limit = events.len() / 2;
                    Ok(Committed::No)
                }
            },
        }
    }

    fn done(&mut self, batch: &Batch, committed: Committed) -> Result<Committed, Stop> {
        if committed == Committed::Yes {
            self.position = batch.upto;
            self.limit = (self.limit * 2).min(BATCH_EVENTS_MAX);
            if !batch.mark_parked(&mut self.parked_keys) {
                return Err(Stop::TooManyParked);
            }
        }
        Ok(committed)
    }

    /// Reads the checkpoint and what is parked.
    async fn load(&mut self) -> Result<(), Stop> {
        let Place { position, generation, parked_keys } = self.view.load().await?;
        (self.position, self.generation, self.parked_keys, self.loaded) = (position, generation, parked_keys, true);
        let name = self.view.name();
        self.progress.committed(Moved { name, after: None, upto: position, keys: Arc::default() });
        Ok(())
    }

    /// Rows, checkpoint and changes in one transaction; then, outside of it, some housekeeping.
    async fn commit(&mut self, batch: &Batch) -> Result<Committed, Failure> {
        let Some(changes) = self.view.commit(self.position, self.generation, batch).await? else {
            return Ok(Committed::Overtaken);
        };
        let after = (!std::mem::take(&mut self.loaded)).then_some(self.position);
        let keys = Arc::new(changes.iter().map(|change| change.key).collect());
        let (name, upto) = (self.view.name(), batch.upto);
        self.progress.committed(Moved { name, after, upto, keys });
        if upto - self.pruned_at >= PRUNE_EVERY_POSITIONS {
            self.view.prune(upto).await;
            self.pruned_at = upto;
        }
        Ok(Committed::Yes)
    }

    /// The checkpoint was not where it was left. Returns when it is worth trying to move it again.
    async fn stand_by(&mut self, shutdown: &CancellationToken) -> Result<(), Stop> {
        let position = self.position;
        self.load().await?;
        if self.position == position {
            // Nobody is ahead: what was changed from outside is known now.
            return Ok(());
        }
        tracing::info!(projection = self.view.name(), position, "another process projects this view; standing by");
        let mut rested = 0;
        while rested < 2 {
            if shutdown.run_until_cancelled(tokio::time::sleep(spread(STANDBY_LOOK))).await.is_none() {
                return Ok(());
            }
            let position = self.position;
            self.load().await?;
            let rests = self.position == position && *self.events.watch().borrow() > position;
            rested = if rests { rested + 1 } else { 0 };
        }
        tracing::info!(projection = self.view.name(), position = self.position, "taking over");
        Ok(())
    }
}
