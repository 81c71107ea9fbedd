//! A database for each test, made from the migrations and dropped at the end.

use std::str::FromStr;

use domain::Position;
use futures_util::StreamExt;
use sqlx::postgres::{PgConnectOptions, PgPoolCopyExt};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, PgPool};
use uuid::Uuid;

/// A migrated database of its own. It is dropped with the value, unless the test failed: then it is left to be looked at.
pub struct TestDatabase {
    /// Connections to it.
    pub pool: PgPool,
    /// Its URL, for programs that connect by themselves.
    pub url: String,
    name: String,
    server: PgConnectOptions,
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        let (server, drop) = (self.server.clone(), format!("DROP DATABASE {} WITH (FORCE)", self.name));
        // On a thread of its own, because a test's runtime may have but one.
        let dropping = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let mut connection = sqlx::PgConnection::connect_with(&server).await.unwrap();
                sqlx::query(AssertSqlSafe(drop)).execute(&mut connection).await.unwrap();
            });
        });
        dropping.join().unwrap();
    }
}

impl TestDatabase {
    /// Makes an empty, migrated database.
    ///
    /// # Panics
    /// `DATABASE_URL` is missing or the server does not answer: run the tests by `.dev/test`.
    pub async fn new() -> Self {
        Self::on(&std::env::var("DATABASE_URL").expect("DATABASE_URL is not set: run the tests by .dev/test")).await
    }

    /// The same on a server of one's own, as whose superuser the URL connects.
    ///
    /// # Panics
    /// The server does not answer.
    pub async fn on(server: &str) -> Self {
        let options = PgConnectOptions::from_str(server).expect("a URL").disable_statement_logging();
        let name = format!("test_{}", Uuid::now_v7().simple());
        let mut connection = sqlx::PgConnection::connect_with(&options).await.expect("PostgreSQL does not answer");
        sqlx::query(AssertSqlSafe(format!("CREATE DATABASE {name}"))).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();

        let server = options.clone();
        let options = options.database(&name);
        let url = options.to_url_lossy().to_string();
        let pool = commands::pool_options().max_connections(20).connect_with(options).await.unwrap();
        commands::migrate(&pool).await.unwrap();
        Self { pool, url, name, server }
    }
}

/// Copies the log into a migrated database that has none, and nothing else.
///
/// # Panics
/// One of the databases does not answer.
pub async fn copy_log(from: &PgPool, to: &PgPool, head: Position) {
    for table in ["events", "stream_partitions", "append_keys"] {
        let mut rows = from.copy_out_raw(&format!("COPY (SELECT * FROM {table}) TO STDOUT")).await.expect("rows");
        let mut into = to.copy_in_raw(&format!("COPY {table} FROM STDIN")).await.expect("a table");
        while let Some(chunk) = rows.next().await {
            into.send(chunk.expect("rows")).await.expect("room");
        }
        into.finish().await.expect("a copy");
    }
    sqlx::query("UPDATE event_log SET position = $1").bind(head).execute(to).await.expect("the head");
}
