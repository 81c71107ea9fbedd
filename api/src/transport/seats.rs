//! How many sockets, and how many streams, a viewer has open on this node.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use uuid::Uuid;

use super::admission::Place;

/// Open ones by viewer; all that nobody is signed in on count as one viewer's.
type Taken = HashMap<Option<Uuid>, usize>;

/// Counts what each viewer has open. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct Seats(Arc<Mutex<Taken>>);

/// One that counts; free when dropped.
pub(super) struct Seat {
    seats: Seats,
    viewer: Option<Uuid>,
    /// Among all of the node, where that counts, too.
    place: Option<Place>,
}

impl Seat {
    /// The same with a place among all of the node.
    pub(super) fn with(mut self, place: Place) -> Self {
        self.place = Some(place);
        self
    }
}

impl Seats {
    /// A seat for another one, if the viewer has fewer than these many.
    pub(super) fn take(&self, viewer: Option<Uuid>, most: usize) -> Option<Seat> {
        let mut taken = self.lock();
        let count = taken.entry(viewer).or_default();
        if *count >= most {
            return None;
        }
        *count += 1;
        Some(Seat { seats: self.clone(), viewer, place: None })
    }

    fn lock(&self) -> MutexGuard<'_, Taken> {
        // Nothing panics while it is held.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        drop(self.place.take());
        let mut taken = self.seats.lock();
        if let Some(count) = taken.get_mut(&self.viewer) {
            *count -= 1;
            if *count == 0 {
                taken.remove(&self.viewer);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seats_are_counted_for_each_viewer_and_free_again() {
        let (seats, viewer) = (Seats::default(), Some(Uuid::nil()));
        let first = seats.take(viewer, 2);
        let second = seats.take(viewer, 2);
        assert!(first.is_some() && second.is_some());
        assert!(seats.take(viewer, 2).is_none());
        assert!(seats.take(None, 2).is_some());
        drop(first);
        assert!(seats.take(viewer, 2).is_some());
        drop(second);
        assert!(seats.lock().is_empty());
    }
}
