//! What a subscription tells its transport beside its payloads: how each of them may be delivered, and where in the log the
//! stream is between two of them. It travels outside the executor, which knows payloads only.

use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher, Hash};
use std::sync::{Arc, Mutex, PoisonError};

use domain::Position;
use tokio::sync::Notify;

/// How a payload relates to those before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Shows {
    /// A fact of its own. Must not be skipped.
    Every,
    /// The latest state of these things: an older payload that shows nothing else need not be sent any more.
    Latest(Arc<[u64]>),
    /// The latest state of everything: all older payloads need not be sent any more.
    Whole,
    /// Good for the moment only: may be skipped by who is behind.
    Passing,
}

impl Shows {
    /// The latest state of these things.
    pub(crate) fn latest_of<T: Hash>(things: impl Iterator<Item = T>) -> Self {
        Self::Latest(things.map(|thing| BuildHasherDefault::<DefaultHasher>::default().hash_one(thing)).collect())
    }

    /// Whether an older payload may be dropped when this one follows it.
    pub(crate) fn replaces(&self, older: &Self) -> bool {
        match (self, older) {
            (Self::Whole, Self::Whole | Self::Latest(_)) => true,
            (Self::Latest(new), Self::Latest(old)) => old.iter().all(|key| new.contains(key)),
            _ => false,
        }
    }
}

/// What is known of a payload.
#[derive(Debug, Clone)]
pub(crate) struct Shown {
    /// Everything up to here is shown by it and those before it; `None`: it has no place in the log.
    pub(crate) position: Option<Position>,
    /// How it relates to those before it.
    pub(crate) shows: Shows,
}

impl Default for Shown {
    fn default() -> Self {
        Self { position: None, shows: Shows::Every }
    }
}

/// Where a stream is between two payloads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    /// Everything wanted up to here was yielded.
    pub(crate) seen: Position,
    /// It has caught up: what comes next comes as it happens.
    pub(crate) live: bool,
}

/// A payload on its way to the executor.
pub(crate) struct Push<T> {
    pub(crate) payload: T,
    pub(crate) shown: Shown,
}

impl<T> Push<T> {
    /// A payload with a place in the log.
    pub(crate) fn new(payload: T, position: Position, shows: Shows) -> Self {
        Self { payload, shown: Shown { position: Some(position), shows } }
    }

    /// A payload for the moment.
    pub(crate) fn passing(payload: T) -> Self {
        Self { payload, shown: Shown { position: None, shows: Shows::Passing } }
    }
}

/// The track of one execution of a subscription; the transport puts it into the request's data.
#[derive(Debug, Default)]
pub(crate) struct Track {
    told: Mutex<(Shown, Option<Place>)>,
    begun: Notify,
}

impl Track {
    fn with<T>(&self, change: impl FnOnce(&mut (Shown, Option<Place>)) -> T) -> T {
        // Nothing panics while it is held.
        change(&mut self.told.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The viewer may have the stream, and its arguments are good: payloads will come.
    pub(crate) fn begin(&self) {
        self.begun.notify_one();
    }

    /// Waits until the stream has begun; for one who waits. A stream that can't begin answers instead.
    pub(crate) async fn begun(&self) {
        self.begun.notified().await;
    }

    /// The payload that is yielded now.
    pub(crate) fn yielded(&self, shown: Shown) {
        self.with(|told| told.0 = shown);
    }

    /// The place reached when all payloads so far were taken; `None`: under way.
    pub(crate) fn reached(&self, place: Option<Place>) {
        self.with(|told| told.1 = place);
    }

    /// What is known of the payload yielded last.
    pub(crate) fn shown(&self) -> Shown {
        self.with(|told| told.0.clone())
    }

    /// The place between two payloads.
    pub(crate) fn place(&self) -> Option<Place> {
        self.with(|told| told.1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn newer_states_replace_older_ones_of_the_same_things_only() {
        let latest = |keys: &[u64]| Shows::Latest(keys.into());
        assert!(Shows::Whole.replaces(&Shows::Whole));
        assert!(Shows::Whole.replaces(&latest(&[1])));
        assert!(latest(&[1, 2]).replaces(&latest(&[2])));
        assert!(!latest(&[1, 2]).replaces(&latest(&[2, 3])));
        assert!(!latest(&[1]).replaces(&Shows::Whole));
        for new in [Shows::Whole, latest(&[1]), Shows::Every, Shows::Passing] {
            assert!(!new.replaces(&Shows::Every), "{new:?}");
        }
    }
}
