//! Which partition an event goes to: our own hash, because clients of different make choose differently by default, and
//! one key in two partitions is an order lost.

use uuid::Uuid;

/// The partition of a stream's events, from 0 to `count - 1`. 64-bit FNV-1a over the 16 bytes of the id, folded to 32 bits.
///
/// All streams of a call share its id, so what belongs to a call is in one partition, in order.
#[must_use]
pub fn partition_of(stream_id: Uuid, count: i32) -> i32 {
    const OFFSET_BASIS: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0000_0100_0000_01b3;
    let hash =
        stream_id.as_bytes().iter().fold(OFFSET_BASIS, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(PRIME));
    let folded = (hash >> 32) ^ (hash & 0xffff_ffff);
    let count = u64::try_from(count.max(1)).unwrap_or(1);
    i32::try_from(folded % count).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stays_what_it_was() {
        // Written down once: a changed hash would send a call's later events to another partition.
        // Computed independently by a few lines of Python.
        for (id, expected) in [
            ("00000000-0000-0000-0000-000000000000", 0),
            ("0192f0c1-2b3a-7c4d-8e5f-001122334455", 0),
            ("0192f0c1-2b3a-7c4d-8e5f-001122334456", 9),
            ("ffffffff-ffff-ffff-ffff-ffffffffffff", 1),
        ] {
            assert_eq!(id.parse().map(|id| partition_of(id, 12)), Ok(expected), "{id}");
        }
    }

    #[test]
    fn spreads_evenly() {
        let mut counts = [0_u32; 12];
        for n in 0..12_000_u128 {
            counts[usize::try_from(partition_of(Uuid::from_u128(n << 64 | n), 12)).unwrap_or(0)] += 1;
        }
        assert!(counts.iter().all(|count| (800..1_200).contains(count)), "{counts:?}");
    }
}
