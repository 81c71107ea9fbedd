//! What the members of a crowd received, compared as it comes.
//!
//! The first member that receives an n-th event says what the n-th event is, in the crowd's journal; every other member must
//! receive the same as its n-th. With the checker that holds the journal against the log, that is as much as a journal for each:
//! everybody received what was due, once, and in order, over all connections.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use domain::Position;
use tokio::sync::watch;
use uuid::Uuid;

use super::Ends;
use crate::history::{Entry, Journal};

pub(super) struct Tally {
    state: Mutex<State>,
    journal: Journal,
    /// The last position that everybody has.
    all_at: watch::Sender<Position>,
    /// Moves when somebody has received something, for those who wait for some of them.
    moved: watch::Sender<()>,
    received: AtomicU64,
    connections: AtomicU64,
}

struct State {
    /// Every event that anybody has received, and how many have.
    sequence: Vec<Step>,
    /// How many each member has received.
    counts: Vec<usize>,
    /// How often each has lost its connection.
    ends: Vec<Ends>,
}

struct Step {
    position: Position,
    id: Uuid,
    arrived: usize,
}

/// A member has received what was not due to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Differs;

impl Tally {
    pub(super) fn new(members: usize, journal: Journal) -> Self {
        Self {
            state: Mutex::new(State {
                sequence: Vec::new(),
                counts: vec![0; members],
                ends: vec![Ends::default(); members],
            }),
            journal,
            all_at: watch::Sender::new(0),
            moved: watch::Sender::new(()),
            received: AtomicU64::new(0),
            connections: AtomicU64::new(0),
        }
    }

    /// A member has received an event.
    pub(super) fn receive(&self, member: usize, position: Position, id: Uuid) -> Result<(), Differs> {
        self.received.fetch_add(1, Ordering::Relaxed);
        let mut state = self.state();
        let state = &mut *state;
        let (index, everybody) = (state.counts[member], state.counts.len());
        if index == state.sequence.len() {
            self.journal.note(Entry::Received { position, id: Some(id) });
            state.sequence.push(Step { position, id, arrived: 0 });
        }
        let due = &mut state.sequence[index];
        if (due.position, due.id) != (position, id) {
            self.journal.note(Entry::Differed { member, due: due.position, received: Some(position) });
            return Err(Differs);
        }
        due.arrived += 1;
        state.counts[member] += 1;
        // Everybody's n-th comes before everybody's next one, so it only moves on.
        if due.arrived == everybody {
            self.all_at.send_replace(position);
        }
        self.moved.send_replace(());
        Ok(())
    }

    pub(super) fn all_at(&self) -> watch::Receiver<Position> {
        self.all_at.subscribe()
    }

    /// Waits until every member from this one on has received a position.
    pub(super) async fn reached_from(&self, first: usize, position: Position) {
        let mut moved = self.moved.subscribe();
        loop {
            moved.borrow_and_update();
            {
                let state = self.state();
                let before = state.sequence.partition_point(|step| step.position < position);
                let slowest = state.counts[first..].iter().min();
                if before < state.sequence.len() && slowest.is_none_or(|count| *count > before) {
                    return;
                }
            }
            if moved.changed().await.is_err() {
                return;
            }
        }
    }

    pub(super) fn connected(&self) {
        self.connections.fetch_add(1, Ordering::Relaxed);
    }

    /// A member's connection has ended, by an error that says that it is too slow or in another way.
    pub(super) fn ended(&self, member: usize, too_slow: bool) {
        let ends = &mut self.state().ends[member];
        *(if too_slow { &mut ends.too_slow } else { &mut ends.cut_off }) += 1;
    }

    pub(super) fn ends(&self) -> Vec<Ends> {
        self.state().ends.clone()
    }

    pub(super) fn received_and_connections(&self) -> (u64, u64) {
        (self.received.load(Ordering::Relaxed), self.connections.load(Ordering::Relaxed))
    }

    /// Those who have not received everything up to a position that others have.
    pub(super) fn missing(&self, head: Position) -> impl Iterator<Item = Entry> {
        let state = self.state();
        let due = state.sequence.iter().take_while(|step| step.position <= head).count();
        let missing = |(member, count): (usize, &usize)| {
            let first = state.sequence.get(*count).filter(|_| *count < due)?;
            Some(Entry::Differed { member, due: first.position, received: None })
        };
        state.counts.iter().enumerate().filter_map(missing).collect::<Vec<_>>().into_iter()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How many members are at which position.
impl fmt::Display for Tally {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state();
        let mut at: BTreeMap<Position, usize> = BTreeMap::new();
        for count in &state.counts {
            let position = count.checked_sub(1).map_or(0, |last| state.sequence[last].position);
            *at.entry(position).or_default() += 1;
        }
        let lost: u64 = state.ends.iter().map(|ends| ends.too_slow + ends.cut_off).sum();
        write!(formatter, "members by position {at:?}, {lost} connections lost")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::Journals;

    /// A member, what was due to it, and what it received.
    type Difference = (usize, Position, Option<Position>);

    /// What a crowd of two notes that it was shown, and what was not as it was due.
    fn noted(shown: &[(usize, Position)], left_at: Position) -> (Vec<Position>, Vec<Difference>) {
        let directory = tempfile::TempDir::new().unwrap();
        let journals = Journals::new(directory.path());
        let journal = journals.of("crowd");
        let tally = Tally::new(2, journal.clone());
        for (member, position) in shown {
            let _ = tally.receive(*member, *position, Uuid::from_u128(position.unsigned_abs().into()));
        }
        tally.missing(left_at).for_each(|entry| journal.note(entry));
        let lines = journals.read().unwrap().remove("crowd").unwrap();
        let (mut received, mut differed) = (Vec::new(), Vec::new());
        for line in lines {
            match line.entry {
                Entry::Received { position, .. } => received.push(position),
                Entry::Differed { member, due, received } => differed.push((member, due, received)),
                other => panic!("{other:?}"),
            }
        }
        (received, differed)
    }

    #[test]
    fn members_who_receive_the_same_are_one_journal() {
        assert_eq!(noted(&[(0, 3), (1, 3), (1, 7), (0, 7)], 9), (vec![3, 7], vec![]));
        assert_eq!(noted(&[(0, 3), (1, 3), (1, 10)], 9), (vec![3, 10], vec![]), "what comes after leaving is not due");
    }

    #[test]
    fn a_member_who_misses_gets_twice_or_out_of_order_is_named() {
        assert_eq!(noted(&[(0, 3), (0, 7), (1, 7)], 0).1, [(1, 3, Some(7))]);
        assert_eq!(noted(&[(0, 3), (0, 7), (1, 3), (1, 3)], 0).1, [(1, 7, Some(3))]);
        assert_eq!(noted(&[(0, 3), (1, 3), (0, 7)], 9).1, [(1, 7, None)]);
        // The first to receive an event twice has it in the common journal, which is held against the log.
        assert_eq!(noted(&[(0, 3), (0, 3)], 0).0, [3, 3]);
    }

    #[tokio::test]
    async fn everybody_is_as_far_as_the_last_of_them() {
        let directory = tempfile::TempDir::new().unwrap();
        let tally = Tally::new(2, Journals::new(directory.path()).of("crowd"));
        let all_at = tally.all_at();
        for (member, position, everybody) in [(1, 3, 0), (1, 7, 0), (0, 3, 3), (0, 7, 7)] {
            tally.receive(member, position, Uuid::nil()).unwrap();
            assert_eq!(*all_at.borrow(), everybody);
            if member == 1 {
                tally.reached_from(1, position).await;
            }
        }
        tally.reached_from(0, 7).await;
    }
}
