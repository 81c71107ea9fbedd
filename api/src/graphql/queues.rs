//! Queues: who waits, for how long, at which place.

use async_graphql::{ComplexObject, Context, ID, Object, Result, SimpleObject, Subscription};
use chrono::{DateTime, Utc};
use futures_util::Stream;
use projections::Snapshot;
use projections::models::ROWS_MAX;
use projections::models::queues::{self, QueueRow, WaitingRow};
use uuid::Uuid;

use super::cost;
use super::node::{GlobalId, Kind};
use super::pages::resume;
use super::scalars::Position;
use crate::auth::RequireAll;
use crate::cursor::Cursors;
use crate::error::internal;
use crate::track::{Place, Push, Shows};
use crate::views::{PageError, Pages, Views, Watch, flatten};

/// Callers shown for each board.
const WAITING_MAX: i64 = 1_000;
/// Queues that may have changed since a cursor; of more, the whole board is shown anew.
const CHANGED_MAX: i64 = ROWS_MAX;
const MODEL: &str = "queues";

/// A caller who waits.
#[derive(SimpleObject)]
struct WaitingCall {
    /// The call.
    call_id: Uuid,
    /// Place in the queue, from 1: by priority, then by time of entering.
    place: i64,
    /// Higher is served first.
    priority: i16,
    /// Begin of the wait.
    enqueued_at: DateTime<Utc>,
    /// Times the call was offered to an agent.
    offers: i32,
}

/// A queue as it is now.
#[derive(SimpleObject)]
#[graphql(complex)]
pub(crate) struct Queue {
    /// Made of the name.
    #[graphql(skip)]
    pub(super) key: Uuid,
    /// Name.
    name: String,
    /// Callers who wait.
    waiting: i32,
    /// Begin of the longest wait; its age is the longest wait.
    oldest_enqueued_at: Option<DateTime<Utc>>,
    /// Those who wait, in order of service; at most 1000 over all queues.
    #[graphql(complexity = "cost::list(cost::WAITING, child_complexity)")]
    calls: Vec<WaitingCall>,
    /// Place of the last event that changed the queue.
    position: Position,
}

#[ComplexObject]
impl Queue {
    /// Identity among everything: for `node` and for the caches of clients.
    pub(super) async fn id(&self) -> ID {
        GlobalId::new(Kind::Queue, self.key).to_id()
    }
}

/// Queues with those who wait in them.
pub(super) async fn with_calls(snapshot: &mut Snapshot, rows: Vec<QueueRow>) -> Result<Vec<Queue>, PageError> {
    let names: Vec<String> = rows.iter().map(|row| row.name.clone()).collect();
    let waiting = queues::waiting(snapshot, &names, WAITING_MAX).await?;
    let call = |row: &WaitingRow| WaitingCall {
        call_id: row.entry.call_id,
        place: row.place,
        priority: row.entry.priority,
        enqueued_at: row.entry.enqueued_at,
        offers: row.entry.offers,
    };
    let queue = |row: QueueRow| Queue {
        key: row.queue_id,
        calls: waiting.iter().filter(|waiting| waiting.entry.queue == row.name).map(call).collect(),
        name: row.name,
        waiting: row.waiting,
        oldest_enqueued_at: row.oldest_enqueued_at,
        position: Position(row.position),
    };
    Ok(rows.into_iter().map(queue).collect())
}

/// Queries about queues.
#[derive(Default)]
pub(crate) struct QueueQuery;

#[Object]
impl QueueQuery {
    /// Every queue that was ever used, by name.
    #[graphql(guard = "RequireAll(\"queue\", \"read\")", complexity = "cost::list(cost::QUEUES, child_complexity)")]
    async fn queues(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "Answer when the read model has reached this position.")] at_least: Option<Position>,
    ) -> Result<Vec<Queue>> {
        let views = context.data::<Views>()?;
        let mut snapshot = views.snapshot(&[MODEL], at_least.map(|position| position.0)).await?;
        let rows = queues::board(&mut snapshot).await.map_err(|error| internal(&error))?;
        with_calls(&mut snapshot, rows).await.map_err(|error| internal(error.as_ref()))
    }
}

/// The board, or what changed on it.
#[derive(SimpleObject)]
struct QueueBoardChanged {
    /// Goes on after this state: `after` of the next subscription.
    cursor: String,
    /// The queues are the whole board; otherwise they are those that changed.
    snapshot: bool,
    /// Queues as they are now.
    #[graphql(complexity = "cost::list(cost::QUEUES, child_complexity)")]
    queues: Vec<Queue>,
}

struct BoardPages {
    views: Views,
    watch: Watch,
    cursors: Cursors,
    seen: Option<domain::Position>,
    /// There may be something to show: at the beginning, and after a change until it was read.
    due: bool,
}

const SCOPE: &str = "queueBoard";

impl Pages for BoardPages {
    type Item = QueueBoardChanged;

    async fn next(&mut self) -> Result<Option<Vec<Push<QueueBoardChanged>>>, PageError> {
        if !self.due && self.watch.changed().await.is_none() {
            return Ok(None);
        }
        self.due = true;
        let mut snapshot = self.views.page().await?;
        let position = snapshot.position(MODEL).await?;
        let (whole, rows) = match self.seen {
            None => (true, queues::board(&mut snapshot).await?),
            Some(seen) => match queues::changed_after(&mut snapshot, seen, CHANGED_MAX).await? {
                // So many that some may be missing: everything is shown instead.
                rows if i64::try_from(rows.len()).is_ok_and(|count| count >= CHANGED_MAX) => {
                    (true, queues::board(&mut snapshot).await?)
                }
                rows => (false, rows),
            },
        };
        if !whole && rows.is_empty() {
            (self.seen, self.due) = (Some(position.max(self.seen.unwrap_or(0))), false);
            return Ok(Some(Vec::new()));
        }
        let shows = if whole { Shows::Whole } else { Shows::latest_of(rows.iter().map(|row| &row.name)) };
        let queues = with_calls(&mut snapshot, rows).await?;
        (self.seen, self.due) = (Some(position.max(self.seen.unwrap_or(0))), false);
        let payload = QueueBoardChanged { cursor: self.cursors.at(SCOPE, position), snapshot: whole, queues };
        Ok(Some(vec![Push::new(payload, position, shows)]))
    }

    fn place(&self) -> Option<Place> {
        self.seen.filter(|_| !self.due).map(|seen| Place { seen, live: true })
    }
}

/// Subscriptions to queues.
#[derive(Default)]
pub(crate) struct QueueSubscription;

#[Subscription]
impl QueueSubscription {
    /// Every queue: the whole board first, then those that changed. With `after`, only what changed since that cursor. Shows
    /// the latest state of each queue.
    #[graphql(guard = "RequireAll(\"queue\", \"read\")")]
    async fn queue_board(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "Only what changed after this cursor.")] after: Option<String>,
    ) -> Result<impl Stream<Item = QueueBoardChanged> + use<>> {
        let cursors = context.data::<Cursors>()?.clone();
        let seen = resume(context, SCOPE, after)?;
        let views = context.data::<Views>()?.clone();
        let watch = views.watch(MODEL, None);
        Ok(flatten(context, BoardPages { views, watch, cursors, seen, due: true }))
    }
}
