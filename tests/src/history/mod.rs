//! What happened in a run, and whether it was as promised.
//!
//! Everybody who takes part keeps a journal: writers note what they are about to send and what they were answered,
//! subscribers what they received, observers where checkpoints stood and what memory was used. What the store, the topic and
//! the read models hold in the end is read from themselves. [`check`] then holds all of it together, knowing nothing of how
//! the system works, and names the first event that breaks an invariant.
//!
//! Pure: no database, no Kafka, no clock.

mod appends;
mod commit_order;
mod entry;
mod followers;
mod journal;
mod streams;
mod subscribers;
#[cfg(test)]
mod tests;
mod topic;

use std::collections::BTreeMap;
use std::fmt;

use domain::Position;
use serde_json::Value;
use uuid::Uuid;

pub use entry::{Answer, Entry, Line, Watched};
pub use journal::{Journal, JournalError, Journals};
pub use topic::TopicCounts;

/// What must hold; the numbers are those of `docs/reliability.md`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Invariant {
    /// What was acknowledged is in the log once, with the content that was sent.
    I1AcknowledgedIsKept,
    /// What was rejected is absent; what is unknown is there once or not at all, and its key says which.
    I2RejectedIsAbsent,
    /// Versions of a stream are 1 to n, with one winner for each.
    I3StreamsAreLinear,
    /// Positions are dense, and in the order of commits.
    I4PositionsAreInCommitOrder,
    /// Nobody is told of a conflict that there was not.
    I5ConflictsAreReal,
    /// The topic holds every event, in its partition, chained to the one before.
    I6TopicIsTheLog,
    /// A read model is what the log up to its checkpoint makes of it.
    I7ViewsAreFolds,
    /// A checkpoint never moves back.
    I8CheckpointsMoveOn,
    /// A subscriber receives everything once, in order, over all its connections.
    I9SubscribersMissNothing,
    /// Once the faults are over, everybody catches up in time.
    I11EverybodyCatchesUp,
    /// Memory, connections and open transactions stay within their bounds.
    I12BoundsHold,
}

impl fmt::Display for Invariant {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = format!("{self:?}");
        formatter.write_str(&name[..name.find(|c: char| c.is_ascii_alphabetic() && c != 'I').unwrap_or(name.len())])
    }
}

/// That an invariant does not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Which one.
    pub invariant: Invariant,
    /// The event, where there is one.
    pub position: Option<Position>,
    /// Who noticed: a writer, a partition, a subscriber, a read model.
    pub actor: String,
    /// What is wrong.
    pub what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} broken", self.invariant)?;
        if let Some(position) = self.position {
            write!(formatter, " at position {position}")?;
        }
        write!(formatter, " ({}): {}", self.actor, self.what)
    }
}

impl Violation {
    fn new(invariant: Invariant, position: impl Into<Option<Position>>, actor: &str, what: String) -> Self {
        Self { invariant, position: position.into(), actor: actor.to_owned(), what }
    }
}

/// An event as the log holds it.
#[derive(Debug, Clone, PartialEq)]
pub struct Stored {
    /// Place in the log.
    pub position: Position,
    /// Identity.
    pub id: Uuid,
    /// Its stream.
    pub stream: Uuid,
    /// The stream's category.
    pub category: String,
    /// Version of the stream.
    pub version: i64,
    /// The command or event behind it.
    pub causation: Option<Uuid>,
    /// What it says.
    pub payload: Value,
}

/// What an idempotency key stands for, as the store holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredKey {
    /// The key.
    pub key: String,
    /// The stream appended to.
    pub stream: Uuid,
    /// Its version afterwards.
    pub version: i64,
    /// Position of the last event.
    pub position: Position,
    /// How many events there were.
    pub event_count: i64,
}

/// The store at the end of a run.
#[derive(Debug, Clone, Default)]
pub struct Log {
    /// How far the log goes, by its counter.
    pub head: Position,
    /// Its events, by position.
    pub events: Vec<Stored>,
    /// Its keys.
    pub keys: Vec<StoredKey>,
    /// Heads of the streams: stream, category, version.
    pub streams: Vec<(Uuid, String, i64)>,
}

/// A record of the topic, by partition and offset.
#[derive(Debug, Clone, PartialEq)]
pub struct Published {
    /// Where it is.
    pub partition: i32,
    /// Where it is there.
    pub offset: i64,
    /// Place of its event in the log.
    pub position: Position,
    /// Place of the one before it in its partition.
    pub prev: Position,
    /// Epoch of the relay that sent it.
    pub epoch: i64,
    /// Where it says it comes from.
    pub source: String,
    /// Identity of its event.
    pub id: Uuid,
    /// Its key.
    pub key: String,
    /// Its value.
    pub payload: Value,
}

/// The topic at the end of a run, read from its beginning.
#[derive(Debug, Clone, Default)]
pub struct Topic {
    /// How many partitions it has.
    pub partitions: i32,
    /// What every record must say it comes from.
    pub source: String,
    /// Its records; those of a partition in the order of their offsets.
    pub records: Vec<Published>,
}

/// A table of a read model, beside the same table folded anew from the first event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct View {
    /// The read model.
    pub projection: String,
    /// The table.
    pub table: String,
    /// Checkpoint at which both were read.
    pub at: Position,
    /// The rows, as text.
    pub rows: Vec<String>,
    /// The rows as they should be.
    pub folded: Vec<String>,
}

/// Everything about a run.
#[derive(Debug, Clone, Default)]
pub struct History {
    /// What everybody noted, by name.
    pub journals: BTreeMap<String, Vec<Line>>,
    /// The store.
    pub log: Log,
    /// The topic, where there is Kafka.
    pub topic: Option<Topic>,
    /// The read models.
    pub views: Vec<View>,
}

/// Holds a history against every invariant. Of each, the first event that breaks it comes first.
#[must_use]
pub fn check(history: &History) -> Vec<Violation> {
    let mut violations = [
        appends::check(history),
        streams::check(history),
        commit_order::check(history),
        topic::check(history),
        followers::check(history),
        subscribers::check(history),
    ]
    .concat();
    violations.sort_by_key(|violation| (violation.invariant, violation.position));
    violations
}

/// How often what was sent to the topic was sent again, and how often a record came before its predecessor.
#[must_use]
pub fn topic_counts(history: &History) -> TopicCounts {
    topic::counts(history)
}
