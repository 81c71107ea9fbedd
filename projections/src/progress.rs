//! How far the read models are.

use std::collections::BTreeMap;
use std::sync::Arc;

use domain::Position;
use sqlx::PgPool;
use tokio::sync::watch;

use crate::log::LogError;

/// Checkpoint of every projection by name.
pub type Positions = BTreeMap<&'static str, Position>;

/// What the projectors of this process have committed, for those in the same process who wait for it. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Progress {
    positions: Arc<watch::Sender<Positions>>,
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

    pub(crate) fn committed(&self, name: &'static str, position: Position) {
        self.positions.send_modify(|positions| {
            positions.insert(name, position);
        });
    }
}

/// How far one read model is behind the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lag {
    /// The read model.
    pub projection: String,
    /// Its checkpoint.
    pub position: Position,
    /// The log's head at the same moment.
    pub head: Position,
    /// Streams that are parked because one of their events could not be folded.
    pub parked_keys: i64,
}

impl Lag {
    /// Events that are in the log and not yet in the read model.
    #[must_use]
    pub fn events(&self) -> i64 {
        self.head - self.position
    }
}

/// The lag of every projection that has a checkpoint, in one snapshot: for readiness and metrics.
///
/// # Errors
/// The database does not answer, or is not migrated.
pub async fn lags(pool: &PgPool) -> Result<Vec<Lag>, LogError> {
    let rows: Vec<(String, Position, Position, i64)> = sqlx::query_as(
        "SELECT p.name, p.position, (SELECT position FROM event_log),
                (SELECT count(DISTINCT key) FROM parked_events WHERE projection = p.name)
         FROM projections p ORDER BY p.name",
    )
    .fetch_all(pool)
    .await?;
    let lag = |(projection, position, head, parked_keys)| Lag { projection, position, head, parked_keys };
    Ok(rows.into_iter().map(lag).collect())
}
