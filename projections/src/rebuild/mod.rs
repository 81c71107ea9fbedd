//! A view made anew beside the served one, compared with it, and switched in.
//!
//! The new tables grow in a schema of their own while the old view serves and goes on. When they have reached its
//! checkpoint, both are compared in one snapshot; then the checkpoint is locked for a moment, the last events are folded,
//! and the tables change places in one transaction. Whatever goes wrong before that leaves the served view as it is.
//!
//! A rebuild writes no change rows and notifies nobody. Everything runs on one connection that also holds the lock against
//! a second rebuild of the same view: if that is lost, so is the rebuild, and what it left is removed by the next one.

mod compare;
pub(crate) mod names;
mod report;
mod switch;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Instant;

use domain::{Position, Recorded};
use sqlx::{AssertSqlSafe, Connection, PgConnection, PgPool};
use uuid::Uuid;

use crate::fold::{self, Batch, Failure};
use crate::log::{self, LogError};
use crate::read_model::ReadModel;

pub use report::{Comparison, Options, RebuildError, RebuildProgress, RebuildReport};

/// Most events in one transaction.
pub const REBUILD_EVENTS_MAX: usize = 5_000;
/// A new view this close to the served one is compared and switched in.
pub const NEAR_POSITIONS: i64 = 1_000;

/// Rebuilds a view from the first event, while it is served and projected, and switches it in.
///
/// Dropping the future stops the rebuild and leaves the served view as it is.
///
/// # Errors
/// See [`RebuildError`].
pub async fn rebuild(
    pool: &PgPool,
    model: &dyn ReadModel,
    options: Options,
    progress: &(dyn Fn(RebuildProgress) + Send + Sync),
) -> Result<RebuildReport, RebuildError> {
    let mut connection = pool.acquire().await?;
    // The lock lives as long as the connection, so the connection does not go back to the pool, whatever happens.
    connection.close_on_drop();
    if !names::lock_for_session(&mut connection, model).await? {
        return Err(RebuildError::AlreadyRunning { projection: model.name() });
    }
    let rebuilt = rebuild_alone(pool, model, options, progress, &mut connection).await;
    // The server would notice the end of the connection a moment later than our caller notices ours.
    if let Err(error) = names::unlock_session(&mut connection, model).await {
        tracing::warn!(projection = model.name(), %error, "the lock of the rebuild goes with its connection only");
    }
    rebuilt
}

/// The rebuild itself, under the lock that the connection holds.
async fn rebuild_alone(
    pool: &PgPool,
    model: &dyn ReadModel,
    options: Options,
    progress: &(dyn Fn(RebuildProgress) + Send + Sync),
    connection: &mut PgConnection,
) -> Result<RebuildReport, RebuildError> {
    let begun = Instant::now();
    let mut rebuild = Rebuild::begin(pool, model, connection).await?;
    rebuild.follow(connection, progress).await?;
    let (comparison, tables) = rebuild.compare(connection, options.accept_difference).await?;
    rebuild.analyze(connection).await?;
    let parked_events = rebuild.switch(connection, progress).await?;
    let (projection, position) = (model.name(), rebuild.position);
    Ok(RebuildReport { projection, position, duration: begun.elapsed(), comparison, tables, parked_events })
}

/// A rebuild under way.
struct Rebuild<'a> {
    pool: &'a PgPool,
    model: &'a dyn ReadModel,
    schema: String,
    /// Everything up to here is in the new tables.
    position: Position,
    parked_keys: HashSet<Uuid>,
}

impl<'a> Rebuild<'a> {
    /// Makes empty tables.
    async fn begin(
        pool: &'a PgPool,
        model: &'a dyn ReadModel,
        connection: &mut PgConnection,
    ) -> Result<Self, RebuildError> {
        let schema = names::rebuild_schema(model)?;
        // A crash costs the rebuild anyway; only the switch has to be durable.
        let fresh = format!(
            "SET synchronous_commit TO off; DROP SCHEMA IF EXISTS {schema} CASCADE; CREATE SCHEMA {schema};
             SET search_path TO {schema}, public"
        );
        sqlx::raw_sql(AssertSqlSafe(fresh)).execute(&mut *connection).await?;
        sqlx::raw_sql(model.ddl()).execute(&mut *connection).await?;
        sqlx::query("DELETE FROM public.parked_events WHERE projection = $1")
            .bind(&schema)
            .execute(&mut *connection)
            .await?;
        Ok(Self { pool, model, schema, position: 0, parked_keys: HashSet::new() })
    }

    /// Folds the log until the served view is near. Never overtakes it, so that both can be compared.
    async fn follow(
        &mut self,
        connection: &mut PgConnection,
        progress: &(dyn Fn(RebuildProgress) + Send + Sync),
    ) -> Result<(), RebuildError> {
        loop {
            let target = self.target(connection).await?;
            progress(RebuildProgress { position: self.position, target });
            if target - self.position <= NEAR_POSITIONS {
                return Ok(());
            }
            let mut events = self.read(self.position, target).await?;
            while let Some(last) = events.last().map(|event| event.position) {
                // The next events are read while these are folded.
                let (pool, read) = (self.pool, last);
                let (folded, next) = tokio::join!(self.fold(connection, &events), read_ahead(pool, read, target));
                folded?;
                progress(RebuildProgress { position: self.position, target });
                events = next?;
            }
        }
    }

    /// The checkpoint of the served view, or the log's head where there is none.
    async fn target(&self, connection: &mut PgConnection) -> Result<Position, RebuildError> {
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

    async fn read(&self, after: Position, upto: Position) -> Result<Vec<Arc<Recorded>>, RebuildError> {
        read_ahead(self.pool, after, upto).await
    }

    /// Folds what is left up to a position, within the caller's transaction if there is one.
    async fn fold_upto(&mut self, connection: &mut PgConnection, upto: Position) -> Result<(), RebuildError> {
        while self.position < upto {
            let events = self.read(self.position, upto).await?;
            self.fold(connection, &events).await?;
        }
        Ok(())
    }

    /// Folds events; those that can't be are cornered by halving and parked, as in the projector.
    async fn fold(&mut self, connection: &mut PgConnection, events: &[Arc<Recorded>]) -> Result<(), RebuildError> {
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
                        let parking = Batch::parking(event, error);
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
        fold::apply(self.model, &mut transaction, &batch.decoded).await?;
        fold::park(&mut transaction, &self.schema, &batch.parked).await.map_err(Failure::Machinery)?;
        transaction.commit().await.map_err(fold::failure)
    }
}

/// The next events up to a position, on a connection of the pool.
async fn read_ahead(pool: &PgPool, after: Position, upto: Position) -> Result<Vec<Arc<Recorded>>, RebuildError> {
    if after >= upto {
        return Ok(Vec::new());
    }
    let events = log::read_between(pool, after, upto, REBUILD_EVENTS_MAX).await?;
    if events.is_empty() {
        return Err(LogError::Hole { expected: after + 1, found: upto }.into());
    }
    Ok(events.into_iter().map(Arc::new).collect())
}
