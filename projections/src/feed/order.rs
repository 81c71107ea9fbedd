//! One dense sequence out of many partitions: pure bookkeeping, without Kafka, without a database, without a clock.
//!
//! Partitions are read independently, so records arrive out of the log's order. What comes too early waits, up to a bound;
//! what comes again is dropped. The `prev` chain proves losses: a record whose predecessor in its partition was not seen
//! will never be preceded by it any more.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use domain::{Position, Recorded};

use super::ring::footprint;

/// Events that may wait for an earlier one. More, and the earlier one is read from the table.
pub(super) const WAITING_EVENTS_MAX: usize = 32_768;
/// Memory for them, in bytes.
pub(super) const WAITING_BYTES_MAX: usize = 32 * 1024 * 1024;

/// What a record turned out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Taken {
    /// The next one of the log.
    Next,
    /// Comes later in the log.
    Early,
    /// Was here before.
    Duplicate,
    /// Comes later, and proves that its predecessor was lost.
    Hole,
}

/// The order of the log, as far as it is known.
pub(super) struct Order {
    /// Everything up to here was handed on.
    head: Position,
    /// Last position seen in each partition.
    seen: HashMap<i32, Position>,
    waiting: BTreeMap<Position, Arc<Recorded>>,
    waiting_bytes: usize,
    /// Events up to here that are not waiting will not come any more.
    lost_upto: Position,
}

impl Order {
    pub(super) fn new(head: Position) -> Self {
        Self { head, seen: HashMap::new(), waiting: BTreeMap::new(), waiting_bytes: 0, lost_upto: 0 }
    }

    pub(super) fn head(&self) -> Position {
        self.head
    }

    /// Reading of the partitions begins anew, somewhere after the head.
    pub(super) fn restart(&mut self) {
        self.seen.clear();
    }

    /// Takes a record.
    pub(super) fn take(&mut self, partition: i32, prev: Position, event: Arc<Recorded>) -> Taken {
        let position = event.position;
        let seen = self.seen.entry(partition).or_insert(0);
        let predecessor_known = prev <= *seen || prev <= self.head || self.waiting.contains_key(&prev);
        *seen = (*seen).max(position);
        if position <= self.head || self.waiting.contains_key(&position) {
            return Taken::Duplicate;
        }
        self.waiting_bytes += footprint(&event);
        self.waiting.insert(position, event);
        if !predecessor_known {
            self.lost_upto = self.lost_upto.max(prev);
            Taken::Hole
        } else if position == self.head + 1 {
            Taken::Next
        } else {
            Taken::Early
        }
    }

    /// Takes events of the table.
    pub(super) fn fill(&mut self, events: Vec<Recorded>) {
        for event in events {
            if event.position > self.head && !self.waiting.contains_key(&event.position) {
                self.waiting_bytes += footprint(&event);
                self.waiting.insert(event.position, Arc::new(event));
            }
        }
    }

    /// Hands on what follows the head without a gap.
    pub(super) fn ready(&mut self) -> Vec<Arc<Recorded>> {
        let mut ready = Vec::new();
        while let Some(entry) = self.waiting.first_entry() {
            if *entry.key() > self.head + 1 {
                break;
            }
            let event = entry.remove();
            self.waiting_bytes -= footprint(&event);
            self.head = event.position;
            ready.push(event);
        }
        ready
    }

    /// What is missing before the first event that waits: after the first position, up to the second. `None`: nothing waits.
    pub(super) fn gap(&self) -> Option<(Position, Position)> {
        let first = self.waiting.first_key_value()?.0;
        (*first > self.head + 1).then_some((self.head, first - 1))
    }

    /// The gap is to be filled without waiting any longer: it is proven, or too much waits behind it.
    pub(super) fn must_fill(&self) -> bool {
        self.lost_upto > self.head || self.waiting.len() > WAITING_EVENTS_MAX || self.waiting_bytes > WAITING_BYTES_MAX
    }
}

#[cfg(test)]
pub(super) mod tests {
    #![allow(clippy::unwrap_used, reason = "a test ends where its world is not as expected")]

    use domain::{Actor, Category, StreamName};
    use serde_json::value::RawValue;
    use uuid::Uuid;

    use super::*;

    pub(in crate::feed) fn event(position: Position) -> Arc<Recorded> {
        Arc::new(Recorded {
            id: Uuid::nil(),
            position,
            stream: StreamName { category: Category::Call, id: Uuid::nil() },
            version: 1,
            event_type: "call.queued".to_owned(),
            schema_version: 1,
            occurred_at: chrono::DateTime::UNIX_EPOCH,
            recorded_at: chrono::DateTime::UNIX_EPOCH,
            actor: Actor::system("test"),
            correlation_id: Uuid::nil(),
            causation_id: None,
            trace: None,
            payload: RawValue::from_string("{}".to_owned()).unwrap(),
        })
    }

    fn ready(order: &mut Order) -> Vec<Position> {
        order.ready().iter().map(|event| event.position).collect()
    }

    #[test]
    fn two_partitions_become_one_order() {
        let mut order = Order::new(0);
        assert_eq!(order.take(1, 0, event(2)), Taken::Early);
        assert_eq!(order.take(1, 2, event(3)), Taken::Early);
        assert_eq!((ready(&mut order), order.gap(), order.must_fill()), (vec![], Some((0, 1)), false));
        assert_eq!(order.take(0, 0, event(1)), Taken::Next);
        assert_eq!((ready(&mut order), order.gap()), (vec![1, 2, 3], None));
        assert_eq!((order.head(), order.waiting_bytes), (3, 0));
    }

    #[test]
    fn what_comes_again_is_dropped() {
        let mut order = Order::new(10);
        assert_eq!(order.take(0, 3, event(9)), Taken::Duplicate);
        assert_eq!(order.take(0, 9, event(12)), Taken::Early);
        assert_eq!(order.take(0, 9, event(12)), Taken::Duplicate);
        assert_eq!(order.take(0, 9, event(11)), Taken::Next, "late in its partition, but still needed");
        assert_eq!(ready(&mut order), [11, 12]);
    }

    #[test]
    fn a_missing_predecessor_is_proven_at_once() {
        let mut order = Order::new(5);
        assert_eq!(order.take(0, 5, event(6)), Taken::Next);
        assert_eq!(ready(&mut order), [6]);
        assert_eq!(order.take(0, 7, event(9)), Taken::Hole);
        assert!(order.must_fill());
        assert_eq!(order.gap(), Some((6, 8)));
        order.fill(vec![(*event(7)).clone(), (*event(8)).clone()]);
        assert_eq!((ready(&mut order), order.must_fill()), (vec![7, 8, 9], false));
        assert_eq!(order.take(0, 6, event(7)), Taken::Duplicate, "it was late, not lost");
    }

    #[test]
    fn the_first_record_of_a_partition_may_name_a_predecessor_before_the_head_only() {
        let mut order = Order::new(5);
        assert_eq!(order.take(3, 4, event(7)), Taken::Early);
        assert_eq!(order.take(4, 6, event(8)), Taken::Hole);
    }

    #[test]
    fn after_a_restart_predecessors_are_known_by_the_head_and_by_what_waits() {
        let mut order = Order::new(0);
        order.take(0, 0, event(1));
        order.take(0, 1, event(4));
        assert_eq!(ready(&mut order), [1]);
        order.restart();
        assert_eq!(order.take(0, 4, event(5)), Taken::Early, "4 waits");
        assert_eq!(order.take(0, 5, event(9)), Taken::Early);
        assert_eq!(order.take(1, 8, event(10)), Taken::Hole);
    }

    #[test]
    fn too_much_waiting_is_a_reason_to_fill() {
        let mut order = Order::new(0);
        let count = Position::try_from(WAITING_EVENTS_MAX).unwrap();
        for position in 2..=count + 1 {
            order.take(0, position - 1, event(position));
        }
        order.lost_upto = 0;
        assert!(!order.must_fill());
        order.take(0, count + 1, event(count + 2));
        assert!(order.must_fill());
    }
}
