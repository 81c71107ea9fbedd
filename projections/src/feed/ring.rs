//! The newest events in memory.

use std::collections::VecDeque;
use std::mem::size_of;
use std::sync::Arc;

use domain::{Position, Recorded};

use super::Followed;

/// A dense run of events that ends at the head; the oldest leave when a bound is reached.
pub(super) struct Ring {
    events: VecDeque<Arc<Followed>>,
    head: Position,
    bytes: usize,
    events_max: usize,
    bytes_max: usize,
}

impl Ring {
    /// Empty: everything up to `head` is only in the table.
    pub(super) fn new(head: Position, events_max: usize, bytes_max: usize) -> Self {
        Self { events: VecDeque::new(), head, bytes: 0, events_max, bytes_max }
    }

    pub(super) fn head(&self) -> Position {
        self.head
    }

    /// Takes the event after the head. Anything else would make the run a lie, so it starts a new run instead; the
    /// sources never do that.
    pub(super) fn push(&mut self, event: Arc<Recorded>) {
        debug_assert_eq!(event.position, self.head + 1, "the feed is dense");
        if event.position != self.head + 1 {
            self.events.clear();
            self.bytes = 0;
        }
        self.head = event.position;
        self.bytes += held(&event);
        self.events.push_back(Arc::new(Followed::new(event)));
        while self.events.len() > self.events_max || self.bytes > self.bytes_max {
            let Some(oldest) = self.events.pop_front() else { break };
            self.bytes -= held(&oldest.recorded);
        }
    }

    /// Events after a position, or `None` where the first of them is not here any more.
    pub(super) fn read(&self, after: Position, limit: usize) -> Option<Vec<Arc<Followed>>> {
        let oldest = self.events.front()?.recorded.position;
        let skip = usize::try_from(after + 1 - oldest).ok()?;
        Some(self.events.iter().skip(skip).take(limit).cloned().collect())
    }
}

/// Memory of an event and of what it says, which is about as long as it was stored.
fn held(event: &Recorded) -> usize {
    footprint(event) + size_of::<Followed>() + event.payload.get().len()
}

/// Memory of an event, nearly.
pub(super) fn footprint(event: &Recorded) -> usize {
    size_of::<Recorded>()
        + event.payload.get().len()
        + event.event_type.len()
        + event.trace.as_ref().map_or(0, String::len)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test ends where its world is not as expected")]

    use super::*;
    use crate::feed::order::tests::event;

    fn positions(ring: &Ring, after: Position, limit: usize) -> Option<Vec<Position>> {
        ring.read(after, limit).map(|events| events.iter().map(|event| event.recorded.position).collect())
    }

    #[test]
    fn an_empty_ring_answers_nothing() {
        assert_eq!(positions(&Ring::new(5, 10, usize::MAX), 5, 10), None);
        assert_eq!(positions(&Ring::new(0, 10, usize::MAX), 0, 10), None);
    }

    #[test]
    fn covers_exactly_from_its_oldest_event() {
        let mut ring = Ring::new(5, 10, usize::MAX);
        (6..=8).for_each(|position| ring.push(event(position)));
        assert_eq!(positions(&ring, 4, 10), None);
        assert_eq!(positions(&ring, 5, 10), Some(vec![6, 7, 8]));
        assert_eq!(positions(&ring, 6, 1), Some(vec![7]));
        assert_eq!(positions(&ring, 8, 10), Some(vec![]));
    }

    #[test]
    fn the_oldest_leave_by_count_and_by_bytes() {
        let mut by_count = Ring::new(0, 3, usize::MAX);
        (1..=5).for_each(|position| by_count.push(event(position)));
        assert_eq!(positions(&by_count, 1, 10), None);
        assert_eq!(positions(&by_count, 2, 10), Some(vec![3, 4, 5]));

        let one = held(&event(1));
        let mut by_bytes = Ring::new(0, 100, 2 * one);
        (1..=5).for_each(|position| by_bytes.push(event(position)));
        assert_eq!(positions(&by_bytes, 3, 10), Some(vec![4, 5]));
        assert_eq!(by_bytes.bytes, 2 * one);
    }

    #[test]
    fn an_event_larger_than_the_ring_is_not_kept_but_moves_the_head() {
        let mut ring = Ring::new(0, 10, 1);
        ring.push(event(1));
        assert_eq!((ring.head(), positions(&ring, 0, 10)), (1, None));
    }
}
