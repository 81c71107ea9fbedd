//! What waits to be appended, and what of it goes into the next batch.

use std::collections::HashSet;
use std::hash::BuildHasher;

use domain::StreamName;
use foldhash::fast::RandomState;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::{Append, AppendError, Appended, BATCH_APPENDS_MAX};

/// What appends are about: nothing that is about the same may be beside them.
#[derive(Default)]
pub(super) struct Claims {
    streams: HashSet<StreamName, RandomState>,
    /// Keys by their hashes. Of two that share one, the second waits in vain.
    keys: HashSet<u64, RandomState>,
}

impl Claims {
    fn with_capacity(appends: usize) -> Self {
        let state = RandomState::default;
        Self {
            streams: HashSet::with_capacity_and_hasher(appends, state()),
            keys: HashSet::with_capacity_and_hasher(appends, state()),
        }
    }

    /// How many appends there are, of a batch or several that have nothing in common.
    pub(super) fn len(&self) -> usize {
        self.streams.len()
    }

    pub(super) fn add(&mut self, others: &Self) {
        self.streams.extend(&others.streams);
        self.keys.extend(&others.keys);
    }

    pub(super) fn remove(&mut self, others: &Self) {
        self.streams.retain(|stream| !others.streams.contains(stream));
        self.keys.retain(|key| !others.keys.contains(key));
    }
}

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
    hashes: RandomState,
}

impl Queue {
    pub(super) fn new(waiting: mpsc::Receiver<Pending>) -> Self {
        Self { waiting, received: Vec::new(), hashes: RandomState::default() }
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

    /// Receives what waits, as far as it fits into a batch, and says how much it is.
    pub(super) fn receive(&mut self) -> usize {
        while self.received.len() < BATCH_APPENDS_MAX {
            let Ok(pending) = self.waiting.try_recv() else {
                break;
            };
            self.received.push(pending);
        }
        self.received.len()
    }

    /// The next batch, of at most so many of those received, without those on streams and under keys that are `under_way`: what they do
    /// comes after. No stream and no key is in it twice, because the verdict on the second append depends on the first. It is
    /// sorted by stream: every batch writes streams in one order, so that two can't wait for each other.
    pub(super) fn take(&mut self, most: usize, under_way: &Claims) -> Vec<Pending> {
        let mut claimed = Claims::with_capacity(self.received.len());
        let mut taken = 0;
        // Marked even when held back, so that a third append of the stream does not overtake the second.
        let fits = self.received.iter().map(|Pending { append, .. }| {
            let key = self.hashes.hash_one(&append.key);
            let (new_stream, new_key) = (claimed.streams.insert(append.stream), claimed.keys.insert(key));
            let free = !under_way.streams.contains(&append.stream) && !under_way.keys.contains(&key);
            let fits = taken < most && new_stream && new_key && free;
            taken += usize::from(fits);
            fits
        });
        let fits: Vec<bool> = fits.collect();
        let mut fits = fits.into_iter();
        let mut batch: Vec<Pending> = self.received.extract_if(.., |_| fits.next().unwrap_or(false)).collect();
        batch.sort_unstable_by_key(|pending| (pending.append.stream.id, pending.append.stream.category.as_str()));
        batch
    }

    /// What a batch is about.
    pub(super) fn claims(&self, batch: &[Pending]) -> Claims {
        let appends = || batch.iter().map(|pending| &pending.append);
        Claims {
            streams: appends().map(|append| append.stream).collect(),
            keys: appends().map(|append| self.hashes.hash_one(&append.key)).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use domain::{Category, Version};
    use uuid::Uuid;

    use super::*;
    use crate::event_store::Expected;

    /// Appends, each by its key and the number of its stream.
    fn queue(of: &[(&str, u128)]) -> Queue {
        let (sender, waiting) = mpsc::channel(of.len());
        for (key, stream) in of {
            let stream = StreamName { category: Category::Call, id: Uuid::from_u128(*stream) };
            let expected = Expected::Exact(Version::default());
            let append = Append { key: (*key).to_owned(), stream, expected, events: Vec::new() };
            assert!(sender.try_send(Pending { append, reply: oneshot::channel().0 }).is_ok());
        }
        let mut queue = Queue::new(waiting);
        assert_eq!(queue.receive(), of.len());
        queue
    }

    fn keys(batch: &[Pending]) -> Vec<&str> {
        batch.iter().map(|pending| pending.append.key.as_str()).collect()
    }

    #[test]
    fn those_that_came_first_go_first_and_by_stream() {
        let mut queue = queue(&[("a", 5), ("b", 1), ("c", 3), ("d", 2)]);
        let nothing = Claims::default();
        assert_eq!(keys(&queue.take(3, &nothing)), ["b", "c", "a"]);
        assert_eq!(keys(&queue.take(3, &nothing)), ["d"]);
    }

    #[test]
    fn what_is_about_the_same_comes_after_it_and_in_its_order() {
        let mut queue = queue(&[("a", 1), ("b", 1), ("a", 2), ("c", 2), ("d", 1), ("e", 3)]);
        let first = queue.take(10, &Claims::default());
        assert_eq!(keys(&first), ["a", "e"]);
        // "a" is a key under way, on another stream; stream 2 waits for it, and stream 1 is under way.
        let mut under_way = queue.claims(&first);
        assert!(queue.take(10, &under_way).is_empty());
        under_way.remove(&queue.claims(&first));
        assert_eq!(under_way.len(), 0);
        assert_eq!(keys(&queue.take(10, &under_way)), ["b", "a"]);
        assert_eq!(keys(&queue.take(10, &under_way)), ["d", "c"]);
    }
}
