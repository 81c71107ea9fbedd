//! Making the indexes of full tables.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use sqlx::{AssertSqlSafe, PgConnection};

use super::{Rebuild, RebuildError};

/// Memory for making an index, on each of two connections.
const INDEX_MEMORY: &str = "128MB";
/// How long a second connection may take to be had. The first one makes all of them otherwise.
const HELP_WITHIN: Duration = Duration::from_secs(1);

/// Statements that nobody has begun yet.
type Waiting = Mutex<VecDeque<&'static str>>;

impl Rebuild<'_> {
    /// Makes the indexes that the questions need, two at a time: each is made by one process of the server.
    pub(super) async fn index(&self, connection: &mut PgConnection) -> Result<(), RebuildError> {
        // A semicolon at the end of a line ends a statement.
        let statements = self.model.indexes().split_inclusive(";\n").filter(|text| !text.trim().is_empty());
        let waiting: Waiting = Mutex::new(statements.collect());
        if self.model.indexes().is_empty() {
            return Ok(());
        }
        // A large one is built in memory where there is enough.
        let prepare =
            format!("SET maintenance_work_mem TO '{INDEX_MEMORY}'; SET search_path TO {}, public", self.schema);
        sqlx::raw_sql(AssertSqlSafe(prepare.clone())).execute(&mut *connection).await?;
        let help = async {
            let Ok(Ok(mut connection)) = tokio::time::timeout(HELP_WITHIN, self.pool.acquire()).await else {
                return Ok(());
            };
            // It is set up as no other is.
            connection.close_on_drop();
            sqlx::raw_sql(AssertSqlSafe(prepare)).execute(&mut *connection).await?;
            make(&mut connection, &waiting).await
        };
        tokio::try_join!(make(connection, &waiting), help)?;
        Ok(())
    }
}

/// Makes indexes until all are begun.
async fn make(connection: &mut PgConnection, waiting: &Waiting) -> Result<(), sqlx::Error> {
    let next = || waiting.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
    while let Some(statement) = next() {
        sqlx::raw_sql(statement).execute(&mut *connection).await?;
    }
    Ok(())
}
