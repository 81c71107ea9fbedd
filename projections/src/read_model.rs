//! What a read model is.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use domain::{Event, Position, Recorded, StreamName, Version};
use sqlx::PgConnection;
use uuid::Uuid;

/// What of an event's envelope a fold may look at: where it belongs, and when it happened. Who caused it and what led to it
/// is for those who read the log itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Place in the log.
    pub position: Position,
    /// Stream it belongs to.
    pub stream: StreamName,
    /// Place in the stream.
    pub version: Version,
    /// When it happened, by the clock of the one who said so.
    pub occurred_at: DateTime<Utc>,
}

impl From<&Recorded> for Header {
    fn from(recorded: &Recorded) -> Self {
        let Recorded { position, stream, version, occurred_at, .. } = *recorded;
        Self { position, stream, version, occurred_at }
    }
}

impl From<Recorded> for Header {
    fn from(recorded: Recorded) -> Self {
        Self::from(&recorded)
    }
}

/// An event with its place, decoded once for all who fold it.
#[derive(Debug, Clone)]
pub struct Decoded {
    /// Where it belongs.
    pub recorded: Header,
    /// What happened.
    pub event: Event,
}

/// A row of a read model that was written, for those who watch it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Change {
    /// Position of the event that changed it.
    pub position: Position,
    /// What the row is about: a call id, an agent id, or the id derived from a queue's name.
    pub key: Uuid,
}

/// A view folded from the log. One file each; one line in the list of `lib.rs`.
///
/// The projector calls `apply` inside the transaction that also moves the checkpoint, with `search_path` set to the
/// schema that holds the tables: `read` for the view that is served, another one while a rebuild runs beside it. So
/// `apply` names its tables without a schema, and everything that serves queries names them as `read.<table>`.
#[async_trait]
pub trait ReadModel: Send + Sync + 'static {
    /// Permanent identity: plural noun, name of the main table and of the file.
    fn name(&self) -> &'static str;

    /// Raised when the tables or the fold change; a stored view of another version is rebuilt at start.
    fn version(&self) -> i32;

    /// Every table of this model.
    fn tables(&self) -> &'static [&'static str];

    /// Statements that create the tables, with the keys that `apply` needs, without schema, without `IF NOT EXISTS`.
    fn ddl(&self) -> &'static str;

    /// Statements that create the indexes which only serve questions. A rebuild runs them when the tables are full, since
    /// an index is made faster than it is kept.
    fn indexes(&self) -> &'static str {
        ""
    }

    /// Whether somebody may be waiting for what an event changes. Others are folded a little later and many at once, which costs a
    /// fraction, and leaves the machine to what is waited for.
    fn urgent(&self, _event: &Event) -> bool {
        true
    }

    /// Folds events, in order, into the tables. Deterministic: the same events give the same rows, however they are cut
    /// into batches. Never reads a clock.
    ///
    /// # Errors
    /// The database refused; the projector finds out whether an event or the machinery is at fault.
    async fn apply(&self, connection: &mut PgConnection, events: &[&Decoded]) -> Result<Vec<Change>, sqlx::Error>;
}
