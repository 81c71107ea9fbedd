//! What follows an append outside its transaction: waking readers of other processes, and making partitions ahead.

use std::time::Duration;

use domain::Position;
use sqlx::pool::PoolConnection;
use sqlx::{PgPool, Postgres};
use tokio::sync::watch;
use tokio::sync::watch::error::RecvError;
use tokio_util::sync::CancellationToken;

/// Channel that other processes listen on; the payload is a position.
pub(crate) const EVENTS_CHANNEL: &str = "voice_events";
/// Readers of other processes are notified at most this often. Each notification takes a transaction of its own, so that
/// under load, more of them would slow down what they tell about.
const NOTIFY_EVERY: Duration = Duration::from_millis(2);
/// A connection that was not used for so long goes back to the pool.
const KEPT_FOR: Duration = Duration::from_secs(1);
/// Pause after the database refused, so that a database that is away is not hammered.
const RETRY_PAUSE: Duration = Duration::from_millis(250);

/// Notifies at most once for all that was committed since the last time. A notification in every append's transaction
/// would take a database-wide lock at each commit; one that is lost costs a reader one interval of its fallback poll.
pub(super) async fn run(
    pool: PgPool,
    mut head: watch::Receiver<Position>,
    partition_size: i64,
    shutdown: CancellationToken,
) {
    let mut room_until: Position = 0;
    let mut kept: Option<PoolConnection<Postgres>> = None;
    loop {
        let position = *head.borrow_and_update();
        if position + partition_size / 2 > room_until {
            let wanted = position + partition_size;
            match sqlx::query("SELECT ensure_event_partition($1)").bind(wanted).execute(&pool).await {
                // The whole partition that holds `wanted` is there now.
                Ok(_) => room_until = (wanted - 1) / partition_size * partition_size + partition_size,
                Err(error) => {
                    tracing::warn!(%error, "the next partition of the log could not be made ahead")
                }
            }
        }
        if let Err(error) = notify(&pool, &mut kept, position).await {
            tracing::warn!(%error, position, "readers could not be notified");
            tokio::time::sleep(RETRY_PAUSE).await;
        }
        tokio::time::sleep(NOTIFY_EVERY).await;
        tokio::select! {
            moved = next(&mut head, &mut kept) => if moved.is_err() { return },
            () = shutdown.cancelled() => {
                // The writers drop their side once they have drained the queue.
                if head.changed().await.is_err() { return }
            }
        }
    }
}

/// Names a position, on the connection that is kept or one of the pool.
async fn notify(
    pool: &PgPool,
    kept: &mut Option<PoolConnection<Postgres>>,
    position: Position,
) -> Result<(), sqlx::Error> {
    let mut connection = match kept.take() {
        Some(connection) => connection,
        None => pool.acquire().await?,
    };
    // Not flushed to disk: what it tells about is, and a notification does not outlive the server anyway.
    sqlx::query("SELECT set_config('synchronous_commit', 'off', true), pg_notify($1, $2)")
        .bind(EVENTS_CHANNEL)
        .bind(position.to_string())
        .execute(&mut *connection)
        .await?;
    // Where all of the pool's connections are in use, it goes back for whoever waits.
    if pool.num_idle() > 0 || pool.size() < pool.options().get_max_connections() {
        *kept = Some(connection);
    }
    Ok(())
}

/// Waits for the next append. The pool gets the connection back when none comes: giving it back after each notification would
/// be a round trip more, since a pool asks the server whether it is still good.
async fn next(
    head: &mut watch::Receiver<Position>,
    kept: &mut Option<PoolConnection<Postgres>>,
) -> Result<(), RecvError> {
    if let Ok(moved) = tokio::time::timeout(KEPT_FOR, head.changed()).await {
        return moved;
    }
    *kept = None;
    head.changed().await
}
