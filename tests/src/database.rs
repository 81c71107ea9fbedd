//! A database for each test, made from the migrations and dropped at the end.

use std::str::FromStr;

use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, PgPool};
use uuid::Uuid;

/// A migrated database of its own. Dropping the value leaves the database to the end of the test server.
pub struct TestDatabase {
    /// Connections to it.
    pub pool: PgPool,
    /// Its URL, for programs that connect by themselves.
    pub url: String,
}

impl TestDatabase {
    /// Makes an empty, migrated database.
    ///
    /// # Panics
    /// `DATABASE_URL` is missing or the server does not answer: run the tests by `.dev/test`.
    pub async fn new() -> Self {
        let server = std::env::var("DATABASE_URL").expect("DATABASE_URL is not set: run the tests by .dev/test");
        let options = PgConnectOptions::from_str(&server).expect("DATABASE_URL").disable_statement_logging();
        let name = format!("test_{}", Uuid::now_v7().simple());
        let mut connection = sqlx::PgConnection::connect_with(&options).await.expect("PostgreSQL does not answer");
        sqlx::query(AssertSqlSafe(format!("CREATE DATABASE {name}"))).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();

        let options = options.database(&name);
        let url = options.to_url_lossy().to_string();
        let pool = PgPoolOptions::new().max_connections(20).connect_with(options).await.unwrap();
        commands::migrate(&pool).await.unwrap();
        Self { pool, url }
    }
}
