//! What a projector deals with: the log on one side, the stored view on the other.

use std::collections::HashSet;
use std::sync::Arc;

use async_trait::async_trait;
use domain::{Position, Recorded};
use sqlx::PgPool;
use tokio::sync::watch;
use uuid::Uuid;

use super::{Stop, setup, store};
use crate::feed::Tail;
use crate::fold::{Batch, Failure};
use crate::log::LogError;
use crate::read_model::{Change, ReadModel};

/// Events, in order and without a gap.
#[async_trait]
pub(super) trait Events: Send + Sync {
    /// Follows the position of the newest event.
    fn watch(&self) -> watch::Receiver<Position>;

    /// Events after a position, at most `limit`; empty: the head is reached.
    async fn read(&self, after: Position, limit: usize) -> Result<Vec<Arc<Recorded>>, LogError>;
}

#[async_trait]
impl Events for Tail {
    fn watch(&self) -> watch::Receiver<Position> {
        Self::watch(self)
    }

    async fn read(&self, after: Position, limit: usize) -> Result<Vec<Arc<Recorded>>, LogError> {
        Self::read(self, after, limit).await
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

    /// Removes change rows that nobody may ask for any more. What is not removed now is removed later.
    async fn prune(&self, position: Position);
}

/// A view in PostgreSQL.
pub(super) struct Stored {
    pub(super) pool: PgPool,
    pub(super) model: Arc<dyn ReadModel>,
}

#[async_trait]
impl View for Stored {
    fn name(&self) -> &'static str {
        self.model.name()
    }

    async fn prepare(&self) -> Result<(), Stop> {
        setup::prepare(&self.pool, self.model.as_ref()).await
    }

    async fn load(&self) -> Result<Place, Stop> {
        store::load(&self.pool, self.model.as_ref()).await
    }

    async fn commit(&self, position: Position, generation: i64, batch: &Batch) -> Result<Option<Vec<Change>>, Failure> {
        let mut connection = self.pool.acquire().await.map_err(Failure::Machinery)?;
        let place = (position, generation);
        let done = store::transact(&mut connection, self.model.as_ref(), place, batch).await;
        if done.is_err() {
            // Whatever state it was left in, and whatever it has prepared for tables that are not there any more.
            connection.close_on_drop();
        }
        done
    }

    async fn prune(&self, position: Position) {
        match self.pool.acquire().await {
            Ok(mut connection) => store::prune(&mut connection, self.model.name(), position).await,
            Err(error) => {
                tracing::warn!(projection = self.model.name(), %error, "old changes could not be removed");
            }
        }
    }
}
