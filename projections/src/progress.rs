//! How far the read models are.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use domain::Position;
use sqlx::PgPool;
use tokio::sync::{broadcast, watch};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::backoff::Backoff;
use crate::held::Held;
use crate::listen::PROJECTIONS_CHANNEL;

/// Shortest time between two notifications: each takes a lock of the whole database for a moment.
const NOTIFY_PAUSE: Duration = Duration::from_millis(5);

/// Checkpoint of every projection by name.
pub type Positions = BTreeMap<&'static str, Position>;

/// Commits of this process's projectors that wait for the hub. More, and it reads what it missed.
const MOVED_WAITING_MAX: usize = 1_024;

/// A projector of this process has committed.
#[derive(Debug, Clone)]
pub(crate) struct Moved {
    pub(crate) name: &'static str,
    /// The checkpoint before, if every change since then is in `keys`: nobody else has had a hand in it.
    pub(crate) after: Option<Position>,
    pub(crate) upto: Position,
    pub(crate) keys: Arc<HashSet<Uuid>>,
}

/// What the projectors of this process have committed, for those in the same process who wait for it. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Progress {
    positions: Arc<watch::Sender<Positions>>,
    moved: broadcast::Sender<Moved>,
}

impl Default for Progress {
    fn default() -> Self {
        Self { positions: Arc::default(), moved: broadcast::Sender::new(MOVED_WAITING_MAX) }
    }
}

impl Progress {
    /// Nothing committed yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Follows what is committed.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<Positions> {
        self.positions.subscribe()
    }

    /// Follows every commit.
    pub(crate) fn moves(&self) -> broadcast::Receiver<Moved> {
        self.moved.subscribe()
    }

    pub(crate) fn committed(&self, moved: Moved) {
        let Moved { name, upto, .. } = moved;
        // Nobody may be listening.
        drop(self.moved.send(moved));
        self.positions.send_modify(|positions| {
            positions.insert(name, upto);
        });
    }
}

/// Names the progress of this process to others, at most once every [`NOTIFY_PAUSE`]. What is lost costs a listener one
/// interval of its own look.
pub(crate) async fn notify(pool: PgPool, mut progress: watch::Receiver<Positions>, shutdown: CancellationToken) {
    let (held, mut told, mut backoff) = (Held::new(pool), Positions::new(), Backoff::new());
    loop {
        let moved = shutdown.run_until_cancelled(held.until(progress.changed())).await;
        let Some(Ok(())) = moved else { return };
        let now = progress.borrow_and_update().clone();
        let news = now.iter().filter(|(name, position)| told.get(*name) != Some(position));
        let news: Vec<String> = news.map(|(name, position)| format!("{name}:{position}")).collect();
        match say(&held, news).await {
            Ok(()) => {
                told = now;
                backoff.reset();
                shutdown.run_until_cancelled(tokio::time::sleep(NOTIFY_PAUSE)).await;
            }
            Err(error) => {
                tracing::warn!(%error, "progress of the read models could not be notified");
                backoff.pause(&shutdown).await;
            }
        }
    }
}

async fn say(held: &Held, news: Vec<String>) -> Result<(), sqlx::Error> {
    let mut used = held.take().await?;
    sqlx::query("SELECT pg_notify($1, said) FROM unnest($2::text[]) said")
        .bind(PROJECTIONS_CHANNEL)
        .bind(news)
        .execute(used.connection()?)
        .await?;
    used.keep();
    Ok(())
}
