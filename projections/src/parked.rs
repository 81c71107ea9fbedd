//! Taking up again what was parked, after the fault has been mended.

use std::collections::HashSet;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use domain::Position;
use sqlx::{Connection, FromRow, PgConnection, PgPool};
use uuid::Uuid;

use crate::fold::{self, Batch, Failure};
use crate::listen::PROJECTIONS_CHANNEL;
use crate::log::{self, LogError};
use crate::projector::write_changes;
use crate::read_model::{Change, ReadModel};

/// Most parked events folded in one transaction; while it runs, the projector waits.
pub const RETRY_EVENTS_MAX: usize = 500;

/// What became of a parked key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retried {
    /// Parked events that are folded now.
    pub folded: usize,
    /// The event that still can't be folded, and why; the key stays parked behind it.
    pub stopped_at: Option<(Position, String)>,
}

/// Why a parked key could not be taken up.
#[derive(Debug, thiserror::Error)]
pub enum RetryError {
    /// The stored view is not of this program's version, or was never made.
    #[error("the stored view of {projection} is not of version {version}")]
    OtherVersion {
        /// The view.
        projection: &'static str,
        /// The version this program folds.
        version: i32,
    },
    /// The log could not be read.
    #[error("the log could not be read")]
    Log(#[from] LogError),
    /// The database refused.
    #[error("the parked events could not be folded")]
    Database(#[from] sqlx::Error),
}

/// An event that a read model has not taken.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct ParkedEvent {
    /// The read model.
    pub projection: String,
    /// Place of the event in the log.
    pub position: Position,
    /// The key it belongs to: later events of the same key wait behind it.
    pub key: Uuid,
    /// Wire name of the event.
    pub event_type: String,
    /// Why it could not be folded, or that it waits behind an earlier one.
    pub error: String,
    /// How often folding it was tried.
    pub attempts: i32,
    /// Since when.
    pub parked_at: DateTime<Utc>,
}

/// What is parked, of one read model or of all, by read model and position; at most `limit`.
///
/// # Errors
/// The database refused.
pub async fn parked_events(
    pool: &PgPool,
    projection: Option<&str>,
    limit: i64,
) -> Result<Vec<ParkedEvent>, sqlx::Error> {
    sqlx::query_as(
        "SELECT p.projection, p.position, p.key, e.type AS event_type, p.error, p.attempts, p.parked_at
         FROM parked_events p JOIN events e ON e.position = p.position
         WHERE $1::text IS NULL OR p.projection = $1 ORDER BY p.projection, p.position LIMIT $2",
    )
    .bind(projection)
    .bind(limit.max(0))
    .fetch_all(pool)
    .await
}

/// Folds the parked events of a key, in order, until one can't be. The projector may run meanwhile; once nothing of the key
/// is parked any more, it goes on with the key by itself.
///
/// # Errors
/// See [`RetryError`].
pub async fn retry_parked(pool: &PgPool, model: &dyn ReadModel, key: Uuid) -> Result<Retried, RetryError> {
    let mut connection = pool.acquire().await?;
    let mut retried = Retried { folded: 0, stopped_at: None };
    loop {
        let round = round(&mut connection, model, key).await?;
        retried.folded += round.folded;
        retried.stopped_at = round.stopped_at;
        if round.folded > 0 {
            // Not a position: watchers can't be told by one that lies behind them, so they look at everything.
            let payload = format!("{}:*", model.name());
            let told = sqlx::query("SELECT pg_notify($1, $2)").bind(PROJECTIONS_CHANNEL).bind(payload);
            told.execute(&mut *connection).await?;
        }
        if retried.stopped_at.is_some() || round.folded < RETRY_EVENTS_MAX {
            return Ok(retried);
        }
    }
}

/// Some of the key's events in one transaction.
async fn round(connection: &mut PgConnection, model: &dyn ReadModel, key: Uuid) -> Result<Retried, RetryError> {
    let (projection, version) = (model.name(), model.version());
    let mut transaction = connection.begin_with("BEGIN; SET LOCAL search_path TO read, public").await?;
    // From here on the projector rests, so nothing more is parked behind our back.
    let checkpoint: Option<Position> =
        sqlx::query_scalar("SELECT position FROM public.projections WHERE name = $1 AND version = $2 FOR UPDATE")
            .bind(projection)
            .bind(version)
            .fetch_optional(&mut *transaction)
            .await?;
    let checkpoint = checkpoint.ok_or(RetryError::OtherVersion { projection, version })?;
    let positions = parked_positions(&mut transaction, projection, key).await?;
    let mut retried = Retried { folded: 0, stopped_at: None };
    let mut keys = Vec::new();
    for position in positions.iter().take(RETRY_EVENTS_MAX) {
        match fold_one(&mut transaction, model, *position).await? {
            Ok(changes) => {
                retried.folded += 1;
                // Watchers are past the event's own position, but not past the next one.
                keys.extend(changes.into_iter().map(|change| Change { position: checkpoint + 1, ..change }));
                forget(&mut transaction, projection, *position).await?;
            }
            Err(error) => {
                remember(&mut transaction, projection, *position, &error).await?;
                retried.stopped_at = Some((*position, error));
                break;
            }
        }
    }
    write_changes(&mut transaction, projection, &keys).await?;
    if retried.folded > 0 {
        // Makes the projector read anew which keys are parked, and tell its watchers of changes that are not its own.
        sqlx::query("UPDATE public.projections SET generation = generation + 1 WHERE name = $1")
            .bind(projection)
            .execute(&mut *transaction)
            .await?;
    }
    transaction.commit().await?;
    Ok(retried)
}

/// Folds one event in a savepoint. The inner error: it still can't be folded.
async fn fold_one(
    transaction: &mut PgConnection,
    model: &dyn ReadModel,
    position: Position,
) -> Result<Result<Vec<Change>, String>, RetryError> {
    let events = log::read_between(&mut *transaction, position - 1, position, 1).await?;
    let events: Vec<_> = events.into_iter().map(Arc::new).collect();
    let batch = Batch::of(&events, &HashSet::new());
    if let Some(parked) = batch.parked.into_iter().next() {
        return Ok(Err(parked.error));
    }
    let mut savepoint = transaction.begin().await?;
    match fold::apply(model, &mut savepoint, &batch.decoded).await {
        Ok(changes) => {
            savepoint.commit().await?;
            Ok(Ok(changes))
        }
        Err(Failure::Poison(error)) => {
            savepoint.rollback().await?;
            Ok(Err(error))
        }
        Err(Failure::Machinery(error)) => Err(error.into()),
    }
}

/// One more than are folded at once, so that the last round knows that it is the last.
async fn parked_positions(
    transaction: &mut PgConnection,
    projection: &str,
    key: Uuid,
) -> Result<Vec<Position>, sqlx::Error> {
    sqlx::query_scalar(
        "SELECT position FROM public.parked_events WHERE projection = $1 AND key = $2 ORDER BY position LIMIT $3",
    )
    .bind(projection)
    .bind(key)
    .bind(i64::try_from(RETRY_EVENTS_MAX + 1).unwrap_or(i64::MAX))
    .fetch_all(transaction)
    .await
}

async fn forget(transaction: &mut PgConnection, projection: &str, position: Position) -> Result<(), sqlx::Error> {
    let delete = "DELETE FROM public.parked_events WHERE projection = $1 AND position = $2";
    sqlx::query(delete).bind(projection).bind(position).execute(transaction).await?;
    Ok(())
}

async fn remember(
    transaction: &mut PgConnection,
    projection: &str,
    position: Position,
    error: &str,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "UPDATE public.parked_events SET attempts = attempts + 1, error = $3 WHERE projection = $1 AND position = $2",
    )
    .bind(projection)
    .bind(position)
    .bind(error)
    .execute(transaction)
    .await?;
    Ok(())
}
