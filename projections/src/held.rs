//! A connection that stays with somebody who has one thing after another to do.
//!
//! A pool asks the server whether a connection lives, each time one is taken and each time it is given back: two round trips.
//! Whoever follows the log would ask hundreds of times a second.

use std::time::Duration;

use sqlx::pool::PoolConnection;
use sqlx::{PgConnection, PgPool, Postgres};
use tokio::sync::{Mutex, MutexGuard};

/// A connection that was not used for so long goes back to the pool.
pub(crate) const HELD_FOR: Duration = Duration::from_secs(1);

/// A place for a connection. It is used by one at a time.
pub(crate) struct Held {
    pool: PgPool,
    connection: Mutex<Option<PoolConnection<Postgres>>>,
}

/// The connection while it is used. Unless it is kept afterwards, it is closed: whatever state it was left in.
pub(crate) struct Used<'a> {
    pool: &'a PgPool,
    place: MutexGuard<'a, Option<PoolConnection<Postgres>>>,
    kept: bool,
}

impl Held {
    pub(crate) fn new(pool: PgPool) -> Self {
        Self { pool, connection: Mutex::new(None) }
    }

    /// The pool it comes from.
    pub(crate) fn pool(&self) -> &PgPool {
        &self.pool
    }

    /// The connection that is held, or one of the pool.
    pub(crate) async fn take(&self) -> Result<Used<'_>, sqlx::Error> {
        let mut place = self.connection.lock().await;
        if place.is_none() {
            *place = Some(self.pool.acquire().await?);
        }
        Ok(Used { pool: &self.pool, place, kept: false })
    }

    /// Waits for something. The pool gets the connection back where that takes long.
    pub(crate) async fn until<T>(&self, awaited: impl Future<Output = T>) -> T {
        let mut awaited = std::pin::pin!(awaited);
        if let Ok(output) = tokio::time::timeout(HELD_FOR, &mut awaited).await {
            return output;
        }
        self.give_back().await;
        awaited.await
    }

    /// Gives the connection back to the pool, if one is held.
    pub(crate) async fn give_back(&self) {
        drop(self.connection.lock().await.take());
    }
}

impl Used<'_> {
    /// The connection.
    ///
    /// # Errors
    /// There is none, which can't be.
    pub(crate) fn connection(&mut self) -> Result<&mut PgConnection, sqlx::Error> {
        self.place.as_deref_mut().ok_or(sqlx::Error::PoolClosed)
    }

    /// It is in order: the next one may have it. Where all of the pool's connections are in use, it goes back for whoever waits.
    pub(crate) fn keep(mut self) {
        self.kept = true;
        if self.pool.num_idle() == 0 && self.pool.size() >= self.pool.options().get_max_connections() {
            drop(self.place.take());
        }
    }
}

impl Drop for Used<'_> {
    fn drop(&mut self) {
        if !self.kept
            && let Some(mut connection) = self.place.take()
        {
            connection.close_on_drop();
        }
    }
}
