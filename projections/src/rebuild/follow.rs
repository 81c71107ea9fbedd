//! Reading the log and folding it into the new tables: first all there is, then what came meanwhile.

use std::sync::Arc;

use domain::Position;
use sqlx::{Connection, PgConnection};

use super::{Feed, Rebuild, RebuildError, RebuildProgress};
use crate::feed::Followed;
use crate::fold::{self, Batch, Failure};
use crate::log::{self, LogError};
use crate::read_model::Decoded;
use crate::replay::{Chunk, Replay};

/// Most events in one transaction, where they are cornered one by one.
pub const REBUILD_EVENTS_MAX: usize = 5_000;
/// A new view this close to the served one is compared and switched in.
pub const NEAR_POSITIONS: i64 = 1_000;
/// Rounds in which a rebuild may fail to come closer to the served view than it ever was. More, and the log grows faster
/// than it can be folded.
pub const ROUNDS_MAX: u32 = 20;

type Shown<'p> = &'p (dyn Fn(RebuildProgress) + Send + Sync);

impl Rebuild<'_> {
    /// Folds what there is into tables without any index that only serves questions.
    pub(super) async fn load(
        &mut self,
        connection: &mut PgConnection,
        feed: Option<Feed>,
        progress: Shown<'_>,
    ) -> Result<(), RebuildError> {
        let target = self.target(connection).await?;
        if let Some(mut feed) = feed {
            while let Some(chunk) = feed.recv().await {
                self.fold_chunk(connection, &chunk).await?;
                progress(RebuildProgress { position: self.position, target });
            }
        }
        self.fold_far(connection, target, progress).await?;
        Ok(())
    }

    /// Folds the log until the served view is near. Never overtakes it, so that both can be compared.
    pub(super) async fn follow(
        &mut self,
        connection: &mut PgConnection,
        progress: Shown<'_>,
    ) -> Result<(), RebuildError> {
        let (mut least, mut rounds) = (i64::MAX, 0);
        loop {
            let target = self.target(connection).await?;
            progress(RebuildProgress { position: self.position, target });
            let behind = target - self.position;
            if behind <= NEAR_POSITIONS {
                return Ok(());
            }
            rounds = if behind < least { 0 } else { rounds + 1 };
            if rounds >= ROUNDS_MAX {
                return Err(RebuildError::Outrun { projection: self.model.name(), behind, rounds });
            }
            least = least.min(behind);
            self.fold_far(connection, target, progress).await?;
        }
    }

    /// The checkpoint of the served view, or the log's head where there is none.
    pub(super) async fn target(&self, connection: &mut PgConnection) -> Result<Position, RebuildError> {
        let target = sqlx::query_scalar(
            "SELECT coalesce((SELECT position FROM public.projections WHERE name = $1),
                             (SELECT position FROM public.event_log))",
        )
        .bind(self.model.name())
        .fetch_one(&mut *connection)
        .await?;
        if target < self.position {
            return Err(RebuildError::WentBack { projection: self.model.name(), position: target });
        }
        Ok(target)
    }

    /// Folds up to a position that may be far away, reading on while folding.
    async fn fold_far(
        &mut self,
        connection: &mut PgConnection,
        upto: Position,
        progress: Shown<'_>,
    ) -> Result<(), RebuildError> {
        if self.position >= upto {
            return Ok(());
        }
        let mut replay = Replay::start(self.pool.clone(), self.position, upto);
        while let Some(chunk) = replay.next().await? {
            self.fold_chunk(connection, &chunk).await?;
            progress(RebuildProgress { position: self.position, target: upto });
        }
        Ok(())
    }

    /// Folds what was read and decoded already. Where something is to be parked, the events are read again and cornered.
    async fn fold_chunk(&mut self, connection: &mut PgConnection, chunk: &Chunk) -> Result<(), RebuildError> {
        let waits = |decoded: &Decoded| self.parked_keys.contains(&decoded.recorded.stream.id);
        let whole = chunk.undecodable.is_empty() && (self.parked_keys.is_empty() || !chunk.events.iter().any(waits));
        if whole {
            match self.fold_whole(connection, &chunk.events.iter().collect::<Vec<_>>()).await {
                Ok(()) => {
                    self.position = chunk.upto;
                    return Ok(());
                }
                Err(Failure::Machinery(error)) => return Err(error.into()),
                Err(Failure::Poison(_)) => {}
            }
        }
        self.fold_upto(connection, chunk.upto).await
    }

    async fn fold_whole(&self, connection: &mut PgConnection, events: &[&Decoded]) -> Result<(), Failure> {
        let mut transaction = connection.begin().await.map_err(Failure::Machinery)?;
        // What changed is nobody's business: the served view has told it already.
        fold::apply(self.model, &mut transaction, events).await?;
        transaction.commit().await.map_err(fold::failure)
    }

    /// Folds what is left up to a position, within the caller's transaction if there is one.
    pub(super) async fn fold_upto(
        &mut self,
        connection: &mut PgConnection,
        upto: Position,
    ) -> Result<(), RebuildError> {
        while self.position < upto {
            let events = log::read_between(self.pool, self.position, upto, REBUILD_EVENTS_MAX).await?;
            if events.is_empty() {
                return Err(LogError::Hole { expected: self.position + 1, found: upto }.into());
            }
            self.fold(connection, &Followed::all(events)).await?;
        }
        Ok(())
    }

    /// Folds events; those that can't be are cornered by halving and parked, as in the projector.
    async fn fold(&mut self, connection: &mut PgConnection, events: &[Arc<Followed>]) -> Result<(), RebuildError> {
        let mut rest = events;
        let mut limit = rest.len();
        while !rest.is_empty() {
            let (now, later) = rest.split_at(limit.min(rest.len()));
            let batch = Batch::of(now, &self.parked_keys);
            match self.try_fold(connection, &batch).await {
                Ok(()) => {
                    self.folded(&batch)?;
                    rest = later;
                    limit = (limit * 2).min(REBUILD_EVENTS_MAX);
                }
                Err(Failure::Machinery(error)) => return Err(error.into()),
                Err(Failure::Poison(error)) => match now {
                    [event] => {
                        let parking = Batch::parking(&event.recorded, error);
                        fold::park(connection, &self.schema, &parking.parked).await?;
                        self.folded(&parking)?;
                        rest = later;
                    }
                    _ => limit = now.len() / 2,
                },
            }
        }
        Ok(())
    }

    fn folded(&mut self, batch: &Batch) -> Result<(), RebuildError> {
        self.position = batch.upto;
        if batch.mark_parked(&mut self.parked_keys) { Ok(()) } else { Err(RebuildError::TooManyParked) }
    }

    /// One batch in a transaction, or in a savepoint of the transaction that is open.
    async fn try_fold(&self, connection: &mut PgConnection, batch: &Batch) -> Result<(), Failure> {
        let mut transaction = connection.begin().await.map_err(Failure::Machinery)?;
        // What changed is nobody's business: the served view has told it already.
        fold::apply(self.model, &mut transaction, &batch.events()).await?;
        fold::park(&mut transaction, &self.schema, &batch.parked).await.map_err(Failure::Machinery)?;
        transaction.commit().await.map_err(fold::failure)
    }
}
