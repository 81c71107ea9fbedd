//! Reactions: each follows the log from its own bookmark and asks for something when it sees an event it knows.
//!
//! A reaction works at least once: its bookmark moves after the outcome is in the log. The event's id is part of the
//! command's key, so what is done twice counts once, and several nodes may run the same reaction. Rebuilds of read models
//! run no reactions.

mod sentiment;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use commands::EventStore;
use domain::{Position, Recorded};
use futures_util::StreamExt;
use projections::projector::UNHURRIED_REST;
use projections::{Bookmark, Tail};
use tokio_util::sync::CancellationToken;

use crate::language::LanguageAnalysis;

/// Events taken from the log at once.
const BATCH_EVENTS_MAX: u16 = 500;
/// Calls or agents reacted for at once; events of one are taken in order.
const AT_ONCE_MAX: usize = 32;
/// Pause after a failure, before the same event is tried again.
const RETRY_PAUSE: Duration = Duration::from_millis(500);

/// What reactions need.
pub struct Reactions {
    /// Where outcomes go.
    pub store: EventStore,
    /// What is followed.
    pub tail: Tail,
    /// How far it was followed.
    pub bookmark: Bookmark,
    /// Who analyses what was said.
    pub analysis: Arc<dyn LanguageAnalysis>,
}

impl Reactions {
    /// Reacts until shutdown.
    pub async fn run(self, shutdown: CancellationToken) {
        let mut position = loop {
            match self.bookmark.load().await {
                Ok(position) => break position,
                Err(error) => tracing::warn!(%error, "the reactions' bookmark can't be read yet"),
            }
            if pause(&shutdown).await {
                return;
            }
        };
        while let Some(batch) = self.next_batch(position, &shutdown).await {
            let Some(last) = batch.last().map(|event| event.position) else { continue };
            if !self.react_to(&batch, &shutdown).await {
                return;
            }
            position = last;
            if let Err(error) = self.bookmark.store(position).await {
                // The batch is repeated after a restart, which its keys make harmless.
                tracing::warn!(%error, "the reactions' bookmark could not be moved");
            }
        }
    }

    /// The next events; `None` at shutdown. Those who watch are shown them first, so that what a reaction takes of processors and of
    /// the disk is out of their way; a full batch is put off for nobody.
    async fn next_batch(&self, position: Position, shutdown: &CancellationToken) -> Option<Vec<Arc<Recorded>>> {
        loop {
            let ripened = async {
                self.tail.wait_past(position).await;
                let full = self.tail.wait_past(position + Position::from(BATCH_EVENTS_MAX) - 1);
                drop(tokio::time::timeout(UNHURRIED_REST, full).await);
            };
            tokio::select! {
                () = ripened => {}
                () = shutdown.cancelled() => return None,
            }
            match self.tail.read(position, BATCH_EVENTS_MAX.into()).await {
                Ok(batch) => return Some(batch),
                Err(error) => tracing::warn!(%error, "the log can't be read"),
            }
            if pause(shutdown).await {
                return None;
            }
        }
    }

    /// Reacts to a batch, in order for each call or agent; `false` at shutdown.
    async fn react_to(&self, batch: &[Arc<Recorded>], shutdown: &CancellationToken) -> bool {
        let mut by_subject: BTreeMap<_, Vec<Arc<Recorded>>> = BTreeMap::new();
        for event in batch.iter().filter(|event| sentiment::knows(&event.event_type)) {
            by_subject.entry(event.stream.id).or_default().push(Arc::clone(event));
        }
        let done = futures_util::stream::iter(by_subject.into_values()).map(|events| async move {
            for event in events {
                while let Err(error) = sentiment::react(self, &event).await {
                    tracing::warn!(%error, position = event.position, "a reaction failed and is tried again");
                    if pause(shutdown).await {
                        return false;
                    }
                }
            }
            true
        });
        done.buffer_unordered(AT_ONCE_MAX).all(|done| async move { done }).await
    }
}

/// Waits a little; `true` at shutdown.
async fn pause(shutdown: &CancellationToken) -> bool {
    tokio::select! {
        () = tokio::time::sleep(RETRY_PAUSE) => false,
        () = shutdown.cancelled() => true,
    }
}
