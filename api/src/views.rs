//! The read side as the API uses it: snapshots that are new enough, and streams that go on from a cursor.

use std::collections::HashSet;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::time::Duration;

use async_graphql::{Context, Result};
use commands::Database;
use domain::Position;
use futures_util::{Stream, StreamExt, stream};
use projections::{Changed, Changes, Snapshot, Tail};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, broadcast};
use uuid::Uuid;

use crate::error::{internal, unavailable};
use crate::track::{Place, Push, Track};

/// How long a query waits for a read model to reach the position it asks for.
const REACH_WITHIN: Duration = Duration::from_secs(5);
/// Hint for a client whose position was not reached, in milliseconds.
const RETRY_AFTER_MS: u32 = 500;
/// Pause of a stream whose database did not answer.
const STREAM_RETRY: Duration = Duration::from_millis(500);

/// Pages of subscriptions take one in so many of the connections, and at least one: however many catch up, and however slow
/// the database is, the rest is left to those who give commands and ask.
const CONNECTIONS_A_PAGE: u32 = 4;

/// The read side. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Views {
    pub(crate) database: Database,
    pub(crate) changes: Changes,
    pub(crate) tail: Tail,
    /// Places of those who read a page.
    pages: Arc<Semaphore>,
}

/// A snapshot for a page of a subscription.
pub(crate) struct PageSnapshot {
    snapshot: Snapshot,
    _place: OwnedSemaphorePermit,
}

impl Deref for PageSnapshot {
    type Target = Snapshot;

    fn deref(&self) -> &Snapshot {
        &self.snapshot
    }
}

impl DerefMut for PageSnapshot {
    fn deref_mut(&mut self) -> &mut Snapshot {
        &mut self.snapshot
    }
}

impl Views {
    pub(crate) fn new(database: Database, changes: Changes, tail: Tail) -> Self {
        let places = (database.options().get_max_connections() / CONNECTIONS_A_PAGE).max(1);
        let pages = Arc::new(Semaphore::new(usize::try_from(places).unwrap_or(usize::MAX)));
        Self { database, changes, tail, pages }
    }

    /// A place among those who read a page of a subscription, in the order in which they come.
    pub(crate) async fn place_of_page(&self) -> Result<OwnedSemaphorePermit, PageError> {
        Ok(Arc::clone(&self.pages).acquire_owned().await?)
    }

    /// A snapshot of now for a page of a subscription, when it is its turn.
    pub(crate) async fn page(&self) -> Result<PageSnapshot, PageError> {
        let place = self.place_of_page().await?;
        Ok(PageSnapshot { snapshot: self.begin().await?, _place: place })
    }

    /// A snapshot in which each of these read models has reached a position.
    pub(crate) async fn snapshot(&self, models: &[&str], at_least: Option<Position>) -> Result<Snapshot> {
        // Everything has reached the beginning.
        if let Some(position) = at_least.filter(|position| *position > 0) {
            for model in models {
                let reached = self.changes.wait_for(model, position, REACH_WITHIN).await;
                reached.map_err(|behind| {
                    let message = format!("{model} has reached position {}, not {position} yet", behind.at);
                    unavailable("PROJECTION_BEHIND", &message, RETRY_AFTER_MS)
                })?;
            }
        }
        self.begin().await.map_err(|error| internal(error.as_ref()))
    }

    /// A snapshot of now. Begun on a task of its own, because whoever asks may go at any moment: sqlx 0.9.0 puts a
    /// connection on which BEGIN was cut off back into the pool with its transaction open (transact-rs/sqlx#4393).
    async fn begin(&self) -> Result<Snapshot, PageError> {
        let database = self.database.clone();
        Ok(tokio::spawn(async move { Snapshot::begin(&database).await }).await??)
    }

    /// Watches one read model.
    pub(crate) fn watch(&self, model: &'static str, key: Option<Uuid>) -> Watch {
        Watch { receiver: self.changes.subscribe(), model, key }
    }
}

/// Wakes when a read model has changed in what is watched.
pub(crate) struct Watch {
    receiver: broadcast::Receiver<Arc<Changed>>,
    model: &'static str,
    key: Option<Uuid>,
}

impl Watch {
    /// Waits for the next change; `None` when there will be none. The keys that changed, or `Some(None)` when that can't
    /// be told and anything may have.
    pub(crate) async fn changed(&mut self) -> Option<Option<HashSet<Uuid>>> {
        loop {
            match self.receiver.recv().await {
                Ok(changed) if changed.projection != self.model => {}
                Ok(changed) => {
                    let concerns = |keys: &HashSet<Uuid>| self.key.is_none_or(|key| keys.contains(&key));
                    if changed.keys.as_ref().is_none_or(concerns) {
                        return Some(changed.keys.clone());
                    }
                }
                // What was missed may have been ours.
                Err(RecvError::Lagged(_)) => return Some(None),
                Err(RecvError::Closed) => return None,
            }
        }
    }
}

/// Something that yields one page of items after another.
pub(crate) trait Pages: Send + Sized + 'static {
    /// What subscribers get.
    type Item: Send + 'static;

    /// The next items, waiting for them if need be; `None` at the end. An error is the machinery's: it is logged, and the
    /// page is asked for again, so that a database that was away does not end a subscription.
    fn next(&mut self) -> impl Future<Output = Result<Option<Vec<Push<Self::Item>>>, PageError>> + Send;

    /// Where the stream is between two pages; `None`: not yet anywhere.
    fn place(&self) -> Option<Place>;
}

/// Why a page could not be made.
pub(crate) type PageError = Box<dyn std::error::Error + Send + Sync>;

/// The items of pages as one stream, and on the request's track what they are. A client that does not take them stops the
/// pages from being made: nothing is buffered for it but the page at hand.
pub(crate) fn flatten<P: Pages>(
    context: &Context<'_>,
    pages: P,
) -> impl Stream<Item = P::Item> + Send + 'static + use<P> {
    let track = context.data_opt::<Arc<Track>>().cloned().unwrap_or_default();
    track.begin();
    let yielded = Arc::clone(&track);
    let pages = stream::unfold((pages, track), async |(mut pages, track)| {
        loop {
            track.reached(pages.place());
            match pages.next().await {
                Ok(Some(items)) => return Some((stream::iter(items), (pages, track))),
                Ok(None) => return None,
                Err(error) => {
                    tracing::warn!(%error, "a subscription's next page could not be read; trying again");
                    tokio::time::sleep(STREAM_RETRY).await;
                }
            }
        }
    });
    pages.flatten().map(move |push| {
        yielded.yielded(push.shown);
        push.payload
    })
}
