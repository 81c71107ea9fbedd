//! What was appended in the same process: it is handed over when it is committed, and need not be read.

use std::collections::VecDeque;
use std::sync::Arc;

use domain::{Committed, Position, Recorded};
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::TryRecvError;

/// Events that were handed over and not asked for yet. Never more than one batch: the others wait where they were sent, and those that
/// wait too long are read from the table after all.
pub(super) struct Handed {
    committed: Option<broadcast::Receiver<Committed>>,
    waiting: VecDeque<Arc<Recorded>>,
}

impl Handed {
    pub(super) fn new(committed: Option<broadcast::Receiver<Committed>>) -> Self {
        Self { committed, waiting: VecDeque::new() }
    }

    /// The events that follow a position, at most `limit`. Those after them may be in the table alone, and so may the next one where
    /// there are none.
    pub(super) fn after(&mut self, position: Position, limit: usize) -> Vec<Arc<Recorded>> {
        let (mut next, mut events) = (position + 1, Vec::new());
        while events.len() < limit
            && let Some(event) = self.front()
        {
            // What comes before was read; what comes later has something before it that is not here.
            if event.position > next {
                break;
            }
            if let Some(event) = self.waiting.pop_front().filter(|event| event.position == next) {
                events.push(event);
                next += 1;
            }
        }
        events
    }

    fn front(&mut self) -> Option<&Arc<Recorded>> {
        while self.waiting.is_empty() {
            match self.committed.as_mut()?.try_recv() {
                Ok(batch) => self.waiting.extend(batch.iter().cloned()),
                Err(TryRecvError::Lagged(_)) => {}
                Err(TryRecvError::Empty) => return None,
                Err(TryRecvError::Closed) => self.committed = None,
            }
        }
        self.waiting.front()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use domain::{Position, Recorded};
    use tokio::sync::broadcast;

    use super::Handed;
    use crate::relay::simulation::event;

    fn batch(positions: std::ops::RangeInclusive<Position>) -> Arc<Vec<Arc<Recorded>>> {
        Arc::new(positions.map(|position| Arc::new(event(position, 1))).collect())
    }

    fn positions(events: Vec<Arc<Recorded>>) -> Vec<Position> {
        events.iter().map(|event| event.position).collect()
    }

    #[test]
    fn what_follows_is_handed_on_across_batches_and_what_was_read_is_left_out() {
        let (sender, committed) = broadcast::channel(4);
        let mut handed = Handed::new(Some(committed));
        assert!(handed.after(0, 10).is_empty());
        for events in [batch(1..=3), batch(4..=6)] {
            assert!(sender.send(events).is_ok());
        }
        assert_eq!(positions(handed.after(1, 2)), [2, 3]);
        assert_eq!(positions(handed.after(3, 10)), [4, 5, 6]);
        assert!(handed.after(6, 10).is_empty());
    }

    #[test]
    fn what_another_process_has_appended_in_between_is_to_be_read_first() {
        let (sender, committed) = broadcast::channel(4);
        let mut handed = Handed::new(Some(committed));
        for events in [batch(1..=2), batch(5..=6)] {
            assert!(sender.send(events).is_ok());
        }
        assert_eq!(positions(handed.after(0, 10)), [1, 2]);
        assert!(handed.after(2, 10).is_empty());
        assert_eq!(positions(handed.after(4, 10)), [5, 6]);
    }

    #[test]
    fn what_waited_too_long_is_to_be_read_and_what_came_since_is_not() {
        let (sender, committed) = broadcast::channel(2);
        let mut handed = Handed::new(Some(committed));
        for position in 1..=4 {
            assert!(sender.send(batch(position..=position)).is_ok());
        }
        assert!(handed.after(0, 10).is_empty());
        assert_eq!(positions(handed.after(2, 10)), [3, 4]);
        drop(sender);
        assert!(handed.after(4, 10).is_empty());
    }
}
