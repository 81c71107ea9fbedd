//! Aggregates as they were left by the last command, so that the next one need not read their streams from the beginning.
//!
//! What is kept is a hint: another process may have appended since. A command that is decided on it names the version it
//! was decided on, so the log refuses what was decided on too old a state; and a rule that says no is asked again on the
//! state as it is (see `handler`).
//!
//! Commands of this process on one stream take turns. Side by side, all but one would be decided in vain.

use std::any::Any;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use domain::{Aggregate, StreamName};
use lru::LruCache;
use tokio::sync::OwnedMutexGuard;

use crate::handler::Loaded;

/// Bound of the cache: events folded into all that it holds. No aggregate keeps more than some 50 bytes of an event.
pub const CACHED_EVENTS_MAX: usize = 400_000;
/// What an aggregate counts beside its events.
const AGGREGATE_COSTS: usize = 16;
/// Commands that may wait for their turn on one stream. One more is refused as overload.
pub const STREAM_QUEUE_MAX: usize = 1_000;

/// Turns on one stream that are taken right after one another. Then other processes get a chance: each of their commands has
/// to read what this one did before it can be decided again, so they never come first by themselves.
const TURNS_IN_A_ROW: u32 = 8;
/// How long that chance lasts.
const LET_OTHERS_IN: Duration = Duration::from_millis(5);

#[derive(Default)]
struct Kept {
    loaded: Option<Box<dyn Any + Send>>,
    /// Turns that were waited for, since the last one that was not.
    in_a_row: u32,
}

type Slot = Arc<tokio::sync::Mutex<Kept>>;

/// Aggregates that were used last.
pub(crate) struct AggregateCache {
    entries: Mutex<Entries>,
    events_max: usize,
}

struct Entries {
    slots: LruCache<StreamName, Entry>,
    /// Sum of what the entries cost.
    events: usize,
}

struct Entry {
    slot: Slot,
    costs: usize,
}

impl AggregateCache {
    /// An empty one.
    pub(crate) fn new(events_max: usize) -> Self {
        Self { entries: Mutex::new(Entries { slots: LruCache::unbounded(), events: 0 }), events_max }
    }

    /// Waits until no other command of this process is at this stream. `None`: too many wait already.
    pub(crate) async fn turn(&self, stream: StreamName) -> Option<Turn<'_>> {
        let slot = self.slot(stream);
        // The cache holds one, who is at it another, and this one is the third.
        if Arc::strong_count(&slot) > STREAM_QUEUE_MAX + 2 {
            return None;
        }
        let kept = match Arc::clone(&slot).try_lock_owned() {
            Ok(mut kept) => {
                kept.in_a_row = 0;
                kept
            }
            Err(_) => {
                let mut kept = slot.lock_owned().await;
                kept.in_a_row += 1;
                if kept.in_a_row >= TURNS_IN_A_ROW {
                    tokio::time::sleep(LET_OTHERS_IN).await;
                    kept.in_a_row = 0;
                }
                kept
            }
        };
        Some(Turn { cache: self, stream, kept })
    }

    /// As [`Self::turn`] where nobody is at the stream.
    pub(crate) fn turn_now(&self, stream: StreamName) -> Option<Turn<'_>> {
        let kept = self.slot(stream).try_lock_owned().ok()?;
        Some(Turn { cache: self, stream, kept })
    }

    fn slot(&self, stream: StreamName) -> Slot {
        let mut entries = self.entries();
        if let Some(entry) = entries.slots.get(&stream) {
            return Arc::clone(&entry.slot);
        }
        let slot = Slot::default();
        entries.slots.put(stream, Entry { slot: Arc::clone(&slot), costs: AGGREGATE_COSTS });
        entries.events += AGGREGATE_COSTS;
        entries.make_room(self.events_max);
        slot
    }

    fn costs(&self, stream: StreamName, costs: usize) {
        let mut entries = self.entries();
        if let Some(entry) = entries.slots.get_mut(&stream) {
            let before = std::mem::replace(&mut entry.costs, costs);
            entries.events = entries.events - before + costs;
            entries.make_room(self.events_max);
        }
    }

    fn entries(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entries {
    /// Those who are at a stream that is put out keep their turn; the next to come may find itself beside them, which the
    /// expected version sorts out.
    fn make_room(&mut self, events_max: usize) {
        while self.events > events_max {
            let Some((_, put_out)) = self.slots.pop_lru() else {
                return;
            };
            self.events -= put_out.costs;
        }
    }
}

/// The right to be at a stream. What was taken out and is not kept again, such as by a command that was cancelled, is
/// read anew by the next.
pub(crate) struct Turn<'a> {
    cache: &'a AggregateCache,
    stream: StreamName,
    kept: OwnedMutexGuard<Kept>,
}

impl Turn<'_> {
    /// Takes out what the last command left.
    pub(crate) fn take<A: Aggregate>(&mut self) -> Option<Loaded<A>> {
        self.kept.loaded.take()?.downcast().ok().map(|loaded| *loaded)
    }

    /// Leaves it to the next.
    pub(crate) fn keep<A: Aggregate>(mut self, loaded: Loaded<A>) {
        let costs = AGGREGATE_COSTS + usize::try_from(loaded.version).unwrap_or(usize::MAX - AGGREGATE_COSTS);
        self.kept.loaded = Some(Box::new(loaded));
        self.cache.costs(self.stream, costs);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use domain::agent::Agent;
    use domain::{Category, StreamName};
    use uuid::Uuid;

    use super::*;

    fn stream() -> StreamName {
        StreamName { category: Category::Agent, id: Uuid::now_v7() }
    }

    fn loaded(version: i64) -> Loaded<Agent> {
        Loaded { state: Agent::default(), version }
    }

    async fn version(cache: &AggregateCache, stream: StreamName) -> Option<i64> {
        let mut turn = cache.turn(stream).await.unwrap();
        let kept = turn.take::<Agent>()?;
        let version = kept.version;
        turn.keep(kept);
        Some(version)
    }

    #[tokio::test]
    async fn the_least_recently_used_makes_room() {
        let cache = AggregateCache::new(3 * AGGREGATE_COSTS + 30);
        let [first, second, third] = [stream(), stream(), stream()];
        for stream in [first, second, third] {
            cache.turn(stream).await.unwrap().keep(loaded(10));
        }
        assert_eq!(version(&cache, first).await, Some(10));
        // One event more than there is room for.
        cache.turn(third).await.unwrap().keep(loaded(11));
        assert_eq!(version(&cache, first).await, Some(10));
        assert_eq!(version(&cache, third).await, Some(11));
        assert_eq!(version(&cache, second).await, None);
        assert!(cache.entries().events <= cache.events_max);
    }

    #[tokio::test]
    async fn one_that_is_larger_than_the_cache_is_not_kept() {
        let cache = AggregateCache::new(100);
        let stream = stream();
        cache.turn(stream).await.unwrap().keep(loaded(1_000));
        assert_eq!(version(&cache, stream).await, None);
        assert_eq!(cache.entries().events, AGGREGATE_COSTS);
    }

    #[tokio::test]
    async fn those_at_one_stream_take_turns_and_one_too_many_is_refused() {
        let cache = Arc::new(AggregateCache::new(CACHED_EVENTS_MAX));
        let stream = stream();
        let first = cache.turn(stream).await.unwrap();
        assert!(cache.turn_now(stream).is_none());
        let waiting: Vec<_> = (0..STREAM_QUEUE_MAX)
            .map(|_| {
                let cache = Arc::clone(&cache);
                tokio::spawn(async move {
                    let mut turn = cache.turn(stream).await.unwrap();
                    let version = turn.take::<Agent>().map_or(0, |kept| kept.version);
                    turn.keep(loaded(version + 1));
                })
            })
            .collect();
        while Arc::strong_count(&cache.slot(stream)) < STREAM_QUEUE_MAX + 3 {
            tokio::task::yield_now().await;
        }
        assert!(cache.turn(stream).await.is_none());
        drop(first);
        for waiting in waiting {
            waiting.await.unwrap();
        }
        assert_eq!(version(&cache, stream).await, i64::try_from(STREAM_QUEUE_MAX).ok());
    }
}
