//! Heads of streams that this process has committed last, so that it need not ask for what it knows.

use std::collections::HashMap;

use domain::{StreamName, Version};
use foldhash::fast::RandomState;

/// Streams remembered for certain; up to twice as many may be. 40 bytes each.
const REMEMBERED_MIN: usize = 32_768;

/// Last versions of streams in one partition of the log.
///
/// Whoever appends version N + 1 has to know that version N is the last one. Of a stream that is remembered here the partition
/// holds version N, so nothing later is in another one, and the partition's unique index refuses a second version N + 1.
/// That another process may have appended it meanwhile does no harm: what is remembered is never wrong, only old.
#[derive(Debug, Default)]
pub(super) struct Heads {
    partition: Option<i64>,
    recent: HashMap<StreamName, Version, RandomState>,
    /// Those remembered before; forgotten when the recent ones are too many.
    older: HashMap<StreamName, Version, RandomState>,
}

impl Heads {
    /// Turns to a partition. What is known of another one says nothing about it.
    pub(super) fn turn_to(&mut self, partition: i64) {
        if self.partition != Some(partition) {
            self.forget();
            self.partition = Some(partition);
        }
    }

    /// Forgets everything.
    pub(super) fn forget(&mut self) {
        *self = Self::default();
    }

    /// Whether the partition is known to hold this version of the stream.
    pub(super) fn holds(&self, stream: StreamName, version: Version) -> bool {
        self.recent.get(&stream).or_else(|| self.older.get(&stream)) == Some(&version)
    }

    /// Takes in a version that was committed to a partition.
    pub(super) fn committed(&mut self, partition: i64, stream: StreamName, version: Version) {
        if self.partition != Some(partition) {
            return;
        }
        if self.recent.len() >= REMEMBERED_MIN && !self.recent.contains_key(&stream) {
            self.older = std::mem::take(&mut self.recent);
        }
        self.recent.insert(stream, version);
    }
}

#[cfg(test)]
mod tests {
    use domain::Category;
    use uuid::Uuid;

    use super::*;

    fn stream(number: usize) -> StreamName {
        StreamName { category: Category::Call, id: Uuid::from_u128(number as u128) }
    }

    #[test]
    fn knows_the_last_version_in_the_partition_it_turned_to() {
        let mut heads = Heads::default();
        heads.committed(0, stream(1), 1);
        assert!(!heads.holds(stream(1), 1), "of no partition yet");
        heads.turn_to(0);
        heads.committed(0, stream(1), 1);
        heads.committed(0, stream(1), 2);
        heads.committed(1, stream(2), 1);
        heads.turn_to(0);
        assert!(heads.holds(stream(1), 2));
        assert!(!heads.holds(stream(1), 1) && !heads.holds(stream(1), 3) && !heads.holds(stream(2), 1));
        heads.turn_to(1);
        assert!(!heads.holds(stream(1), 2), "a later partition may hold more");
    }

    #[test]
    fn those_not_used_for_long_are_forgotten() {
        let mut heads = Heads::default();
        heads.turn_to(0);
        (0..=2 * REMEMBERED_MIN).for_each(|number| heads.committed(0, stream(number), 1));
        assert!(heads.recent.len() + heads.older.len() <= 2 * REMEMBERED_MIN);
        assert!(!heads.holds(stream(0), 1));
        assert!(heads.holds(stream(REMEMBERED_MIN + 1), 1) && heads.holds(stream(2 * REMEMBERED_MIN), 1));
    }
}
