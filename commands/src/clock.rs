//! Time as what decides over it sees it: the machine's, or one that is simulated.

use std::time::Duration;

use tokio::time::Instant;

/// A clock that only moves forward.
pub(crate) trait Clock: Clone + Send + Sync + 'static {
    /// This moment.
    fn now(&self) -> Instant;

    /// Waits.
    fn sleep(&self, duration: Duration) -> impl Future<Output = ()> + Send;
}

/// The machine's.
#[derive(Debug, Clone, Copy)]
pub(crate) struct MachineClock;

impl Clock for MachineClock {
    fn now(&self) -> Instant {
        Instant::now()
    }

    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}

#[cfg(test)]
impl Clock for crate::simulation::World {
    fn now(&self) -> Instant {
        Self::now(self)
    }

    async fn sleep(&self, duration: Duration) {
        Self::sleep(self, duration).await;
    }
}
