//! What a rebuild is told, what it tells, and why it may refuse.

use std::time::Duration;

use domain::Position;

use crate::fold::PARKED_KEYS_MAX;
use crate::log::LogError;

/// How to rebuild.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// Switch even when the served view has other rows: it was damaged or made by a fold that has changed since.
    pub accept_difference: bool,
}

/// How far a rebuild is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RebuildProgress {
    /// Folded up to here.
    pub position: Position,
    /// To be folded up to here, for now.
    pub target: Position,
}

/// Where the time of a rebuild went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Phases {
    /// Reading the log and folding it into bare tables.
    pub load: Duration,
    /// Making the indexes.
    pub index: Duration,
    /// Catching up with the served view, and comparing the two.
    pub compare: Duration,
    /// Gathering statistics, and the switch.
    pub switch: Duration,
}

/// What a rebuild did.
#[derive(Debug, Clone)]
pub struct RebuildReport {
    /// The view.
    pub projection: &'static str,
    /// Its checkpoint at the switch.
    pub position: Position,
    /// How long it took.
    pub duration: Duration,
    /// How long each part of it took.
    pub phases: Phases,
    /// How it compared with the view that was served.
    pub comparison: Comparison,
    /// Every table with its number of rows; of the comparison's moment where there was one.
    pub tables: Vec<(&'static str, i64)>,
    /// Events that are parked in the new view.
    pub parked_events: i64,
}

/// How the new view compared with the served one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Comparison {
    /// Every table has the same rows.
    Equal {
        /// Checkpoint that both were at.
        at: Position,
    },
    /// These tables differ; that was accepted beforehand.
    Accepted {
        /// Checkpoint that both were at.
        at: Position,
        /// The tables.
        tables: Vec<&'static str>,
    },
    /// There was nothing to compare with: the view was never made.
    NothingStored,
    /// There was nothing to compare with: these tables were missing.
    TablesMissing(Vec<&'static str>),
    /// Not comparable: the served view had another version.
    OtherVersion(i32),
}

/// Why a view was not rebuilt. The served one is as it was.
#[derive(Debug, thiserror::Error)]
pub enum RebuildError {
    /// Somebody else is rebuilding it.
    #[error("{projection} is being rebuilt already")]
    AlreadyRunning {
        /// The view.
        projection: &'static str,
    },
    /// The served view is not what its events make of it.
    #[error("{projection} differs from its events at position {at} in {tables:?}; the new tables are in {schema}")]
    Differs {
        /// The view.
        projection: &'static str,
        /// Checkpoint that both were at.
        at: Position,
        /// Tables whose rows differ.
        tables: Vec<&'static str>,
        /// Where the new tables are, for inspection; the next rebuild removes them.
        schema: String,
    },
    /// Readers never left the moment that a switch needs.
    #[error(
        "{projection} could not be switched in {tries} tries: something holds its tables; the new ones are in {schema}"
    )]
    Busy {
        /// The view.
        projection: &'static str,
        /// How often it was tried.
        tries: u32,
        /// Where the new tables are, for inspection; the next rebuild removes them.
        schema: String,
    },
    /// The log grows faster than it can be folded: the new view would never reach the served one.
    #[error(
        "{projection} is outrun by its log: {behind} events behind, and not closer in {rounds} rounds; try at a quieter time"
    )]
    Outrun {
        /// The view.
        projection: &'static str,
        /// Events between the new view and the served one.
        behind: i64,
        /// Rounds without coming closer.
        rounds: u32,
    },
    /// The served checkpoint moved back.
    #[error("the checkpoint of {projection} went back to {position} during the rebuild")]
    WentBack {
        /// The view.
        projection: &'static str,
        /// Where it is now.
        position: Position,
    },
    /// Hardly the fault of the events.
    #[error("more than {PARKED_KEYS_MAX} keys would be parked")]
    TooManyParked,
    /// A name that can't be put into a statement.
    #[error("{0:?} is no plain name for a table or schema")]
    Name(String),
    /// The log could not be read.
    #[error("the log could not be read")]
    Log(#[from] LogError),
    /// The database refused.
    #[error("the new view could not be written")]
    Database(#[from] sqlx::Error),
}
