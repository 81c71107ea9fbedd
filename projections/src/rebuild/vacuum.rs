//! Automatic vacuum, which would be in the way of a rebuild.
//!
//! It holds a lock that lets nobody make an index or drop the table, for as long as it takes, which is hours for a large
//! table. PostgreSQL cancels it for whoever has waited for `deadlock_timeout` (a second by default), which is longer than
//! readers should wait behind a switch. So the new tables are left alone until they serve, and a switch takes the served ones
//! from it first, by a lock that is in nobody else's way.
//!
//! A vacuum against the wraparound of transaction numbers is not cancelled and not kept away: a switch waits for that one.

use sqlx::{AssertSqlSafe, PgConnection};

use super::names::{LIVE_SCHEMA, checked};
use super::{Rebuild, RebuildError};

/// How much longer than `deadlock_timeout` a switch waits for the served tables, in milliseconds.
const CANCELLED_WITHIN_MS: i32 = 2_000;
/// Also of the table that PostgreSQL keeps long values in, which is vacuumed by itself.
const OFF: &str = "SET (autovacuum_enabled = false, toast.autovacuum_enabled = false)";
/// As a table begins.
const ON: &str = "RESET (autovacuum_enabled, toast.autovacuum_enabled)";

impl Rebuild<'_> {
    /// Keeps automatic vacuum from the new tables.
    pub(super) async fn leave_alone(&self, connection: &mut PgConnection) -> Result<(), RebuildError> {
        self.set(connection, &self.schema, OFF).await
    }

    /// Takes the served tables from automatic vacuum until the transaction ends. They are read and written meanwhile. Leaves
    /// the transaction's time-out for locks changed.
    pub(super) async fn take_from_vacuum(&self, connection: &mut PgConnection) -> Result<(), RebuildError> {
        sqlx::query(
            "SELECT set_config('lock_timeout', (setting::integer + $1)::text, true)
             FROM pg_settings WHERE name = 'deadlock_timeout'",
        )
        .bind(CANCELLED_WITHIN_MS)
        .execute(&mut *connection)
        .await?;
        self.set(connection, LIVE_SCHEMA, OFF).await
    }

    /// Gives the new tables back to it, once the transaction in which they begin to serve is committed.
    pub(super) async fn return_to_vacuum(&self, connection: &mut PgConnection) -> Result<(), RebuildError> {
        self.set(connection, &self.schema, ON).await
    }

    /// To change it takes the lock that a vacuum takes.
    async fn set(&self, connection: &mut PgConnection, schema: &str, change: &str) -> Result<(), RebuildError> {
        let mut statements = String::new();
        for table in self.model.tables() {
            // Of a view that is made for the first time none is served.
            statements += &format!("ALTER TABLE IF EXISTS {schema}.{} {change};", checked(table)?);
        }
        sqlx::raw_sql(AssertSqlSafe(statements)).execute(connection).await?;
        Ok(())
    }
}
