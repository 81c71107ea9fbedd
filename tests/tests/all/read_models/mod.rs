//! Read models on a real PostgreSQL: known days give the numbers worked out by hand, and however the log is cut into
//! batches, the tables are the same.

mod agents;
mod calls;
mod dashboard;
mod floor;
mod queues;
mod random;
mod search_words;
mod sentiment;
mod transcripts;

use projections::metrics::intervals::Tz;
use projections::{Change, Decoded, ReadModel};
use sqlx::{AssertSqlSafe, PgConnection, PgPool};
use tests::TestDatabase;

#[tokio::test]
async fn every_model_names_its_tables_and_no_other() {
    let database = TestDatabase::new().await;
    let mut named = Vec::new();
    for model in projections::read_models(Tz::UTC) {
        create(&database.pool, model.as_ref(), "read").await;
        named.extend(model.tables().iter().map(|table| (*table).to_owned()));
    }
    named.sort();
    let sql = "SELECT table_name::text FROM information_schema.tables WHERE table_schema = 'read' ORDER BY 1";
    let made: Vec<String> = sqlx::query_scalar(sql).fetch_all(&database.pool).await.unwrap();
    assert_eq!(named, made);
}

/// A database with the tables of a model, filled from events.
async fn projected(model: &dyn ReadModel, events: &[Decoded]) -> TestDatabase {
    let database = TestDatabase::new().await;
    project(&database, model, events).await;
    database
}

/// Fills the tables of a model in `read` from events in one batch, and makes sure that other batches give the same.
async fn project(database: &TestDatabase, model: &dyn ReadModel, events: &[Decoded]) {
    let pool = &database.pool;
    create(pool, model, "read").await;
    fold(pool, model, "read", events, events.len().max(1)).await;
    let whole = tables(pool, model, "read").await;
    for size in [1, 3, 50] {
        let schema = format!("{}_by_{size}", model.name());
        sqlx::raw_sql(AssertSqlSafe(format!("CREATE SCHEMA {schema}"))).execute(pool).await.unwrap();
        create(pool, model, &schema).await;
        fold(pool, model, &schema, events, size).await;
        assert_eq!(tables(pool, model, &schema).await, whole, "{} in batches of {size}", model.name());
    }
}

async fn create(pool: &PgPool, model: &dyn ReadModel, schema: &str) {
    let mut transaction = pool.begin().await.unwrap();
    search(&mut transaction, schema).await;
    sqlx::raw_sql(model.ddl()).execute(&mut *transaction).await.unwrap();
    transaction.commit().await.unwrap();
}

async fn fold(pool: &PgPool, model: &dyn ReadModel, schema: &str, events: &[Decoded], size: usize) -> Vec<Change> {
    let mut transaction = pool.begin().await.unwrap();
    search(&mut transaction, schema).await;
    let mut changes = Vec::new();
    let events: Vec<&Decoded> = events.iter().collect();
    for batch in events.chunks(size) {
        let of_batch = model.apply(&mut transaction, batch).await.unwrap();
        let (first, last) = (batch[0].recorded.position, batch[batch.len() - 1].recorded.position);
        assert!(of_batch.iter().all(|change| (first..=last).contains(&change.position)), "a change outside its batch");
        changes.extend(of_batch);
    }
    transaction.commit().await.unwrap();
    changes
}

async fn search(connection: &mut PgConnection, schema: &str) {
    let statement = format!("SET LOCAL search_path TO {schema}, public");
    sqlx::raw_sql(AssertSqlSafe(statement)).execute(connection).await.unwrap();
}

/// Every row of every table of a model, in one order.
async fn tables(pool: &PgPool, model: &dyn ReadModel, schema: &str) -> Vec<String> {
    let mut rows = Vec::new();
    for table in model.tables() {
        let statement = format!("SELECT '{table} ' || to_jsonb(t)::text AS row FROM {schema}.{table} t ORDER BY row");
        rows.extend(sqlx::query_scalar::<_, String>(AssertSqlSafe(statement)).fetch_all(pool).await.unwrap());
    }
    rows
}
