//! Connections to the database.

use std::str::FromStr;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{ConnectOptions, Connection};

/// A pool of connections; the handle that the edges pass on without seeing any SQL.
pub type Database = sqlx::PgPool;

/// How long a request waits for a free connection before it fails.
pub(crate) const ACQUIRE_WITHIN: Duration = Duration::from_secs(5);
/// A connection that was idle for longer is asked whether it still lives before it is handed out. It costs a round trip.
const TRUSTED_FOR: Duration = Duration::from_millis(200);
/// A statement that takes longer is logged.
const SLOW_STATEMENT: Duration = Duration::from_secs(2);

/// The database could not be reached.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// Not a PostgreSQL URL.
    #[error("DATABASE_URL is no PostgreSQL URL: {0}")]
    Url(String),
    /// No answer, or no entry.
    #[error("the database does not answer")]
    Connect(#[source] sqlx::Error),
}

/// Connects, and makes sure that the server answers.
///
/// # Errors
/// The URL is none, or the server does not let us in.
pub async fn connect(url: &str, connections_max: u32) -> Result<Database, ConnectError> {
    let options = PgConnectOptions::from_str(url)
        .map_err(|error| ConnectError::Url(error.to_string()))?
        .application_name("voice")
        // A session that hangs inside a transaction would hold the counter of the log locked.
        .options([("idle_in_transaction_session_timeout", "30000")])
        // Queries here are short: compiling one takes longer than running it.
        .options([("jit", "off")])
        .log_slow_statements(tracing::log::LevelFilter::Warn, SLOW_STATEMENT);
    let pool = pool_options().max_connections(connections_max).acquire_timeout(ACQUIRE_WITHIN);
    match pool.connect_with(options.clone()).await {
        Ok(pool) => Ok(pool),
        // The pool has tried all the time, and does not say what came of it.
        Err(sqlx::Error::PoolTimedOut) => {
            let reason = tokio::time::timeout(ACQUIRE_WITHIN, options.connect()).await;
            Err(ConnectError::Connect(reason.ok().and_then(Result::err).unwrap_or(sqlx::Error::PoolTimedOut)))
        }
        Err(error) => Err(ConnectError::Connect(error)),
    }
}

/// How a pool treats its connections: those that were used a moment ago are trusted, and others asked first.
#[must_use]
pub fn pool_options() -> PgPoolOptions {
    PgPoolOptions::new().test_before_acquire(false).before_acquire(|connection, seen| {
        Box::pin(async move {
            if seen.idle_for > TRUSTED_FOR {
                connection.ping().await?;
            }
            Ok(true)
        })
    })
}

/// One connection to the same database that the others can't use up, made when it is first needed: for asking how things
/// are when everything else is busy.
#[must_use]
pub fn apart(database: &Database) -> Database {
    let options = database.connect_options().as_ref().clone();
    pool_options().max_connections(1).acquire_timeout(ACQUIRE_WITHIN).connect_lazy_with(options)
}

/// Whether the database answers in time.
pub async fn answers(database: &Database, within: Duration) -> bool {
    let asked = async { database.acquire().await?.ping().await };
    tokio::time::timeout(within, asked).await.is_ok_and(|answered| answered.is_ok())
}

/// Whether an error, or what caused it, says that the database can't be used now and says nothing about what was asked of
/// it: no connection, none free, or a server that starts, stops or is out of something. A moment later it may work.
#[must_use]
pub fn is_away(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        match error.downcast_ref::<sqlx::Error>() {
            Some(sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut | sqlx::Error::WorkerCrashed) => return true,
            // Appendix A of PostgreSQL's manual: connection exceptions, insufficient resources, operator intervention.
            Some(sqlx::Error::Database(refused)) => {
                return refused
                    .code()
                    .is_some_and(|code| code.starts_with("08") || code.starts_with("53") || code.starts_with("57P"));
            }
            _ => {}
        }
        next = error.source();
    }
    false
}
