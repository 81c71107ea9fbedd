//! What the projector writes besides the rows of its read model: the checkpoint, what changed, what is parked.

use std::collections::BTreeSet;
use std::sync::Arc;

use domain::Position;
use sqlx::{Connection, PgConnection};

use super::{Projector, Stop};
use crate::changes::CHANGES_KEPT_POSITIONS;
use crate::fold::{self, Batch, Failure, PARKED_KEYS_MAX};
use crate::progress::Moved;
use crate::read_model::Change;

/// Old change rows are removed each time the checkpoint has moved by this many positions.
const PRUNE_EVERY_POSITIONS: i64 = 1_000;
/// Most change rows removed by one statement.
const PRUNE_ROWS_MAX: i64 = 5_000;
/// Most statements at once; the rest has time.
const PRUNE_STATEMENTS_MAX: usize = 4;

/// What became of a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Committed {
    /// The checkpoint moved, and everything with it.
    Yes,
    /// The checkpoint was not where it was expected; nothing was done.
    Overtaken,
    /// One of several events can't be folded; nothing was done, and fewer are taken the next time.
    No,
}

impl Projector {
    /// Reads the checkpoint and what is parked.
    pub(super) async fn load(&mut self) -> Result<(), Stop> {
        let name = self.model.name();
        let mut transaction = self.pool.begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?;
        let (version, position, generation, head): (i32, Position, i64, Position) = sqlx::query_as(
            "SELECT version, position, generation, (SELECT position FROM event_log) FROM projections WHERE name = $1",
        )
        .bind(name)
        .fetch_optional(&mut *transaction)
        .await?
        .ok_or(Stop::Changed)?;
        if version != self.model.version() {
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
        self.parked_keys = keys.into_iter().collect();
        (self.position, self.generation, self.loaded) = (position, generation, true);
        self.progress.committed(Moved { name, after: None, upto: position, keys: Arc::default() });
        Ok(())
    }

    /// Rows, checkpoint and changes in one transaction; then, outside of it, some housekeeping.
    pub(super) async fn commit(&mut self, batch: &Batch) -> Result<Committed, Failure> {
        let mut connection = self.pool.acquire().await.map_err(Failure::Machinery)?;
        match self.transact(&mut connection, batch).await {
            Ok(Some(changes)) => {
                let after = (!std::mem::take(&mut self.loaded)).then_some(self.position);
                let keys = changes.iter().map(|change| change.key).collect();
                let (name, upto) = (self.model.name(), batch.upto);
                self.progress.committed(Moved { name, after, upto, keys: Arc::new(keys) });
                self.prune(&mut connection, upto).await;
                Ok(Committed::Yes)
            }
            Ok(None) => Ok(Committed::Overtaken),
            Err(failure) => {
                // Whatever state it was left in, and whatever it has prepared for tables that are not there any more.
                connection.close_on_drop();
                Err(failure)
            }
        }
    }

    /// What changed; `None`: the checkpoint was not where it was expected.
    async fn transact(&self, connection: &mut PgConnection, batch: &Batch) -> Result<Option<Vec<Change>>, Failure> {
        let begin = "BEGIN; SET LOCAL search_path TO read, public";
        let mut transaction = connection.begin_with(begin).await.map_err(Failure::Machinery)?;
        // First, so that another projector of this model waits here and gives way before it touches a row.
        let moved = sqlx::query(
            "UPDATE public.projections SET position = $1, updated_at = now()
             WHERE name = $2 AND version = $3 AND generation = $4 AND position = $5",
        )
        .bind(batch.upto)
        .bind(self.model.name())
        .bind(self.model.version())
        .bind(self.generation)
        .bind(self.position)
        .execute(&mut *transaction)
        .await
        .map_err(Failure::Machinery)?;
        if moved.rows_affected() != 1 {
            transaction.rollback().await.map_err(Failure::Machinery)?;
            return Ok(None);
        }
        let changes = fold::apply(self.model.as_ref(), &mut transaction, &batch.decoded).await?;
        write_changes(&mut transaction, self.model.name(), &changes).await.map_err(Failure::Machinery)?;
        fold::park(&mut transaction, self.model.name(), &batch.parked).await.map_err(Failure::Machinery)?;
        transaction.commit().await.map_err(fold::failure)?;
        Ok(Some(changes))
    }

    /// Removes change rows that nobody may ask for any more. What is not removed now is removed later.
    async fn prune(&mut self, connection: &mut PgConnection, position: Position) {
        if position - self.pruned_at < PRUNE_EVERY_POSITIONS {
            return;
        }
        for _ in 0..PRUNE_STATEMENTS_MAX {
            let removed = sqlx::query(
                "DELETE FROM changes WHERE ctid IN
                     (SELECT ctid FROM changes WHERE projection = $1 AND position <= $2 LIMIT $3)",
            )
            .bind(self.model.name())
            .bind(position - CHANGES_KEPT_POSITIONS)
            .bind(PRUNE_ROWS_MAX)
            .execute(&mut *connection)
            .await;
            match removed {
                Ok(removed) if removed.rows_affected() < PRUNE_ROWS_MAX.unsigned_abs() => break,
                Ok(_) => {}
                Err(error) => {
                    tracing::warn!(projection = self.model.name(), %error, "old changes could not be removed");
                    break;
                }
            }
        }
        self.pruned_at = position;
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
