//! Following the log in its table.
//!
//! What the append side of the same process has committed is handed over, and not read at all where it follows what is here. Two
//! things wake the reader of the table: a notification from another process, and the clock. Only the last can be relied on, so
//! it bounds how late an event is seen when the others fail.

use std::sync::Arc;
use std::time::Duration;

use domain::{Committed, Position, Recorded};
use tokio::sync::{broadcast, watch};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::Inner;
use crate::backoff::Backoff;
use crate::held::{HELD_FOR, Held};
use crate::listen::{EVENTS_CHANNEL, listen, next_sent};
use crate::log;

/// Most events read at once.
const FETCH_EVENTS_MAX: usize = 1_000;
/// Look by the clock after the log has moved.
const POLL_MIN: Duration = Duration::from_millis(50);
/// Look by the clock when nothing has happened for a while.
const POLL_MAX: Duration = Duration::from_millis(250);

/// Hands on what is new until shutdown.
pub(super) async fn follow(
    inner: Arc<Inner>,
    mut committed: Option<broadcast::Receiver<Committed>>,
    tracker: TaskTracker,
    shutdown: CancellationToken,
) {
    let (named, mut notified) = watch::channel(0);
    let here = Arc::clone(&inner);
    tracker.spawn(listen(inner.pool.clone(), EVENTS_CHANNEL, shutdown.clone(), move |payload| {
        // The table is asked anyway, unless what was named is here: by way of the append side of this process.
        let position = payload.parse::<Position>().unwrap_or(Position::MAX);
        if position > here.head() {
            named.send_replace(position);
        }
    }));
    let held = Held::new(inner.pool.clone());
    let mut moved = Instant::now();
    let mut poll = POLL_MIN;
    let mut backoff = Backoff::new();
    loop {
        match fetch(&inner, &held).await {
            Ok(0) => {
                poll = (poll * 2).min(POLL_MAX);
                if moved.elapsed() > HELD_FOR {
                    held.give_back().await;
                }
            }
            Ok(_) => (poll, moved) = (POLL_MIN, Instant::now()),
            Err(error) => {
                tracing::error!(%error, cause = ?std::error::Error::source(&error), position = inner.head(),
                                "the log can't be followed; trying again");
                if !backoff.pause(&shutdown).await {
                    return;
                }
                continue;
            }
        }
        backoff.reset();
        let look_at = Instant::now() + poll;
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return,
                told = next_sent(&mut committed) => if told.is_some_and(|events| hand_on(&inner, &events)) {
                    moved = Instant::now();
                    continue;
                },
                named = notified.changed() => if named.is_ok() && *notified.borrow() <= inner.head() {
                    continue;
                },
                () = sleep_until(look_at) => {}
            }
            break;
        }
    }
}

/// Hands on what is new of some events. `false`: something that is not here comes before them.
fn hand_on(inner: &Inner, events: &[Arc<Recorded>]) -> bool {
    let head = inner.head();
    let known = events.partition_point(|event| event.position <= head);
    let follows = events.get(known).is_none_or(|event| event.position == head + 1);
    if follows {
        inner.push(events[known..].to_vec());
    }
    follows
}

/// Reads everything up to the log's head; the number of events.
async fn fetch(inner: &Inner, held: &Held) -> Result<usize, log::LogError> {
    let mut used = held.take().await?;
    let mut total = 0;
    loop {
        let events = log::read_after(used.connection()?, inner.head(), FETCH_EVENTS_MAX).await?;
        let count = events.len();
        inner.push(events.into_iter().map(Arc::new).collect());
        total += count;
        if count < FETCH_EVENTS_MAX {
            used.keep();
            return Ok(total);
        }
    }
}
