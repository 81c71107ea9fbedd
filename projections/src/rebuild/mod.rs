//! A view made anew beside the served one, compared with it, and switched in.
//!
//! The new tables grow in a schema of their own while the old view serves and goes on. When they have reached its
//! checkpoint, both are compared in one snapshot; then the checkpoint is locked for a moment, the last events are folded,
//! and the tables change places in one transaction. Whatever goes wrong before that leaves the served view as it is.
//!
//! A rebuild writes no change rows and notifies nobody. Everything runs on one connection that also holds the lock against
//! a second rebuild of the same view: if that is lost, so is the rebuild, and what it left is removed by the next one.

mod compare;
mod follow;
mod index;
pub(crate) mod names;
mod report;
mod shared;
mod switch;
mod vacuum;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Instant;

use domain::Position;
use sqlx::{AssertSqlSafe, PgConnection, PgPool};
use tokio::sync::mpsc;
use uuid::Uuid;

use crate::read_model::ReadModel;
use crate::replay::Chunk;

pub use follow::{NEAR_POSITIONS, REBUILD_EVENTS_MAX, ROUNDS_MAX};
pub use report::{Comparison, Options, Phases, RebuildError, RebuildProgress, RebuildReport};
pub use shared::rebuild_all;

/// The beginning of the log, read once for several rebuilds.
type Feed = mpsc::Receiver<Arc<Chunk>>;

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
    rebuild_fed(pool, model, options, progress, None).await
}

/// The same, with the beginning of the log from elsewhere.
async fn rebuild_fed(
    pool: &PgPool,
    model: &dyn ReadModel,
    options: Options,
    progress: &(dyn Fn(RebuildProgress) + Send + Sync),
    feed: Option<Feed>,
) -> Result<RebuildReport, RebuildError> {
    let mut connection = pool.acquire().await?;
    // The lock lives as long as the connection, so the connection does not go back to the pool, whatever happens.
    connection.close_on_drop();
    if !names::lock_for_session(&mut connection, model).await? {
        return Err(RebuildError::AlreadyRunning { projection: model.name() });
    }
    let rebuilt = rebuild_alone(pool, model, options, progress, feed, &mut connection).await;
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
    feed: Option<Feed>,
    connection: &mut PgConnection,
) -> Result<RebuildReport, RebuildError> {
    let begun = Instant::now();
    let mut rebuild = Rebuild::begin(pool, model, connection).await?;
    rebuild.load(connection, feed, progress).await?;
    let loaded = begun.elapsed();
    rebuild.index(connection).await?;
    let indexed = begun.elapsed();
    rebuild.follow(connection, progress).await?;
    let (comparison, tables) = rebuild.compare(connection, options.accept_difference).await?;
    let compared = begun.elapsed();
    rebuild.analyze(connection).await?;
    let parked_events = rebuild.switch(connection, progress).await?;
    let (projection, position, duration) = (model.name(), rebuild.position, begun.elapsed());
    let phases =
        Phases { load: loaded, index: indexed - loaded, compare: compared - indexed, switch: duration - compared };
    Ok(RebuildReport { projection, position, duration, phases, comparison, tables, parked_events })
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
        let rebuild = Self { pool, model, schema, position: 0, parked_keys: HashSet::new() };
        rebuild.leave_alone(connection).await?;
        Ok(rebuild)
    }
}
