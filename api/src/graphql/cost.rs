//! What fields cost, in points.
//!
//! A field costs 1 and what is asked for below it; below a list that counts once for each element. A list whose length the
//! document says (`first`, `last`, `ids`) has that many elements. Of the others nobody knows it before they are read, so
//! they count with a length that such lists seldom exceed; how long they may really get is bound where they are read.
//! How many points an operation may have, and why so many: [`Limits::complexity`](crate::Limits).

use super::pages::{PAGE_DEFAULT, PAGE_MAX};

/// Legs of a call.
pub(crate) const LEGS: usize = 5;
/// Lines of a whole transcript.
pub(crate) const TRANSCRIPT: usize = 100;
/// Scores of a whole call.
pub(crate) const SCORES: usize = 100;
/// Speakers of a call, each apart for the models that scored.
pub(crate) const SUMMARIES: usize = 4;
/// Emotions of one score.
pub(crate) const EMOTIONS: usize = 7;
/// What an agent can do.
pub(crate) const CAPABILITIES: usize = 5;
/// Contacts of an agent at a time.
pub(crate) const CONTACTS: usize = 3;
/// Intervals of an agent in the window asked for.
pub(crate) const INTERVALS: usize = 200;
/// Agents on a board.
pub(crate) const BOARD_AGENTS: usize = 100;
/// Queues on a board.
pub(crate) const QUEUES: usize = 30;
/// Callers in one queue.
pub(crate) const WAITING: usize = 10;
/// Activities an agent can have.
pub(crate) const ACTIVITIES: usize = 10;

/// Most that a field can cost. Far above every limit, and far enough from overflow for what is added to it.
const MOST: usize = 1 << 40;

/// A list of a certain length.
pub(crate) fn list(length: usize, child: usize) -> usize {
    length.saturating_mul(child).saturating_add(1).min(MOST)
}

/// A list that may be cut to its last elements; `whole` is its assumed length when it is not.
pub(crate) fn tail(last: Option<i32>, whole: usize, child: usize) -> usize {
    list(last.map_or(whole, length), child)
}

/// A page of a connection.
pub(crate) fn page(first: Option<i32>, last: Option<i32>, child: usize) -> usize {
    list(length(first.or(last).unwrap_or(PAGE_DEFAULT)), child)
}

/// A length as the document gives it. One that is out of bounds is refused later, and costs what the nearest bound does.
fn length(asked: i32) -> usize {
    usize::try_from(asked.clamp(1, PAGE_MAX)).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_cost_their_elements() {
        assert_eq!(list(0, 7), 1);
        assert_eq!(list(3, 7), 22);
        assert_eq!(page(None, None, 2), 41);
        assert_eq!(page(Some(100), None, 2), 201);
        assert_eq!(page(None, Some(3), 2), 7);
        assert_eq!(tail(Some(10), TRANSCRIPT, 2), 21);
        assert_eq!(tail(None, TRANSCRIPT, 2), 201);
        for out_of_bounds in [-1, 0, i32::MIN] {
            assert_eq!(page(Some(out_of_bounds), None, 2), 3);
        }
        assert_eq!(page(Some(i32::MAX), None, 2), 2_001);
        assert_eq!(list(usize::MAX, usize::MAX), MOST);
        assert_eq!(list(usize::MAX, 0), 1);
    }
}
