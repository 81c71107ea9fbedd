//! The database's shape, brought up to date.

use sqlx::PgPool;

/// A migration could not be applied, or the database was migrated by a newer program.
#[derive(Debug, thiserror::Error)]
#[error("the database could not be migrated")]
pub struct MigrateError(#[from] sqlx::migrate::MigrateError);

/// Applies the migrations that are missing. Safe to call from several processes at once.
///
/// # Errors
/// A migration failed or does not match what was applied before.
pub async fn migrate(pool: &PgPool) -> Result<(), MigrateError> {
    static MIGRATOR: sqlx::migrate::Migrator = sqlx::migrate!("../migrations");
    Ok(MIGRATOR.run(pool).await?)
}
