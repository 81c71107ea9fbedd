//! Taking up again what was parked, after the fault has been mended.

use std::collections::HashSet;

use domain::Position;
use sqlx::{Connection, PgConnection, PgPool};
use uuid::Uuid;

use crate::feed::Followed;
use crate::fold::{self, Batch, Failure};
use crate::listen::PROJECTIONS_CHANNEL;
use crate::log::{self, LogError};
use crate::projector::write_changes;
use crate::read_model::{Change, ReadModel};

/// Most parked events folded in one transaction; while it runs, the projector waits.
pub const RETRY_EVENTS_MAX: usize = 500;
/// Begins a round. The lock that it waits for is held by a projector for as long as it folds a batch.
const BEGIN: &str = "BEGIN; SET LOCAL search_path TO read, public; SET LOCAL lock_timeout TO '3s'";
/// What PostgreSQL says of a lock that did not come free in that time (appendix A: `lock_not_available`).
const LOCK_NOT_AVAILABLE: &str = "55P03";

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
    /// Somebody holds the view's checkpoint for longer than is waited for.
    #[error("the view of {projection} is busy; try again shortly")]
    Busy {
        /// The view.
        projection: &'static str,
    },
    /// The log could not be read.
    #[error("the log could not be read")]
    Log(#[from] LogError),
    /// The database refused.
    #[error("the parked events could not be folded")]
    Database(#[from] sqlx::Error),
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
    let mut transaction = connection.begin_with(BEGIN).await?;
    // From here on the projector rests, so nothing more is parked behind our back.
    let checkpoint: Option<Position> =
        sqlx::query_scalar("SELECT position FROM public.projections WHERE name = $1 AND version = $2 FOR UPDATE")
            .bind(projection)
            .bind(version)
            .fetch_optional(&mut *transaction)
            .await
            .map_err(|error| busy(error, projection))?;
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

fn busy(error: sqlx::Error, projection: &'static str) -> RetryError {
    let code = error.as_database_error().and_then(|refused| refused.code());
    if code.is_some_and(|code| code == LOCK_NOT_AVAILABLE) { RetryError::Busy { projection } } else { error.into() }
}

/// Folds one event in a savepoint. The inner error: it still can't be folded.
async fn fold_one(
    transaction: &mut PgConnection,
    model: &dyn ReadModel,
    position: Position,
) -> Result<Result<Vec<Change>, String>, RetryError> {
    let events = log::read_between(&mut *transaction, position - 1, position, 1).await?;
    let batch = Batch::of(&Followed::all(events), &HashSet::new());
    if let Some(parked) = batch.parked.first() {
        return Ok(Err(parked.error.clone()));
    }
    let mut savepoint = transaction.begin().await?;
    match fold::apply(model, &mut savepoint, &batch.events()).await {
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
