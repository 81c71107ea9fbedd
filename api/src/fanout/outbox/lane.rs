//! The place of one operation in an outbox, and how it is filled.

use std::sync::Arc;

use tokio::sync::OwnedSemaphorePermit;

use super::{Ending, Feed, Outbox, Task};
use crate::fanout::Frame;
use crate::fanout::group::Membership;
use crate::track::Shows;

/// The place of one operation in an outbox.
#[derive(Clone)]
pub(crate) struct Lane {
    pub(super) outbox: Arc<Outbox>,
    pub(super) slot: usize,
    pub(super) run: u64,
}

impl Lane {
    /// Queues an answer as soon as there is room. False: the operation is no more.
    pub(crate) async fn push(&self, frame: Arc<Frame>) -> bool {
        loop {
            let room = self.outbox.room.notified();
            {
                let mut state = self.outbox.lock();
                let Some(operation) = state.operation(self.slot, self.run) else { return false };
                if operation.queue.is_empty() || operation.bytes + frame.body.len() <= self.outbox.queue_bytes {
                    operation.push(&frame);
                    state.give_turn(self.slot);
                    self.outbox.filled.notify_one();
                    return true;
                }
            }
            room.await;
        }
    }

    /// Queues an answer at once, or ends the operation. False: it is no more, or ends.
    pub(crate) fn offer(&self, frame: &Arc<Frame>) -> bool {
        let mut state = self.outbox.lock();
        let Some(operation) = state.operation(self.slot, self.run) else { return false };
        if !operation.queue.is_empty() {
            if frame.shown.shows == Shows::Passing {
                return true;
            }
            operation.coalesce(&frame.shown.shows);
        }
        let fits = operation.queue.is_empty() || operation.bytes + frame.body.len() <= self.outbox.queue_bytes;
        if fits {
            operation.push(frame);
        } else {
            operation.ending = Some(Ending::TooSlow);
        }
        state.give_turn(self.slot);
        self.outbox.filled.notify_one();
        fits
    }

    /// Bytes with which it can begin at once and still take as many more.
    pub(in crate::fanout) fn opening_bytes(&self) -> usize {
        self.outbox.queue_bytes / 2
    }

    /// Waits until everything was taken, or the operation is no more.
    pub(crate) async fn drained(&self) {
        loop {
            let room = self.outbox.room.notified();
            let waits = self.outbox.lock().operation(self.slot, self.run).is_some_and(|o| !o.queue.is_empty());
            if !waits {
                return;
            }
            room.await;
        }
    }

    /// Says that the operation has one answer, which [`Outbox::settled`] waits for.
    pub(crate) fn answers_once(&self) {
        if let Some(operation) = self.outbox.lock().operation(self.slot, self.run) {
            operation.once = true;
        }
    }

    /// Keeps a place for as long as the operation is there.
    pub(crate) fn hold(&self, place: OwnedSemaphorePermit) {
        if let Some(operation) = self.outbox.lock().operation(self.slot, self.run) {
            operation.place = Some(place);
        }
    }

    /// Ends the operation after what is queued.
    pub(crate) fn finish(&self, ending: Ending) {
        let mut state = self.outbox.lock();
        if let Some(operation) = state.operation(self.slot, self.run) {
            operation.ending = Some(ending);
            state.give_turn(self.slot);
            self.outbox.filled.notify_one();
        }
    }

    /// Runs what fills the lane; it is cut off when the operation ends.
    pub(crate) fn spawn(&self, filling: impl Future<Output = ()> + Send + 'static) {
        // Under the lock, so that it can't hand the lane on before it is known to fill it.
        let mut state = self.outbox.lock();
        if let Some(operation) = state.operation(self.slot, self.run) {
            operation.feed = Feed::Task(Task(tokio::spawn(filling).abort_handle()));
        }
    }

    /// From now on a group fills the lane. Called by the task that has filled it so far, which then has to end.
    pub(in crate::fanout) fn ride(&self, membership: Membership) {
        let before = match self.outbox.lock().operation(self.slot, self.run) {
            Some(operation) => std::mem::replace(&mut operation.feed, Feed::Group(membership)),
            None => Feed::Group(membership),
        };
        drop(before);
    }
}
