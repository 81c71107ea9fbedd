//! What waits to be appended, and what of it goes into the next batch.

use std::collections::HashSet;

use domain::StreamName;
use foldhash::fast::RandomState;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::{Append, AppendError, Appended, BATCH_APPENDS_MAX};

/// A set of streams.
pub(super) type Streams = HashSet<StreamName, RandomState>;

/// An append and where its answer goes.
pub(super) struct Pending {
    pub(super) append: Append,
    pub(super) reply: oneshot::Sender<Result<Appended, AppendError>>,
}

/// Appends that wait, in the order in which they came.
pub(super) struct Queue {
    waiting: mpsc::Receiver<Pending>,
    /// Received, and not taken yet: some share a stream or key with a batch that went before.
    received: Vec<Pending>,
}

impl Queue {
    pub(super) fn new(waiting: mpsc::Receiver<Pending>) -> Self {
        Self { waiting, received: Vec::new() }
    }

    /// Waits until so many wait; `false` when no more will. Takes no more in after `shutdown`: those who go on asking would put the
    /// end off for ever. May be dropped at any moment.
    pub(super) async fn filled(&mut self, enough: usize, shutdown: &CancellationToken) -> bool {
        if shutdown.is_cancelled() {
            self.waiting.close();
        }
        let enough = enough.clamp(1, BATCH_APPENDS_MAX);
        while self.received.len() < enough {
            let room = BATCH_APPENDS_MAX - self.received.len();
            tokio::select! {
                biased;
                () = shutdown.cancelled(), if !self.waiting.is_closed() => self.waiting.close(),
                received = self.waiting.recv_many(&mut self.received, room) => if received == 0 { return false },
            }
        }
        true
    }

    /// How many wait, as far as they fit into a batch.
    pub(super) fn waiting(&mut self) -> usize {
        while self.received.len() < BATCH_APPENDS_MAX {
            let Ok(pending) = self.waiting.try_recv() else {
                break;
            };
            self.received.push(pending);
        }
        self.received.len()
    }

    /// The next batch, of at most so many, without those on streams `under_way`: what they do comes after. No stream and no key is
    /// in it twice, because the verdict on the second append depends on the first. It is sorted by stream: every batch writes
    /// streams in one order, so that two can't wait for each other.
    pub(super) fn take(&mut self, most: usize, under_way: &Streams) -> Vec<Pending> {
        let mut streams = Streams::with_capacity_and_hasher(self.received.len(), RandomState::default());
        let mut keys = HashSet::with_capacity_and_hasher(self.received.len(), RandomState::default());
        let mut taken = 0;
        // Marked even when held back, so that a third append of the stream does not overtake the second.
        let fits = self.received.iter().map(|Pending { append, .. }| {
            let (new_stream, new_key) = (streams.insert(append.stream), keys.insert(append.key.as_str()));
            let fits = taken < most && new_stream && new_key && !under_way.contains(&append.stream);
            taken += usize::from(fits);
            fits
        });
        let fits: Vec<bool> = fits.collect();
        let mut fits = fits.into_iter();
        let mut batch: Vec<Pending> = self.received.extract_if(.., |_| fits.next().unwrap_or(false)).collect();
        batch.sort_unstable_by_key(|pending| (pending.append.stream.id, pending.append.stream.category.as_str()));
        batch
    }
}
