//! Read models folded anew: the same log in an empty database, by projectors that nothing disturbs.

use std::time::Duration;

use chrono_tz::Tz;
use domain::Position;
use projections::{Progress, Source, Tail, read_models};
use sqlx::postgres::PgPoolOptions;
use sqlx::{AssertSqlSafe, PgPool};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::postgres::Postgres;
use crate::history::View;

/// How long a whole log may take to be folded anew, at the end of a long run too.
const FOLDED_WITHIN: Duration = Duration::from_secs(600);
/// Connections of the projectors.
const CONNECTIONS: u32 = 10;
const NAME: &str = "folded";

/// Every table of every read model, beside what it should be at this position.
pub(super) async fn views(pool: &PgPool, postgres: &Postgres, head: Position) -> Vec<View> {
    run(pool, format!("DROP DATABASE IF EXISTS {NAME} WITH (FORCE)")).await;
    run(pool, format!("CREATE DATABASE {NAME}")).await;
    let options = PgPoolOptions::new().max_connections(CONNECTIONS);
    let copy = options.connect(&Postgres::url(postgres.address, NAME)).await.expect("a database");
    commands::migrate(&copy).await.expect("tables");
    crate::copy_log(pool, &copy, head).await;
    fold(&copy, head).await;
    let mut views = Vec::new();
    for model in read_models(Tz::UTC) {
        let at = sqlx::query_scalar("SELECT position FROM projections WHERE name = $1").bind(model.name());
        let at = at.fetch_one(pool).await.expect("the checkpoint");
        for table in model.tables() {
            let (rows, folded) = (rows(pool, table).await, rows(&copy, table).await);
            views.push(View { projection: model.name().to_owned(), table: (*table).to_owned(), at, rows, folded });
        }
    }
    copy.close().await;
    run(pool, format!("DROP DATABASE {NAME} WITH (FORCE)")).await;
    views
}

async fn fold(pool: &PgPool, head: Position) {
    let (tracker, shutdown, progress) = (TaskTracker::new(), CancellationToken::new(), Progress::new());
    let tail = Tail::start(pool.clone(), Source::Table { committed: None }, &tracker, shutdown.clone()).await;
    let models = read_models(Tz::UTC);
    let (mut positions, count) = (progress.watch(), models.len());
    tracker.spawn(projections::run(pool.clone(), tail.expect("the log"), models, progress, shutdown.clone()));
    let folded = positions.wait_for(|all| all.len() == count && all.values().all(|at| *at == head));
    drop(tokio::time::timeout(FOLDED_WITHIN, folded).await.expect("the fold takes too long").expect("projectors"));
    shutdown.cancel();
    tracker.close();
    tracker.wait().await;
}

async fn rows(pool: &PgPool, table: &str) -> Vec<String> {
    let rows = format!("SELECT r FROM (SELECT t::text AS r FROM read.{table} t) rows ORDER BY r COLLATE \"C\"");
    sqlx::query_scalar(AssertSqlSafe(rows)).fetch_all(pool).await.expect("rows of a read model")
}

async fn run(pool: &PgPool, statement: String) {
    sqlx::query(AssertSqlSafe(statement)).execute(pool).await.expect("the database");
}
