//! Keys that an installation makes for itself, shared by all its processes through the database.

use sqlx::PgPool;

/// Length of a key that is made here, in bytes.
const SECRET_BYTES: usize = 32;

/// The secret of a name; made at the first call, the same for every process ever after.
///
/// # Errors
/// The database does not answer.
pub async fn secret(pool: &PgPool, name: &str) -> Result<Vec<u8>, sqlx::Error> {
    let fresh: [u8; SECRET_BYTES] = rand::random();
    sqlx::query("INSERT INTO secrets (name, value) VALUES ($1, $2) ON CONFLICT ON CONSTRAINT secrets_name DO NOTHING")
        .bind(name)
        .bind(fresh.as_slice())
        .execute(pool)
        .await?;
    sqlx::query_scalar("SELECT value FROM secrets WHERE name = $1").bind(name).fetch_one(pool).await
}
