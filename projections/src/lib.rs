//! The read side: the log is followed, folded into read models, and its followers learn what changed.
//!
//! ```text
//! log ──▶ feed ──▶ projector (one per read model) ──▶ rows + checkpoint + changes, in one transaction
//!          │                                                        │
//!          └──▶ whoever else follows the log                changes ┴──▶ whoever watches; snapshot for whoever asks
//! ```
//!
//! * [`log`]: reading stored events. [`feed`]: following them, from the table or from Kafka; one [`Tail`] per process.
//! * [`ReadModel`]: a view folded from the log; [`run`] keeps all of them up to date.
//! * [`rebuild`]: a view made anew beside the served one, compared, and switched in.
//! * [`Changes`]: what changed, for those who watch. [`Snapshot`]: rows and their position from one moment.
//!
//! **A new read model** is one file in `models` that implements [`ReadModel`], and one line in [`read_models`]. Its tables
//! are made from its `ddl`, not by a migration. Its name is permanent; when its tables or its fold change, its version is
//! raised and the stored view is rebuilt at the next start.
//!
//! This crate appends nothing, asks no provider for anything, and does not know how people or machines reach it: a rebuild
//! can't have side effects, because nothing here could cause any.

mod backoff;
mod bookmark;
pub mod changes;
pub mod feed;
mod fold;
mod held;
mod lag;
mod listen;
mod live;
pub mod log;
pub mod metrics;
pub mod models;
pub mod parked;
mod progress;
pub mod projector;
mod read_model;
pub mod rebuild;
pub mod replay;
#[cfg(test)]
mod simulation;
mod snapshot;

use std::sync::Arc;

use futures_util::future::join_all;
use sqlx::PgPool;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

/// Goes onto every implementation of [`ReadModel`].
pub use async_trait::async_trait;
pub use bookmark::Bookmark;
pub use changes::{Behind, Changed, Changes};
pub use feed::{KafkaSource, Source, Tail};
pub use lag::{Lag, ProjectionLag, lag_of, lags};
pub use live::{Interim, LIVE_OUTGOING_MAX, LIVE_WATCHED_MAX, LiveLane};
pub use parked::{
    ParkedEvent, ParkedFilter, ParkedKey, ParkedPlace, Retried, RetryError, parked_events, parked_keys, retry_parked,
};
pub use progress::{Positions, Progress};
pub use read_model::{Change, Decoded, Header, ReadModel};
pub use rebuild::{Comparison, Options, Phases, RebuildError, RebuildProgress, RebuildReport, rebuild, rebuild_all};
pub use snapshot::Snapshot;

use projector::{Projector, REBUILDS_AT_ONCE_MAX};

/// Every read model, one line each. The dashboard counts the days of `zone`.
#[must_use]
pub fn read_models(zone: chrono_tz::Tz) -> Vec<Arc<dyn ReadModel>> {
    vec![
        Arc::new(models::calls::Calls),
        Arc::new(models::agents::Agents),
        Arc::new(models::queues::Queues),
        Arc::new(models::transcripts::Transcripts),
        Arc::new(models::spoken_words::SpokenWords),
        Arc::new(models::sentiment::Sentiment),
        Arc::new(models::dashboard::Dashboard::new(zone)),
    ]
}

/// There is no read model of that name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no read model {name:?}; there are {}", known.join(", "))]
pub struct UnknownModel {
    /// The name.
    pub name: String,
    /// The names there are.
    pub known: Vec<&'static str>,
}

/// The read model of a name.
///
/// # Errors
/// There is none.
pub fn read_model(zone: chrono_tz::Tz, name: &str) -> Result<Arc<dyn ReadModel>, UnknownModel> {
    let models = read_models(zone);
    let known = models.iter().map(|model| model.name()).collect();
    let found = models.into_iter().find(|model| model.name() == name);
    found.ok_or_else(|| UnknownModel { name: name.to_owned(), known })
}

/// Keeps every model up to date from the tail, one task a model, until `shutdown` fires; each finishes the batch at hand.
pub async fn run(
    pool: PgPool,
    tail: Tail,
    models: Vec<Arc<dyn ReadModel>>,
    progress: Progress,
    shutdown: CancellationToken,
) {
    let rebuilds = Arc::new(Semaphore::new(REBUILDS_AT_ONCE_MAX));
    let projectors = models
        .into_iter()
        .map(|model| Projector::new(pool.clone(), tail.clone(), model, progress.clone(), Arc::clone(&rebuilds)))
        .map(|projector| tokio::spawn(projector.run(shutdown.clone())));
    let projectors: Vec<_> = projectors.collect();
    let notifier = tokio::spawn(progress::notify(pool, progress.watch(), shutdown));
    for ended in join_all(projectors).await.into_iter().chain([notifier.await]) {
        if let Err(error) = ended {
            tracing::error!(%error, "a projector ended against its will");
        }
    }
}
