//! How far somebody outside this crate has followed the log.

use domain::Position;
use sqlx::PgPool;

use crate::lag::{Lag, lag_of_bookmark};
use crate::log::LogError;

/// A named place in the log that survives restarts. Several nodes may share one: it only moves forward.
#[derive(Clone)]
pub struct Bookmark {
    pool: PgPool,
    name: &'static str,
}

impl Bookmark {
    /// The bookmark of a name.
    #[must_use]
    pub fn new(pool: PgPool, name: &'static str) -> Self {
        Self { pool, name }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The place; 0 when there is none yet.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn load(&self) -> Result<Position, sqlx::Error> {
        let position = sqlx::query_scalar("SELECT position FROM bookmarks WHERE name = $1").bind(self.name);
        Ok(position.fetch_optional(&self.pool).await?.unwrap_or(0))
    }

    /// How far behind the log it is; none: it was never set.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn lag(&self, pool: &PgPool) -> Result<Option<Lag>, LogError> {
        lag_of_bookmark(pool, self.name).await
    }

    /// Moves it forward; a lower place than the stored one changes nothing. It is not waited for to reach the disk: whoever
    /// keeps a place repeats what came after it, and after a crash of the server that may be a little more.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn store(&self, position: Position) -> Result<(), sqlx::Error> {
        sqlx::query(
            "WITH relaxed AS (SELECT set_config('synchronous_commit', 'off', true))
             INSERT INTO bookmarks AS b (name, position) SELECT $1, $2 FROM relaxed
             ON CONFLICT ON CONSTRAINT bookmarks_key DO UPDATE
                 SET position = excluded.position, updated_at = now() WHERE b.position < excluded.position",
        )
        .bind(self.name)
        .bind(position)
        .execute(&self.pool)
        .await?;
        Ok(())
    }
}
