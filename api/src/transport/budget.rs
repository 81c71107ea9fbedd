//! Points that viewers spend: a token bucket for each of them.

use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use governor::clock::{Clock, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use uuid::Uuid;

use crate::limits::Limits;

/// Viewers whose points are counted one by one. Who has regained every point is forgotten; with this many others at the
/// same time, those who come later share one bucket of their kind.
const VIEWERS_MAX: usize = 100_000;

/// Whose points are spent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Purse {
    /// Of somebody who is signed in.
    User(Uuid),
    /// Of an address: of one IPv4 host, or of one IPv6 network (/64), which is what one subscriber gets.
    Address(IpAddr),
    /// Of everybody whose address is not known, or who came after too many others.
    Others,
}

impl Purse {
    /// The purse of an address.
    pub(crate) fn of(address: Option<IpAddr>) -> Self {
        match address.map(|address| address.to_canonical()) {
            Some(IpAddr::V6(v6)) => {
                let network = v6.to_bits() & !u128::from(u64::MAX);
                Self::Address(Ipv6Addr::from_bits(network).into())
            }
            Some(v4) => Self::Address(v4),
            None => Self::Others,
        }
    }
}

/// The points of all viewers of this process.
pub(crate) struct Budget {
    buckets: DefaultKeyedRateLimiter<Purse>,
    burst: u32,
    tidying: AtomicBool,
}

impl Budget {
    pub(crate) fn new(limits: &Limits) -> Self {
        let points = |points: u32| NonZeroU32::new(points).unwrap_or(NonZeroU32::MIN);
        // Otherwise an operation within its own limit could never be paid.
        let burst = limits.points_burst.max(u32::try_from(limits.complexity).unwrap_or(u32::MAX));
        let quota = Quota::per_minute(points(limits.points_per_minute)).allow_burst(points(burst));
        Self { buckets: RateLimiter::keyed(quota), burst, tidying: AtomicBool::new(false) }
    }

    /// Takes points, or says after which time they would be there.
    pub(crate) fn spend(&self, purse: Purse, points: usize) -> Result<(), Duration> {
        let points = u32::try_from(points).unwrap_or(u32::MAX).clamp(1, self.burst.max(1));
        let Some(points) = NonZeroU32::new(points) else { return Ok(()) };
        let purse = if self.buckets.len() >= VIEWERS_MAX { self.make_room(purse) } else { purse };
        match self.buckets.check_key_n(&purse, points) {
            // More than the burst was cut off above.
            Ok(Ok(())) | Err(_) => Ok(()),
            Ok(Err(not_until)) => Err(not_until.wait_time_from(DefaultClock::default().now())),
        }
    }

    fn make_room(&self, purse: Purse) -> Purse {
        // One thread is enough for that.
        if !self.tidying.swap(true, Ordering::AcqRel) {
            self.buckets.retain_recent();
            self.tidying.store(false, Ordering::Release);
        }
        if self.buckets.len() < VIEWERS_MAX { purse } else { Purse::Others }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn budget(per_minute: u32, burst: u32) -> Budget {
        Budget::new(&Limits { points_per_minute: per_minute, points_burst: burst, complexity: 1, ..Limits::default() })
    }

    #[test]
    fn each_purse_is_spent_to_its_last_point() {
        let budget = budget(1, 10);
        let (ann, bob) = (Purse::User(Uuid::from_u128(1)), Purse::User(Uuid::from_u128(2)));
        assert_eq!(budget.spend(ann, 7), Ok(()));
        assert_eq!(budget.spend(ann, 3), Ok(()));
        let wait = budget.spend(ann, 1);
        assert!(wait.is_err_and(|wait| wait > Duration::from_secs(50) && wait <= Duration::from_secs(60)));
        assert_eq!(budget.spend(bob, 10), Ok(()));
    }

    #[test]
    fn addresses_of_one_subscriber_share_a_purse() {
        let purse = |text: &str| Purse::of(text.parse().ok());
        assert_eq!(purse("2001:db8:1:2::1"), purse("2001:db8:1:2:ffff::9"));
        assert_ne!(purse("2001:db8:1:2::1"), purse("2001:db8:1:3::1"));
        assert_eq!(purse("::ffff:192.0.2.1"), purse("192.0.2.1"));
        assert_ne!(purse("192.0.2.2"), purse("192.0.2.1"));
    }

    #[test]
    fn keys_are_bounded() {
        // Points are back within a microsecond, so everybody before is forgotten.
        let budget = budget(u32::MAX, 1);
        for user in 0..2 * VIEWERS_MAX {
            let _ = budget.spend(Purse::User(Uuid::from_u128(user as u128)), 1);
        }
        assert!(budget.buckets.len() <= VIEWERS_MAX);
        // Nobody is forgotten who still owes points; those who come then share one purse.
        let budget = self::budget(1, 1);
        for user in 0..=VIEWERS_MAX {
            let _ = budget.spend(Purse::User(Uuid::from_u128(user as u128)), 1);
        }
        assert!(budget.spend(Purse::User(Uuid::max()), 1).is_err());
    }
}
