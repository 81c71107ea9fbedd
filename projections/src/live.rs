//! The live lane: what is not a fact yet, such as words that are still being spoken. Nothing here is stored, ordered with
//! the log, or promised: it is replaced by the next message a moment later anyway.
//!
//! Watchers of this process get a message at once; other nodes get it by PostgreSQL's notifications, which touch no table.

use std::sync::Arc;

use domain::call::Party;
use domain::{CallId, SpokenText};
use serde::{Deserialize, Serialize};
use sqlx::PgPool;
use tokio::sync::{broadcast, mpsc};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use crate::listen::listen;

/// Messages that a slow watcher may be behind; older ones are gone for it.
pub const LIVE_WATCHED_MAX: usize = 1_024;
/// Messages that may wait to be sent to other nodes; more are not sent.
pub const LIVE_OUTGOING_MAX: usize = 1_024;
/// Longest notification, in bytes; PostgreSQL takes fewer than 8,000.
const NOTIFICATION_BYTES_MAX: usize = 7_900;
const CHANNEL: &str = "voice_live";

/// Something that is still being spoken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interim {
    /// The call.
    pub call_id: CallId,
    /// Who speaks.
    pub speaker: Party,
    /// Begin of speech, milliseconds from the start of the call.
    pub begin_ms: u32,
    /// What was heard so far.
    pub text: SpokenText,
}

/// Messages of one node, as they travel.
#[derive(Serialize, Deserialize)]
struct Envelope {
    node: Uuid,
    messages: Vec<Interim>,
}

/// The live lane. Cheap to clone.
#[derive(Clone)]
pub struct LiveLane {
    watched: broadcast::Sender<Arc<Interim>>,
    outgoing: mpsc::Sender<Interim>,
}

impl LiveLane {
    /// Joins the lane, on tasks of `tracker`, until `shutdown` fires.
    #[must_use]
    pub fn start(pool: PgPool, tracker: &TaskTracker, shutdown: &CancellationToken) -> Self {
        let node = Uuid::new_v4();
        let watched = broadcast::Sender::new(LIVE_WATCHED_MAX);
        let (outgoing, queued) = mpsc::channel(LIVE_OUTGOING_MAX);
        let here = watched.clone();
        tracker.spawn(listen(pool.clone(), CHANNEL, shutdown.clone(), move |payload| {
            match serde_json::from_str::<Envelope>(payload) {
                // What was said here was heard here already.
                Ok(envelope) if envelope.node == node => {}
                Ok(envelope) => envelope.messages.into_iter().for_each(|message| drop(here.send(Arc::new(message)))),
                Err(error) => tracing::debug!(%error, "a live message that can't be read"),
            }
        }));
        let sending = send(pool, node, queued);
        let shutdown = shutdown.clone();
        tracker.spawn(async move { shutdown.run_until_cancelled(sending).await });
        Self { watched, outgoing }
    }

    /// Shows a message to everybody who watches now.
    pub fn publish(&self, interim: Interim) {
        // Neither a lack of watchers nor a full queue is an error: the next message says more.
        drop(self.outgoing.try_send(interim.clone()));
        drop(self.watched.send(Arc::new(interim)));
    }

    /// Watches from now on.
    #[must_use]
    pub fn subscribe(&self) -> broadcast::Receiver<Arc<Interim>> {
        self.watched.subscribe()
    }
}

/// Sends to the other nodes, everything that waits in one notification.
async fn send(pool: PgPool, node: Uuid, mut queued: mpsc::Receiver<Interim>) {
    let mut waiting = Vec::new();
    while queued.recv_many(&mut waiting, LIVE_OUTGOING_MAX).await > 0 {
        for payload in payloads(node, std::mem::take(&mut waiting)) {
            if let Err(error) = sqlx::query("SELECT pg_notify($1, $2)").bind(CHANNEL).bind(payload).execute(&pool).await
            {
                tracing::debug!(%error, "live messages were not sent to other nodes");
            }
        }
    }
}

/// Cuts messages into notifications. One that is too long for any is left out.
fn payloads(node: Uuid, messages: Vec<Interim>) -> Vec<String> {
    let text = |messages: &[Interim]| serde_json::to_string(&Envelope { node, messages: messages.to_vec() });
    let (mut payloads, mut batch) = (Vec::new(), Vec::new());
    let mut length = 0;
    for message in messages {
        let Ok(one) = text(std::slice::from_ref(&message)).map(|text| text.len()) else { continue };
        if one > NOTIFICATION_BYTES_MAX {
            continue;
        }
        if length + one > NOTIFICATION_BYTES_MAX {
            payloads.extend(text(&batch));
            (batch, length) = (Vec::new(), 0);
        }
        // Counts the envelope each time, so the bound is kept with room to spare.
        length += one;
        batch.push(message);
    }
    if !batch.is_empty() {
        payloads.extend(text(&batch));
    }
    payloads
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notifications_keep_their_bound_and_lose_nothing_short() {
        let interim = |length: usize| Interim {
            call_id: Uuid::nil(),
            speaker: Party::Customer,
            begin_ms: 1,
            text: SpokenText::parse(&"a".repeat(length)).unwrap_or_else(|_| unreachable!("within the bound")),
        };
        let messages: Vec<Interim> = (1..400).map(interim).chain([interim(8_000)]).collect();
        let payloads = payloads(Uuid::nil(), messages);
        assert!(payloads.iter().all(|payload| payload.len() <= NOTIFICATION_BYTES_MAX));
        let read = payloads.iter().filter_map(|payload| serde_json::from_str::<Envelope>(payload).ok());
        let lengths: Vec<usize> = read.flat_map(|envelope| envelope.messages).map(|m| m.text.as_str().len()).collect();
        assert_eq!(lengths, (1..400).collect::<Vec<_>>());
    }
}
