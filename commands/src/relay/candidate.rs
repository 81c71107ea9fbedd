//! Standing for the lead again and again: whoever holds the lease leads, until its term ends.

use std::time::Duration;

use sqlx::PgPool;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{RelayConfig, RelayError, leader, lease_name};
use crate::clock::Clock;
use crate::event_store::EventStore;
use crate::lease::{LEASE_RENEWED_EVERY, Lease};

/// Pause after a failed term, before standing for the lease again.
const TERM_PAUSE: Duration = Duration::from_millis(500);

/// Somebody who would lead.
pub(super) trait Candidate: Send + Sync {
    /// That it leads, and nobody else does.
    type Lease: Send + Sync;

    /// Takes the lease if it is free or has run out.
    fn acquire(&self) -> impl Future<Output = Result<Option<Self::Lease>, RelayError>> + Send;

    /// Leads until shutdown or until something fails.
    fn lead(
        &self,
        lease: &Self::Lease,
        shutdown: &CancellationToken,
    ) -> impl Future<Output = Result<(), RelayError>> + Send;

    /// Gives the lease back, so that nobody has to wait until it runs out.
    fn release(&self, lease: Self::Lease) -> impl Future<Output = Result<(), RelayError>> + Send;
}

/// Stands for the lease and leads, again and again, until shutdown. Every failure is outlived.
pub(super) async fn stand(candidate: &impl Candidate, clock: impl Clock, shutdown: &CancellationToken) {
    while !shutdown.is_cancelled() {
        let lease = match candidate.acquire().await {
            Ok(Some(lease)) => lease,
            Ok(None) => {
                pause(&clock, LEASE_RENEWED_EVERY, shutdown).await;
                continue;
            }
            Err(error) => {
                tracing::warn!(%error, "the relay's lease could not be asked for");
                pause(&clock, TERM_PAUSE, shutdown).await;
                continue;
            }
        };
        if let Err(error) = candidate.lead(&lease, shutdown).await {
            tracing::warn!(%error, "relay's term ended early");
            pause(&clock, TERM_PAUSE, shutdown).await;
        }
        if let Err(error) = candidate.release(lease).await {
            tracing::warn!(%error, "the relay's lease could not be given back; it runs out by itself");
        }
    }
}

async fn pause(clock: &impl Clock, duration: Duration, shutdown: &CancellationToken) {
    shutdown.run_until_cancelled(clock.sleep(duration)).await;
}

/// A process that would carry the log to Kafka.
pub(super) struct Relay {
    pub(super) holder: Uuid,
    pub(super) pool: PgPool,
    pub(super) config: RelayConfig,
    /// Where this process appends.
    pub(super) here: Option<EventStore>,
}

impl Candidate for Relay {
    type Lease = Lease;

    async fn acquire(&self) -> Result<Option<Lease>, RelayError> {
        Ok(Lease::acquire(&self.pool, &lease_name(&self.config.topic), self.holder).await?)
    }

    async fn lead(&self, lease: &Lease, shutdown: &CancellationToken) -> Result<(), RelayError> {
        tracing::info!(topic = self.config.topic, epoch = lease.epoch, "relay leads");
        leader::lead(&self.pool, &self.config, lease, self.here.as_ref(), shutdown).await
    }

    async fn release(&self, lease: Lease) -> Result<(), RelayError> {
        Ok(lease.release(&self.pool).await?)
    }
}
