//! The live lane: what is not a fact yet. Nothing here is stored, ordered with the log, or promised.

use domain::call::Party;
use domain::{CallId, SpokenText};
use tokio::sync::broadcast;

/// Messages that a slow watcher may be behind; older ones are gone for it, as each is replaced by the next anyway.
const WAITING_MAX: usize = 1_024;

/// Something that is still being spoken.
#[derive(Debug, Clone)]
pub(crate) struct Interim {
    pub(crate) call_id: CallId,
    pub(crate) speaker: Party,
    pub(crate) begin_ms: u32,
    pub(crate) text: SpokenText,
}

/// Passes interim transcripts on to those who watch, on this node.
#[derive(Clone)]
pub(crate) struct LiveLane {
    sender: broadcast::Sender<Interim>,
}

impl LiveLane {
    pub(crate) fn new() -> Self {
        Self { sender: broadcast::channel(WAITING_MAX).0 }
    }

    /// Shows an interim transcript to everybody who watches now.
    pub(crate) fn publish(&self, interim: Interim) {
        // An error says that nobody watches, which is fine.
        drop(self.sender.send(interim));
    }

    pub(crate) fn subscribe(&self) -> broadcast::Receiver<Interim> {
        self.sender.subscribe()
    }
}
