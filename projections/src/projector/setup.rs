//! Making sure, before anything is projected, that the tables are there and of this program's version.

use domain::Position;
use sqlx::{AssertSqlSafe, PgPool};
use tokio::sync::Semaphore;

use super::Stop;
use crate::log;
use crate::read_model::ReadModel;
use crate::rebuild::{self, Options, names};

/// A view that was never made is projected from the first event when the log has at most this many; beyond it, it is
/// rebuilt in larger batches and without telling anybody about changes nobody can have seen.
const FRESH_EVENTS_MAX: Position = 10_000;

/// Brings the stored view to this program's version. A view that is made anew waits for one of the places for `rebuilds`.
pub(super) async fn prepare(pool: &PgPool, model: &dyn ReadModel, rebuilds: &Semaphore) -> Result<(), Stop> {
    let stored: Option<i32> = sqlx::query_scalar("SELECT version FROM projections WHERE name = $1")
        .bind(model.name())
        .fetch_optional(pool)
        .await?;
    let own = model.version();
    match stored {
        None if log::head(pool).await? <= FRESH_EVENTS_MAX => create(pool, model).await,
        None => anew(pool, model, rebuilds, "it was never made").await,
        Some(stored) if stored < own => anew(pool, model, rebuilds, "it is of an earlier version").await,
        // Two programs that both insist on their own version would rebuild for ever.
        Some(stored) if stored > own => Err(Stop::Newer { stored, own }),
        Some(_) if names::missing(pool, model).await?.is_empty() => Ok(()),
        Some(_) => anew(pool, model, rebuilds, "tables are missing").await,
    }
}

async fn anew(pool: &PgPool, model: &dyn ReadModel, rebuilds: &Semaphore, why: &str) -> Result<(), Stop> {
    let projection = model.name();
    // Never closed.
    let _place = rebuilds.acquire().await;
    tracing::info!(projection, why, "the view is rebuilt");
    match rebuild::rebuild(pool, model, Options::default(), &|_| {}).await {
        Ok(report) => {
            let (position, seconds) = (report.position, report.duration.as_secs_f64());
            tracing::info!(projection, position, seconds, "the view was rebuilt");
            Ok(())
        }
        Err(rebuild::RebuildError::AlreadyRunning { .. }) => Err(Stop::Busy),
        Err(error) => Err(error.into()),
    }
}

/// Makes empty tables and a checkpoint before the first event. Tables without a checkpoint are worth nothing.
async fn create(pool: &PgPool, model: &dyn ReadModel) -> Result<(), Stop> {
    let tables = names::qualified(names::LIVE_SCHEMA, model)?;
    let mut transaction = pool.begin().await?;
    if !names::lock_for_transaction(&mut transaction, model).await? {
        return Err(Stop::Busy);
    }
    let made: bool = sqlx::query_scalar("SELECT EXISTS (SELECT FROM projections WHERE name = $1)")
        .bind(model.name())
        .fetch_one(&mut *transaction)
        .await?;
    if made {
        return Ok(());
    }
    sqlx::query(AssertSqlSafe(format!("DROP TABLE IF EXISTS {tables}"))).execute(&mut *transaction).await?;
    sqlx::raw_sql("SET LOCAL search_path TO read, public").execute(&mut *transaction).await?;
    sqlx::raw_sql(model.ddl()).execute(&mut *transaction).await?;
    sqlx::raw_sql(model.indexes()).execute(&mut *transaction).await?;
    sqlx::query("INSERT INTO public.projections (name, version, position) VALUES ($1, $2, 0)")
        .bind(model.name())
        .bind(model.version())
        .execute(&mut *transaction)
        .await?;
    transaction.commit().await?;
    Ok(())
}
