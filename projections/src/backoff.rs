//! Pauses between two tries: growing, capped, and spread so that several do not knock at the same moment.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

/// First pause after a failure.
const PAUSE_FIRST: Duration = Duration::from_millis(50);
/// Longest pause.
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// The pause after the next failure.
pub(crate) struct Backoff {
    next: Duration,
}

impl Backoff {
    pub(crate) fn new() -> Self {
        Self { next: PAUSE_FIRST }
    }

    /// It worked: the next failure is a first one again.
    pub(crate) fn reset(&mut self) {
        self.next = PAUSE_FIRST;
    }

    /// Waits before the next try. `false`: told to stop.
    pub(crate) async fn pause(&mut self, shutdown: &CancellationToken) -> bool {
        let pause = spread(self.next);
        self.next = (self.next * 2).min(PAUSE_MAX);
        shutdown.run_until_cancelled(tokio::time::sleep(pause)).await.is_some()
    }
}

/// Between half of the pause and all of it. The standard library's hasher keys are random enough for that.
pub(crate) fn spread(pause: Duration) -> Duration {
    // Simulations repeat themselves.
    let random = if cfg!(test) { 500 } else { RandomState::new().hash_one(0_u8) % 1_000 };
    pause / 2 + pause / 2 * u32::try_from(random).unwrap_or(0) / 1_000
}
