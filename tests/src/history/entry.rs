//! The lines of a journal.

use domain::Position;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

/// A line, with its time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Line {
    /// Microseconds since the run began, by a clock that only goes forward and is the same for all journals of a run.
    pub at: u64,
    /// What is noted.
    #[serde(flatten)]
    pub entry: Entry,
}

/// What somebody notes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum Entry {
    /// A writer: this command is about to be sent for the first time.
    Intent {
        /// Its id, which is the causation of its events.
        command: Uuid,
        /// The stream it is for.
        stream: Uuid,
        /// The stream's category.
        category: String,
        /// The version it insists on.
        expected: Option<i64>,
        /// Members that the payload of its last event must have.
        content: Value,
    },
    /// A writer: what a try of the command came to.
    Answered {
        /// The command.
        command: Uuid,
        /// The answer, or its absence.
        answer: Answer,
    },
    /// A subscriber: what it asks to see. Its first line.
    Watches(Watched),
    /// A subscriber: connected, and asked for everything after this position; `None`: everything.
    Connected {
        /// Where it goes on.
        after: Option<Position>,
    },
    /// A subscriber: an event.
    Received {
        /// Its place in the log.
        position: Position,
        /// Its identity, where the subscription shows it.
        id: Option<Uuid>,
    },
    /// A crowd of subscribers who keep one journal: a member has received something else than what was due to it, or nothing.
    Differed {
        /// Its number.
        member: usize,
        /// The event that was due, by what another member has received.
        due: Position,
        /// What came in its place.
        received: Option<Position>,
    },
    /// A subscriber: has seen enough. Nothing after this position is due to it.
    Left {
        /// The head of the log when it left.
        head: Position,
    },
    /// An observer: where a follower of the log stands.
    Checkpoint {
        /// The follower.
        follower: String,
        /// Where it stands.
        position: Position,
    },
    /// The runner: a follower was told to go back to before this position.
    SentBack {
        /// The follower.
        follower: String,
        /// The position it begins at again.
        from: Position,
    },
    /// The runner: a fault begins.
    Injected {
        /// Its name.
        fault: String,
    },
    /// The runner: the faults are over, and nothing is appended any more.
    Healed,
    /// The runner: everybody has reached this position.
    Quiet {
        /// The head of the log.
        head: Position,
    },
    /// The runner: somebody has not caught up in time.
    Stuck {
        /// Who, and where.
        who: String,
    },
    /// The runner: something that has a bound.
    Measured {
        /// What.
        name: String,
        /// How much.
        value: u64,
        /// At most.
        bound: u64,
    },
}

/// What a subscriber asks to see.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Watched {
    /// Only events of this category.
    pub category: Option<String>,
    /// Only events of this stream id.
    pub stream: Option<Uuid>,
    /// Only events after this position.
    #[serde(default)]
    pub after: Position,
}

/// What a try of a command came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "snake_case")]
pub enum Answer {
    /// It is in the log.
    Acknowledged {
        /// Version of the stream after it.
        version: i64,
        /// Position of its last event.
        position: Position,
        /// By an earlier try.
        already_applied: bool,
    },
    /// The stream was not at the version that the command insists on; nothing was done.
    Conflict,
    /// A rule said no; nothing was done.
    Refused {
        /// The rule.
        rule: String,
    },
    /// No answer, or one that does not say.
    Unknown {
        /// Why.
        why: String,
    },
}
