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

/// Bound of the cache: bytes of memory that all it holds takes, about. Room for 10,000 calls with transcripts of an hour.
pub const CACHED_BYTES_MAX: usize = 64 * 1024 * 1024;
/// What an entry takes beside the aggregate: its place in the order of use and in the table, the turn, allocations.
const ENTRY_BYTES: usize = 256;
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
    /// What the entry counts for.
    bytes: usize,
    /// Turns that were waited for, since the last one that was not.
    in_a_row: u32,
}

type Slot = Arc<tokio::sync::Mutex<Kept>>;

/// Aggregates that were used last.
pub(crate) struct AggregateCache {
    entries: Mutex<Entries>,
    bytes_max: usize,
}

struct Entries {
    slots: LruCache<StreamName, Entry>,
    /// Sum of what the entries take.
    bytes: usize,
}

struct Entry {
    slot: Slot,
    bytes: usize,
}

impl AggregateCache {
    /// An empty one.
    pub(crate) fn new(bytes_max: usize) -> Self {
        Self { entries: Mutex::new(Entries { slots: LruCache::unbounded(), bytes: 0 }), bytes_max }
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
        entries.slots.put(stream, Entry { slot: Arc::clone(&slot), bytes: ENTRY_BYTES });
        entries.bytes += ENTRY_BYTES;
        entries.make_room(self.bytes_max);
        slot
    }

    /// Counts anew what an entry takes, unless it was put out in the meantime.
    fn takes(&self, stream: StreamName, slot: &Slot, bytes: usize) {
        let mut entries = self.entries();
        if let Some(entry) = entries.slots.get_mut(&stream).filter(|entry| Arc::ptr_eq(&entry.slot, slot)) {
            let before = std::mem::replace(&mut entry.bytes, bytes);
            entries.bytes = entries.bytes - before + bytes;
            entries.make_room(self.bytes_max);
        }
    }

    fn entries(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entries {
    /// Those who are at a stream that is put out keep their turn; the next to come may find itself beside them, which the
    /// expected version sorts out.
    fn make_room(&mut self, bytes_max: usize) {
        while self.bytes > bytes_max {
            let Some((_, put_out)) = self.slots.pop_lru() else {
                return;
            };
            self.bytes -= put_out.bytes;
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
        let bytes = ENTRY_BYTES + size_of::<Loaded<A>>() + loaded.state.heap_bytes();
        self.kept.loaded = Some(Box::new(loaded));
        if std::mem::replace(&mut self.kept.bytes, bytes) != bytes {
            self.cache.takes(self.stream, OwnedMutexGuard::mutex(&self.kept), bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use domain::agent::Agent;
    use domain::call::Party;
    use domain::transcript::{Event, Segment, SegmentAdded, Transcript};
    use domain::{Category, Label, Personal, SpokenText, StreamName};
    use uuid::Uuid;

    use super::*;

    fn stream() -> StreamName {
        StreamName { category: Category::Agent, id: Uuid::now_v7() }
    }

    /// An agent takes the same, however long its stream is.
    fn loaded(version: i64) -> Loaded<Agent> {
        Loaded { state: Agent::default(), version }
    }

    const BYTES_OF_AGENT: usize = ENTRY_BYTES + size_of::<Loaded<Agent>>();

    /// A transcript takes the more, the longer it is.
    fn transcript(segments: u32) -> Loaded<Transcript> {
        let mut state = Transcript::default();
        for sequence in 1..=segments {
            let text = Personal::new(SpokenText::parse("good morning").unwrap());
            let (begin_ms, end_ms, model) = (0, 1, Label::parse("nova-3").unwrap());
            let segment =
                Segment { sequence, speaker: Party::Customer, begin_ms, end_ms, text, confidence: None, model };
            state.apply(&Event::SegmentAdded(SegmentAdded { segment }));
        }
        Loaded { state, version: segments.into() }
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
        let cache = AggregateCache::new(3 * BYTES_OF_AGENT);
        let [first, second, third] = [stream(), stream(), stream()];
        for stream in [first, second, third] {
            cache.turn(stream).await.unwrap().keep(loaded(10));
        }
        assert_eq!(version(&cache, first).await, Some(10));
        cache.turn(stream()).await.unwrap().keep(loaded(11));
        assert_eq!(version(&cache, first).await, Some(10));
        assert_eq!(version(&cache, third).await, Some(10));
        // Asked for last, because asking makes room for it.
        assert_eq!(version(&cache, second).await, None);
    }

    #[tokio::test]
    async fn what_counts_is_the_memory_that_is_held_and_not_how_many_events_led_there() {
        let cache = AggregateCache::new(1_000 * BYTES_OF_AGENT);
        let agents: Vec<_> = (0..1_000).map(|_| stream()).collect();
        for at in [1, 1_000, 1_000_000] {
            for agent in &agents {
                cache.turn(*agent).await.unwrap().keep(loaded(at));
            }
        }
        assert_eq!(cache.entries().bytes, cache.bytes_max);
        for agent in &agents {
            assert_eq!(version(&cache, *agent).await, Some(1_000_000));
        }
    }

    #[tokio::test]
    async fn however_much_is_put_in_no_more_is_held_than_there_is_room_for() {
        let cache = AggregateCache::new(100_000);
        let segments = 100;
        for _ in 0..1_000 {
            cache.turn(stream()).await.unwrap().keep(transcript(segments));
            let entries = cache.entries();
            assert!(entries.bytes <= cache.bytes_max);
            assert_eq!(entries.bytes, entries.slots.iter().map(|(_, entry)| entry.bytes).sum::<usize>());
        }
        // A segment is a number, a party and two times: 16 bytes, and a list has at most half of its places free.
        let held = cache.entries().slots.len();
        assert!((20..=50).contains(&held), "{held}");
    }

    #[tokio::test]
    async fn one_that_is_larger_than_the_cache_is_not_kept() {
        let cache = AggregateCache::new(2_000);
        let stream = stream();
        cache.turn(stream).await.unwrap().keep(transcript(1_000));
        assert!(cache.turn(stream).await.unwrap().take::<Transcript>().is_none());
        assert_eq!(cache.entries().bytes, ENTRY_BYTES);
    }

    #[tokio::test]
    async fn those_at_one_stream_take_turns_and_one_too_many_is_refused() {
        let cache = Arc::new(AggregateCache::new(CACHED_BYTES_MAX));
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
