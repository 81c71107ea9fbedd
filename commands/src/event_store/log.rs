//! The log as a writer needs it: PostgreSQL, or a simulated one that breaks (`simulation`).

mod postgres;

use super::KeyRecord;
use super::outcome::Failure;
use super::queue::Pending;
use super::statement::Verdict;
pub(super) use postgres::Postgres;

/// What became of a batch that was written for a place: its verdicts and the line; or why it did not come about, and the line if it
/// is still of use.
pub(super) type Outcome<Line> = Result<(Vec<Verdict>, Line), (Failure, Option<Line>)>;

/// What a writer appends to. Batches have no stream and no key twice.
///
/// A batch is appended as a whole, or written for a place in the log: several are written at the same time, each for the place after
/// the one before, and committed in this order. Where the log ends is found out last, and nothing is done if it is elsewhere.
pub(super) trait Log: Send {
    /// A connection.
    type Line: Send + 'static;

    /// Appends a batch in one transaction, with a verdict for each append, in order.
    fn append(&mut self, batch: &[Pending]) -> impl Future<Output = Result<Vec<Verdict>, Failure>> + Send;

    /// A line for writing a batch in the place after those that others are for. `None`: it is not certain enough that the batch fits
    /// there, or there is no line to be had.
    fn place(&mut self, batch: &[Pending]) -> impl Future<Output = Option<Self::Line>> + Send;

    /// Writes the batch that the line is for, and commits it once everything before it is committed.
    fn write(line: Self::Line, batch: &[Pending]) -> impl Future<Output = Outcome<Self::Line>> + Send;

    /// Takes back a line that nothing is under way on.
    fn take_back(&mut self, line: Self::Line);

    /// Whether it is certain enough where the log ends for places to be given.
    fn gives_places(&self) -> bool;

    /// What was written for a place came to nothing, and nothing is under way any more. `certain`: the place was free.
    fn lost_place(&mut self, certain: bool);

    /// What was appended under some keys; those never applied are missing from the answer.
    fn find_keys(&self, keys: &[&str]) -> impl Future<Output = Result<Vec<KeyRecord>, sqlx::Error>> + Send;

    /// Makes the partitions that a batch needs.
    fn make_room(&self, batch: &[Pending]) -> impl Future<Output = Result<(), sqlx::Error>> + Send;
}
