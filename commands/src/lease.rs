//! A right that one process has at a time, for as long as it keeps renewing it. Time is the database's clock.

use std::time::Duration;

use sqlx::PgPool;
use uuid::Uuid;

/// How long a lease lasts without renewal.
pub(crate) const LEASE_LASTS: Duration = Duration::from_secs(5);
/// How often the holder renews it, and how often others try to get it.
pub(crate) const LEASE_RENEWED_EVERY: Duration = Duration::from_millis(1_500);

/// A lease that was held when last seen.
#[derive(Debug, Clone)]
pub(crate) struct Lease {
    name: String,
    holder: Uuid,
    /// Raised with every change of holder.
    pub(crate) epoch: i64,
}

impl Lease {
    /// Takes the lease if it is free or has run out.
    pub(crate) async fn acquire(pool: &PgPool, name: &str, holder: Uuid) -> Result<Option<Self>, sqlx::Error> {
        let epoch: Option<i64> = sqlx::query_scalar(
            "INSERT INTO leases AS l (name, holder, epoch, expires_at)
             VALUES ($1, $2, 1, clock_timestamp() + $3 * interval '1 millisecond')
             ON CONFLICT ON CONSTRAINT leases_key DO UPDATE
                 SET holder = excluded.holder, epoch = l.epoch + 1, expires_at = excluded.expires_at
                 WHERE l.expires_at < clock_timestamp()
             RETURNING epoch",
        )
        .bind(name)
        .bind(holder)
        .bind(milliseconds(LEASE_LASTS))
        .fetch_optional(pool)
        .await?;
        Ok(epoch.map(|epoch| Self { name: name.to_owned(), holder, epoch }))
    }

    /// Makes the lease last longer. `false`: somebody else has it now.
    pub(crate) async fn renew(&self, pool: &PgPool) -> Result<bool, sqlx::Error> {
        let renewed = sqlx::query(
            "UPDATE leases SET expires_at = clock_timestamp() + $4 * interval '1 millisecond'
             WHERE name = $1 AND holder = $2 AND epoch = $3",
        )
        .bind(&self.name)
        .bind(self.holder)
        .bind(self.epoch)
        .bind(milliseconds(LEASE_LASTS))
        .execute(pool)
        .await?;
        Ok(renewed.rows_affected() == 1)
    }

    /// Gives the lease back, so that nobody has to wait for it to run out.
    pub(crate) async fn release(self, pool: &PgPool) -> Result<(), sqlx::Error> {
        sqlx::query("UPDATE leases SET expires_at = '-infinity' WHERE name = $1 AND holder = $2 AND epoch = $3")
            .bind(&self.name)
            .bind(self.holder)
            .bind(self.epoch)
            .execute(pool)
            .await?;
        Ok(())
    }
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1_000.0
}
