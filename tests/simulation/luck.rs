//! Chance and harm of a simulated server, and a clock of its own. Crates take this file into their unit tests by `#[path]`.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

/// Whoever panicked while holding it: the test fails by that, and not by this.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A connection that broke.
pub(crate) fn broken() -> sqlx::Error {
    sqlx::Error::Io(std::io::ErrorKind::ConnectionReset.into())
}

/// What comes to harm, and when. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Luck {
    chance: Arc<Mutex<StdRng>>,
    /// How many messages in a hundred come to harm.
    harm: Arc<Mutex<u32>>,
}

impl Luck {
    pub(crate) fn new(seed: u64, harm: u32) -> Self {
        Self { chance: Arc::new(Mutex::new(StdRng::seed_from_u64(seed))), harm: Arc::new(Mutex::new(harm)) }
    }

    /// From now on nothing breaks any more.
    pub(crate) fn heal(&self) {
        self.harm(0);
    }

    /// From now on so many messages in a hundred come to harm.
    pub(crate) fn harm(&self, in_hundred: u32) {
        *lock(&self.harm) = in_hundred;
    }

    pub(crate) fn chance(&self, in_hundred: u32) -> bool {
        lock(&self.chance).random_range(0..100) < in_hundred
    }

    pub(crate) fn harmed(&self) -> bool {
        let harm = *lock(&self.harm);
        self.chance(harm)
    }

    pub(crate) fn within(&self, longest_ms: u64) -> Duration {
        Duration::from_millis(lock(&self.chance).random_range(0..=longest_ms))
    }
}

/// Runs this on a clock that jumps whenever everybody waits. An empty list is well; the rest is what is not as it must be.
pub(crate) fn on_a_clock_of_its_own(run: impl Future<Output = Vec<String>>) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    let faults = runtime.map_err(|error| error.to_string())?.block_on(run);
    if faults.is_empty() { Ok(()) } else { Err(format!("{faults:#?}")) }
}
