//! What a projector deals with: the log on one side, the stored view on the other.

use std::collections::HashSet;
use std::sync::Arc;

use async_trait::async_trait;
use domain::Position;
use sqlx::PgPool;
use tokio::sync::{Semaphore, watch};
use uuid::Uuid;

use super::{Stop, setup, store};
use crate::feed::{Followed, Tail};
use crate::fold::{Batch, Failure};
use crate::held::Held;
use crate::log::LogError;
use crate::read_model::{Change, ReadModel};

/// Events, in order and without a gap.
#[async_trait]
pub(super) trait Events: Send + Sync {
    /// Follows the position of the newest event.
    fn watch(&self) -> watch::Receiver<Position>;

    /// Events after a position, at most `limit`; empty: the head is reached.
    async fn read(&self, after: Position, limit: usize) -> Result<Vec<Arc<Followed>>, LogError>;
}

#[async_trait]
impl Events for Tail {
    fn watch(&self) -> watch::Receiver<Position> {
        Self::watch(self)
    }

    async fn read(&self, after: Position, limit: usize) -> Result<Vec<Arc<Followed>>, LogError> {
        self.follow(after, limit).await
    }
}

/// Where a view is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) position: Position,
    /// Raised when somebody else has had a hand in the view.
    pub(super) generation: i64,
    pub(super) parked_keys: HashSet<Uuid>,
}

/// A stored view with its checkpoint.
#[async_trait]
pub(super) trait View: Send + Sync {
    /// Permanent name.
    fn name(&self) -> &'static str;

    /// Brings the stored view to this program's version.
    async fn prepare(&self) -> Result<(), Stop>;

    /// Reads the checkpoint and what is parked, from one moment.
    async fn load(&self) -> Result<Place, Stop>;

    /// Rows, checkpoint, changes and what is parked in one transaction. `None`: the checkpoint was not where it was left, and
    /// nothing was done.
    async fn commit(&self, position: Position, generation: i64, batch: &Batch) -> Result<Option<Vec<Change>>, Failure>;

    /// Whether somebody may be waiting for what one of these events changes.
    fn urgent(&self, events: &[Arc<Followed>]) -> bool;

    /// There was nothing to do for a while.
    async fn rest(&self) {}

    /// Removes change rows that nobody may ask for any more. What is not removed now is removed later.
    async fn prune(&self, position: Position);
}

/// A view in PostgreSQL.
pub(super) struct Stored {
    held: Held,
    model: Arc<dyn ReadModel>,
    rebuilds: Arc<Semaphore>,
}

impl Stored {
    pub(super) fn new(pool: PgPool, model: Arc<dyn ReadModel>, rebuilds: Arc<Semaphore>) -> Self {
        Self { held: Held::new(pool), model, rebuilds }
    }
}

#[async_trait]
impl View for Stored {
    fn name(&self) -> &'static str {
        self.model.name()
    }

    async fn prepare(&self) -> Result<(), Stop> {
        setup::prepare(self.held.pool(), self.model.as_ref(), &self.rebuilds).await
    }

    async fn load(&self) -> Result<Place, Stop> {
        store::load(self.held.pool(), self.model.as_ref()).await
    }

    async fn commit(&self, position: Position, generation: i64, batch: &Batch) -> Result<Option<Vec<Change>>, Failure> {
        let mut used = self.held.take().await.map_err(Failure::Machinery)?;
        let connection = used.connection().map_err(Failure::Machinery)?;
        let place = (position, generation);
        let done = store::transact(connection, self.model.as_ref(), place, batch).await;
        // Otherwise it is closed, whatever state it was left in, and whatever it has prepared for tables that are not there any more.
        if done.is_ok() {
            used.keep();
        }
        done
    }

    fn urgent(&self, events: &[Arc<Followed>]) -> bool {
        // What can't be decoded is to be parked.
        events.iter().any(|event| event.decoded().map_or(true, |event| self.model.urgent(&event.event)))
    }

    async fn rest(&self) {
        self.held.give_back().await;
    }

    async fn prune(&self, position: Position) {
        let name = self.model.name();
        let pruned = async {
            let mut used = self.held.take().await?;
            store::prune(used.connection()?, name, position).await?;
            used.keep();
            Ok::<_, sqlx::Error>(())
        };
        if let Err(error) = pruned.await {
            tracing::warn!(projection = name, %error, "old changes could not be removed");
        }
    }
}
