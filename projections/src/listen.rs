//! Hearing the database's notifications. They only wake: whoever listens also looks by itself from time to time, so a
//! notification that is lost, for instance while the connection is restored, costs one interval of that look.

use sqlx::PgPool;
use sqlx::postgres::PgListener;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, watch};
use tokio_util::sync::CancellationToken;

use crate::backoff::Backoff;

/// The append side names the head of the log here; the payload is a position.
pub(crate) const EVENTS_CHANNEL: &str = "voice_events";
/// Projectors name their progress here; the payload is `name:position`.
pub(crate) const PROJECTIONS_CHANNEL: &str = "voice_projections";

/// Hands every payload of a channel to `heard` until shutdown. Holds one connection of the pool. Runs as a task of its
/// own, because a listener that is cut off in the middle of a reconnect may lose its subscription.
pub(crate) async fn listen(
    pool: PgPool,
    channel: &'static str,
    shutdown: CancellationToken,
    mut heard: impl FnMut(&str) + Send,
) {
    let mut backoff = Backoff::new();
    loop {
        let Some(ended) = shutdown.run_until_cancelled(hear(&pool, channel, &mut backoff, &mut heard)).await else {
            return;
        };
        tracing::warn!(channel, error = %ended, "notifications are not heard; polling until they are");
        if !backoff.pause(&shutdown).await {
            return;
        }
    }
}

/// Listens until the connection fails.
async fn hear(
    pool: &PgPool,
    channel: &str,
    backoff: &mut Backoff,
    heard: &mut (impl FnMut(&str) + Send),
) -> sqlx::Error {
    let mut listener = match PgListener::connect_with(pool).await {
        Ok(listener) => listener,
        Err(error) => return error,
    };
    // A pool that is being closed waits for this connection, too.
    listener.ignore_pool_close_event(false);
    if let Err(error) = listener.listen(channel).await {
        return error;
    }
    backoff.reset();
    loop {
        match listener.recv().await {
            Ok(notification) => heard(notification.payload()),
            Err(error) => return error,
        }
    }
}

/// The next of what is sent by a sender that may not exist; for ever when it does not, or does not any more. `None`: some of it was
/// missed.
pub(crate) async fn next_sent<T: Clone>(sent: &mut Option<broadcast::Receiver<T>>) -> Option<T> {
    if let Some(receiver) = sent {
        match receiver.recv().await {
            Ok(next) => return Some(next),
            Err(RecvError::Lagged(_)) => return None,
            Err(RecvError::Closed) => *sent = None,
        }
    }
    std::future::pending().await
}

/// Waits for a signal that may not exist; for ever when it does not, or does not any more.
pub(crate) async fn woken<T>(signal: &mut Option<watch::Receiver<T>>) {
    if let Some(receiver) = signal {
        if receiver.changed().await.is_ok() {
            return;
        }
        *signal = None;
    }
    std::future::pending().await
}
