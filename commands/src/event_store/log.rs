//! The log as a writer needs it: PostgreSQL, or a simulated one that breaks (`simulation`).

use sqlx::{PgConnection, PgPool};

use super::KeyRecord;
use super::outcome::{self, Failure};
use super::statement::{self, Verdict};
use super::writer::Pending;

/// What a writer appends to.
pub(super) trait Log: Send {
    /// Appends a batch in one transaction, with a verdict for each append, in order. No stream and no key is in it twice.
    fn append(&mut self, batch: &[Pending]) -> impl Future<Output = Result<Vec<Verdict>, Failure>> + Send;

    /// What was appended under some keys; those never applied are missing from the answer.
    fn find_keys(&self, keys: &[&str]) -> impl Future<Output = Result<Vec<KeyRecord>, sqlx::Error>> + Send;

    /// Makes the partitions that a batch needs.
    fn make_room(&self, batch: &[Pending]) -> impl Future<Output = Result<(), sqlx::Error>> + Send;
}

/// The log in PostgreSQL, with one connection that appends.
pub(super) struct Postgres {
    pool: PgPool,
    /// Set up for appending, so never given back to the pool.
    connection: Option<PgConnection>,
}

impl Postgres {
    pub(super) fn new(pool: PgPool) -> Self {
        Self { pool, connection: None }
    }

    async fn connect(&self) -> Result<PgConnection, sqlx::Error> {
        let mut connection = self.pool.acquire().await?.detach();
        sqlx::raw_sql(statement::SETTINGS).execute(&mut connection).await?;
        Ok(connection)
    }
}

impl Log for Postgres {
    async fn append(&mut self, batch: &[Pending]) -> Result<Vec<Verdict>, Failure> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.connect().await.map_err(Failure::Retry)?,
        };
        match statement::append(&mut connection, batch).await {
            Ok(verdicts) => {
                self.connection = Some(connection);
                Ok(verdicts)
            }
            Err(error) => {
                let failure = Failure::of(error);
                if matches!(failure, Failure::Refused(_) | Failure::PartitionMissing(_)) {
                    self.connection = Some(connection);
                } else {
                    // Its state is unknown.
                    drop(connection);
                }
                Err(failure)
            }
        }
    }

    async fn find_keys(&self, keys: &[&str]) -> Result<Vec<KeyRecord>, sqlx::Error> {
        outcome::find_keys(&self.pool, keys).await
    }

    async fn make_room(&self, batch: &[Pending]) -> Result<(), sqlx::Error> {
        outcome::make_room(&self.pool, batch).await
    }
}
