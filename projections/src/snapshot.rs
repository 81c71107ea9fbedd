//! Reading rows and the position they belong to from one snapshot.

use std::ops::{Deref, DerefMut};

use domain::Position;
use sqlx::{PgConnection, PgPool, Postgres, Transaction};

/// A read-only transaction in which every query sees the same moment, and in which the position of a projection is
/// exactly the one its rows are at. Dereferences to the connection.
///
/// A rebuilt view is not switched in while a snapshot is open, and a snapshot waits for a switch that is under way: a table
/// that comes from elsewhere is not covered by the snapshot's rules of visibility. So keep snapshots short.
pub struct Snapshot {
    transaction: Transaction<'static, Postgres>,
}

impl Snapshot {
    /// Begins a snapshot.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn begin(pool: &PgPool) -> Result<Self, sqlx::Error> {
        // LOCK TABLE takes no snapshot, so the first query after it sees what a switch has committed meanwhile.
        let transaction = pool
            .begin_with(
                "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; LOCK TABLE projection_switch IN ACCESS SHARE MODE",
            )
            .await?;
        Ok(Self { transaction })
    }

    /// Position of a projection in this snapshot; 0 when nothing was projected yet.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn position(&mut self, projection: &str) -> Result<Position, sqlx::Error> {
        let position: Option<Position> = sqlx::query_scalar("SELECT position FROM projections WHERE name = $1")
            .bind(projection)
            .fetch_optional(&mut *self.transaction)
            .await?;
        Ok(position.unwrap_or(0))
    }

    /// The connection, for queries.
    pub fn connection(&mut self) -> &mut PgConnection {
        &mut self.transaction
    }

    /// Ends the snapshot. Dropping it does the same, a little later.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn end(self) -> Result<(), sqlx::Error> {
        self.transaction.rollback().await
    }
}

impl Deref for Snapshot {
    type Target = PgConnection;
    fn deref(&self) -> &PgConnection {
        &self.transaction
    }
}

impl DerefMut for Snapshot {
    fn deref_mut(&mut self) -> &mut PgConnection {
        &mut self.transaction
    }
}
