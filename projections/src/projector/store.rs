//! What the projector writes besides the rows of its read model: the checkpoint, what changed, what is parked.

use std::collections::BTreeSet;

use domain::Position;
use sqlx::{Connection, PgConnection, PgPool};

use super::Stop;
use super::surroundings::Place;
use crate::changes::CHANGES_KEPT_POSITIONS;
use crate::fold::{self, Batch, Failure, PARKED_KEYS_MAX};
use crate::read_model::{Change, ReadModel};

/// Most change rows removed by one statement.
const PRUNE_ROWS_MAX: i64 = 5_000;
/// Most statements at once; the rest has time.
const PRUNE_STATEMENTS_MAX: usize = 4;

/// Reads the checkpoint and what is parked.
pub(super) async fn load(pool: &PgPool, model: &dyn ReadModel) -> Result<Place, Stop> {
    let name = model.name();
    let mut transaction = pool.begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?;
    let (version, position, generation, head): (i32, Position, i64, Position) = sqlx::query_as(
        "SELECT version, position, generation, (SELECT position FROM event_log) FROM projections WHERE name = $1",
    )
    .bind(name)
    .fetch_optional(&mut *transaction)
    .await?
    .ok_or(Stop::Changed)?;
    if version != model.version() {
        return Err(Stop::Changed);
    }
    if position > head {
        return Err(Stop::AheadOfLog { position, head });
    }
    let keys = sqlx::query_scalar("SELECT DISTINCT key FROM parked_events WHERE projection = $1 LIMIT $2")
        .bind(name)
        .bind(i64::try_from(PARKED_KEYS_MAX + 1).unwrap_or(i64::MAX))
        .fetch_all(&mut *transaction)
        .await?;
    transaction.commit().await?;
    if keys.len() > PARKED_KEYS_MAX {
        return Err(Stop::TooManyParked);
    }
    Ok(Place { position, generation, parked_keys: keys.into_iter().collect() })
}

/// What changed; `None`: the checkpoint was not where it was expected.
pub(super) async fn transact(
    connection: &mut PgConnection,
    model: &dyn ReadModel,
    (position, generation): (Position, i64),
    batch: &Batch,
) -> Result<Option<Vec<Change>>, Failure> {
    let begin = "BEGIN; SET LOCAL search_path TO read, public";
    let mut transaction = connection.begin_with(begin).await.map_err(Failure::Machinery)?;
    // First, so that another projector of this model waits here and gives way before it touches a row.
    let moved = sqlx::query(
        "UPDATE public.projections SET position = $1, updated_at = now()
         WHERE name = $2 AND version = $3 AND generation = $4 AND position = $5",
    )
    .bind(batch.upto)
    .bind(model.name())
    .bind(model.version())
    .bind(generation)
    .bind(position)
    .execute(&mut *transaction)
    .await
    .map_err(Failure::Machinery)?;
    if moved.rows_affected() != 1 {
        transaction.rollback().await.map_err(Failure::Machinery)?;
        return Ok(None);
    }
    let changes = fold::apply(model, &mut transaction, &batch.decoded).await?;
    write_changes(&mut transaction, model.name(), &changes).await.map_err(Failure::Machinery)?;
    fold::park(&mut transaction, model.name(), &batch.parked).await.map_err(Failure::Machinery)?;
    transaction.commit().await.map_err(fold::failure)?;
    Ok(Some(changes))
}

/// Removes change rows that nobody may ask for any more.
pub(super) async fn prune(connection: &mut PgConnection, projection: &str, position: Position) {
    for _ in 0..PRUNE_STATEMENTS_MAX {
        let removed = sqlx::query(
            "DELETE FROM changes WHERE ctid IN
                 (SELECT ctid FROM changes WHERE projection = $1 AND position <= $2 LIMIT $3)",
        )
        .bind(projection)
        .bind(position - CHANGES_KEPT_POSITIONS)
        .bind(PRUNE_ROWS_MAX)
        .execute(&mut *connection)
        .await;
        match removed {
            Ok(removed) if removed.rows_affected() < PRUNE_ROWS_MAX.unsigned_abs() => break,
            Ok(_) => {}
            Err(error) => {
                tracing::warn!(projection, %error, "old changes could not be removed");
                break;
            }
        }
    }
}

/// Stores what changed, each row once.
pub(crate) async fn write_changes(
    connection: &mut PgConnection,
    projection: &str,
    changes: &[Change],
) -> Result<(), sqlx::Error> {
    if changes.is_empty() {
        return Ok(());
    }
    let changes: BTreeSet<Change> = changes.iter().copied().collect();
    // A key that was taken up again may have left a row at the checkpoint's successor.
    sqlx::query(
        "INSERT INTO public.changes (projection, position, key)
         SELECT $1, c.position, c.key FROM unnest($2::bigint[], $3::uuid[]) c (position, key) ON CONFLICT DO NOTHING",
    )
    .bind(projection)
    .bind(changes.iter().map(|change| change.position).collect::<Vec<_>>())
    .bind(changes.iter().map(|change| change.key).collect::<Vec<_>>())
    .execute(connection)
    .await?;
    Ok(())
}
