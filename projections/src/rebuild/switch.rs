//! The moment in which the new tables take the place of the served ones.

use std::time::Duration;

use domain::Position;
use sqlx::{AssertSqlSafe, Connection, PgConnection};

use super::names::{LIVE_SCHEMA, checked, qualified};
use super::{NEAR_POSITIONS, Rebuild, RebuildError, RebuildProgress};
use crate::backoff::spread;

/// How long a switch waits for readers, in milliseconds; others queue behind it for as long.
const LOCK_WAIT_MS: u32 = 300;
/// How often it is tried.
const TRIES_MAX: u32 = 100;
/// Pause between two tries.
const TRY_PAUSE: Duration = Duration::from_millis(300);
/// "lock not available" and "deadlock detected": somebody was in the way.
const IN_THE_WAY: [&str; 2] = ["55P03", "40P01"];

impl Rebuild<'_> {
    /// Switches the new tables in, at exactly the served view's checkpoint; the number of parked events.
    pub(super) async fn switch(
        &mut self,
        connection: &mut PgConnection,
        progress: &(dyn Fn(RebuildProgress) + Send + Sync),
    ) -> Result<i64, RebuildError> {
        for _ in 0..TRIES_MAX {
            // What is folded within a try is lost with it.
            let (position, parked_keys) = (self.position, self.parked_keys.clone());
            let switched = self.try_switch(connection).await;
            let retry = match switched {
                Ok(Some(parked_events)) => return Ok(parked_events),
                Ok(None) => true,
                Err(RebuildError::Database(sqlx::Error::Database(ref error))) => {
                    error.code().is_some_and(|code| IN_THE_WAY.contains(&code.as_ref()))
                }
                Err(_) => false,
            };
            if !retry {
                return switched.map(Option::unwrap_or_default);
            }
            (self.position, self.parked_keys) = (position, parked_keys);
            tokio::time::sleep(spread(TRY_PAUSE)).await;
            self.follow(connection, progress).await?;
        }
        Err(RebuildError::Busy { projection: self.model.name(), tries: TRIES_MAX, schema: self.schema.clone() })
    }

    /// One transaction. `None`: the served view has run too far ahead meanwhile.
    async fn try_switch(&mut self, connection: &mut PgConnection) -> Result<Option<i64>, RebuildError> {
        let mut transaction = connection.begin_with("BEGIN; SET LOCAL synchronous_commit TO on").await?;
        let connection = &mut *transaction;
        self.take_from_vacuum(connection).await?;
        self.return_to_vacuum(connection).await?;
        let wait = format!("SET LOCAL lock_timeout = {LOCK_WAIT_MS}");
        sqlx::raw_sql(AssertSqlSafe(wait)).execute(&mut *connection).await?;
        // From here on the served view rests.
        sqlx::query("SELECT FROM public.projections WHERE name = $1 FOR UPDATE")
            .bind(self.model.name())
            .execute(&mut *connection)
            .await?;
        let target = self.target(connection).await?;
        if target - self.position > NEAR_POSITIONS {
            return Ok(None);
        }
        self.fold_upto(connection, target).await?;
        // From here on no snapshot is open, and new ones wait.
        sqlx::raw_sql("LOCK TABLE public.projection_switch IN ACCESS EXCLUSIVE MODE").execute(&mut *connection).await?;
        let dropped = format!("DROP TABLE IF EXISTS {}", qualified(LIVE_SCHEMA, self.model)?);
        sqlx::raw_sql(AssertSqlSafe(dropped)).execute(&mut *connection).await?;
        for table in self.model.tables() {
            let moved = format!("ALTER TABLE {}.{} SET SCHEMA {LIVE_SCHEMA}", self.schema, checked(table)?);
            sqlx::raw_sql(AssertSqlSafe(moved)).execute(&mut *connection).await?;
        }
        // Refused when the model made something that is not one of its tables.
        let emptied = format!("DROP SCHEMA {}", self.schema);
        sqlx::raw_sql(AssertSqlSafe(emptied)).execute(&mut *connection).await?;
        let parked_events = self.take_over(connection, target).await?;
        transaction.commit().await?;
        Ok(Some(parked_events))
    }

    /// Checkpoint and parked events of the new view become those of the projection.
    async fn take_over(&self, connection: &mut PgConnection, position: Position) -> Result<i64, RebuildError> {
        let name = self.model.name();
        sqlx::query("DELETE FROM public.parked_events WHERE projection = $1")
            .bind(name)
            .execute(&mut *connection)
            .await?;
        let parked = sqlx::query("UPDATE public.parked_events SET projection = $1 WHERE projection = $2")
            .bind(name)
            .bind(&self.schema)
            .execute(&mut *connection)
            .await?;
        // A raised generation makes the projector read anew what it keeps in memory.
        sqlx::query(
            "INSERT INTO public.projections (name, version, position) VALUES ($1, $2, $3)
             ON CONFLICT (name) DO UPDATE SET version = excluded.version, position = excluded.position,
                                              generation = projections.generation + 1, updated_at = now()",
        )
        .bind(name)
        .bind(self.model.version())
        .bind(position)
        .execute(&mut *connection)
        .await?;
        Ok(i64::try_from(parked.rows_affected()).unwrap_or(i64::MAX))
    }
}
