//! Names that go into statements: schemas and tables of read models. They come from the program, not from people; they are
//! checked all the same, because they can't be bound like values.

use sqlx::{PgConnection, PgExecutor};

use super::RebuildError;
use crate::read_model::ReadModel;

/// Schema of the views that are served.
pub(crate) const LIVE_SCHEMA: &str = "read";
/// Longest name; PostgreSQL cuts names off at 63 bytes, and the schema of a rebuild has a prefix.
const NAME_BYTES_MAX: usize = 48;
/// First half of the advisory lock that makes a view be made by one process only; the other half is its name's hash. The
/// number is arbitrary and only used here.
const LOCK_CLASS: i32 = 7_301_002;

/// Schema in which a view is rebuilt.
pub(super) fn rebuild_schema(model: &dyn ReadModel) -> Result<String, RebuildError> {
    Ok(format!("rebuild_{}", checked(model.name())?))
}

/// The model's tables with their schema, separated by commas.
pub(crate) fn qualified(schema: &str, model: &dyn ReadModel) -> Result<String, RebuildError> {
    let tables: Result<Vec<_>, _> =
        model.tables().iter().map(|table| Ok(format!("{schema}.{}", checked(table)?))).collect();
    tables.map(|tables| tables.join(", "))
}

/// A name that needs no quoting.
pub(super) fn checked(name: &str) -> Result<&str, RebuildError> {
    let plain = name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_'));
    if plain && name.starts_with(|first: char| first.is_ascii_lowercase()) && name.len() <= NAME_BYTES_MAX {
        Ok(name)
    } else {
        Err(RebuildError::Name(name.to_owned()))
    }
}

/// Tables of the served view that are not there.
pub(crate) async fn missing<'e>(
    executor: impl PgExecutor<'e>,
    model: &dyn ReadModel,
) -> Result<Vec<&'static str>, sqlx::Error> {
    let missing: Vec<String> =
        sqlx::query_scalar("SELECT t FROM unnest($1::text[]) t WHERE to_regclass($2 || '.' || quote_ident(t)) IS NULL")
            .bind(model.tables())
            .bind(LIVE_SCHEMA)
            .fetch_all(executor)
            .await?;
    Ok(model.tables().iter().copied().filter(|table| missing.iter().any(|name| name == table)).collect())
}

/// Takes the right to make the view, until the connection is closed. `false`: somebody else has it.
pub(super) async fn lock_for_session(
    connection: &mut PgConnection,
    model: &dyn ReadModel,
) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar("SELECT pg_try_advisory_lock($1, hashtext($2))")
        .bind(LOCK_CLASS)
        .bind(model.name())
        .fetch_one(connection)
        .await
}

/// Gives the right back.
pub(super) async fn unlock_session(connection: &mut PgConnection, model: &dyn ReadModel) -> Result<(), sqlx::Error> {
    sqlx::query("SELECT pg_advisory_unlock($1, hashtext($2))")
        .bind(LOCK_CLASS)
        .bind(model.name())
        .execute(connection)
        .await?;
    Ok(())
}

/// Takes the right to make the view, until the transaction ends. `false`: somebody else has it.
pub(crate) async fn lock_for_transaction(
    connection: &mut PgConnection,
    model: &dyn ReadModel,
) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar("SELECT pg_try_advisory_xact_lock($1, hashtext($2))")
        .bind(LOCK_CLASS)
        .bind(model.name())
        .fetch_one(connection)
        .await
}
