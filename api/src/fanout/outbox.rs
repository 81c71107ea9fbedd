//! What waits to be sent over one connection.
//!
//! Every operation has a queue of its own, bounded in bytes, and the queues are served in turn, so a hot subscription
//! starves no other. An operation that reads on by itself waits for room. One that rides along with others can't wait: of
//! latest states only the newest is kept, and what must not be skipped ends, when it does not fit any more, with an error
//! that says so after everything that did fit; its client goes on from its cursor.
//!
//! Locks: a group's, then an outbox's. So nothing that leaves a group may be dropped while an outbox is locked.

mod lane;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, OwnedSemaphorePermit};
use tokio::task::AbortHandle;

pub(crate) use lane::Lane;

use super::Frame;
use super::group::Membership;
use crate::track::Shows;

/// Messages of the protocol itself (acknowledgement, pongs, errors) that wait.
const CONTROL_MAX: usize = 64;

/// A message of a socket's protocol itself.
#[derive(Debug)]
pub(crate) enum Control {
    /// One of its messages.
    Text(String),
    /// Are you there?
    Ping,
    /// Nothing follows: the code and the reason.
    Close(u16, String),
}

/// Something to send.
#[derive(Debug)]
pub(crate) enum Out {
    /// A message of the protocol itself.
    Control(Control),
    /// An answer of an operation.
    Next(Arc<str>, Arc<Frame>),
    /// The end of an operation, whose id is free from now on.
    Last(Arc<str>, Ending),
}

/// How an operation ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Ending {
    /// There is nothing more.
    Complete,
    /// It was not executed, or can't go on: the list of errors in JSON.
    Errors(String),
    /// Its client takes too slowly what must not be skipped.
    TooSlow,
}

/// Why no operation begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BeginError {
    /// The id is in use.
    InUse,
    /// There are as many as may be.
    TooMany,
}

/// What waits to be sent over one connection.
pub(crate) struct Outbox {
    state: Mutex<State>,
    /// There is something to send.
    filled: Notify,
    /// Something was sent.
    room: Notify,
    queue_bytes: usize,
}

struct State {
    control: VecDeque<Control>,
    /// Each at a slot of its own, which is free again when it ends. As few as a socket may have, so looked for one by one.
    operations: Vec<Option<Operation>>,
    /// Slots of operations with something to send, next first.
    turns: VecDeque<usize>,
    runs: u64,
}

struct Operation {
    id: Arc<str>,
    /// Tells runs at the same slot apart.
    run: u64,
    queue: VecDeque<Arc<Frame>>,
    bytes: usize,
    ending: Option<Ending>,
    has_turn: bool,
    /// It has one answer, and is not to be ended before.
    once: bool,
    feed: Feed,
    /// What it takes up of the node for as long as it is there.
    place: Option<OwnedSemaphorePermit>,
}

/// What fills a queue. Dropped with its operation.
enum Feed {
    Nothing,
    Task(#[expect(dead_code, reason = "held for its drop, which cuts the task off")] Task),
    Group(#[expect(dead_code, reason = "held for its drop, which leaves the group")] Membership),
}

struct Task(AbortHandle);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Outbox {
    /// An empty one, whose queues take this many bytes each.
    pub(crate) fn new(queue_bytes: usize) -> Arc<Self> {
        let state = State { control: VecDeque::new(), operations: Vec::new(), turns: VecDeque::new(), runs: 0 };
        Arc::new(Self { state: Mutex::new(state), filled: Notify::new(), room: Notify::new(), queue_bytes })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it is held; and if it did, the queues would still be whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues a message of the protocol, when there is room.
    pub(crate) async fn say(&self, control: Control) {
        loop {
            let room = self.room.notified();
            {
                let mut state = self.lock();
                if state.control.len() < CONTROL_MAX {
                    state.control.push_back(control);
                    self.filled.notify_one();
                    return;
                }
            }
            room.await;
        }
    }

    /// Queues a message of the protocol if there is room.
    pub(crate) fn try_say(&self, control: Control) {
        let mut state = self.lock();
        if state.control.len() < CONTROL_MAX {
            state.control.push_back(control);
            self.filled.notify_one();
        }
    }

    /// Takes an id for a new operation.
    pub(crate) fn begin(self: &Arc<Self>, id: &str, most: usize) -> Result<Lane, BeginError> {
        let mut state = self.lock();
        if state.slot_of(id).is_some() {
            return Err(BeginError::InUse);
        }
        if state.operations.iter().flatten().count() >= most {
            return Err(BeginError::TooMany);
        }
        state.runs += 1;
        let run = state.runs;
        let operation = Operation {
            id: id.into(),
            run,
            queue: VecDeque::new(),
            bytes: 0,
            ending: None,
            has_turn: false,
            once: false,
            feed: Feed::Nothing,
            place: None,
        };
        let free = state.operations.iter().position(Option::is_none);
        let slot = free.unwrap_or(state.operations.len());
        match state.operations.get_mut(slot) {
            Some(place) => *place = Some(operation),
            None => {
                // Most sockets have one.
                state.operations.reserve_exact(1);
                state.operations.push(Some(operation));
            }
        }
        Ok(Lane { outbox: Arc::clone(self), slot, run })
    }

    /// Ends an operation at the client's wish: nothing more of it is sent.
    pub(crate) fn end(&self, id: &str) {
        let mut state = self.lock();
        let Some(slot) = state.slot_of(id) else { return };
        let ended = state.operations[slot].take();
        if ended.as_ref().is_some_and(|operation| operation.has_turn) {
            state.turns.retain(|turn| *turn != slot);
        }
        drop(state);
        self.room.notify_waiters();
        drop(ended);
    }

    /// Ends all operations.
    pub(crate) fn close(&self) {
        let mut state = self.lock();
        let ended = std::mem::take(&mut state.operations);
        state.turns.clear();
        drop(state);
        self.room.notify_waiters();
        drop(ended);
    }

    /// Waits until every operation that has one answer has given it, and it was taken.
    pub(crate) async fn settled(&self) {
        loop {
            let room = self.room.notified();
            if !self.lock().operations.iter().flatten().any(|operation| operation.once) {
                return;
            }
            room.await;
        }
    }

    /// What is to be sent next, waiting for it: at least one message, and no more when these many bytes are reached.
    pub(crate) async fn take(&self, bytes: usize) -> Vec<Out> {
        loop {
            let filled = self.filled.notified();
            let taken = self.try_take(bytes);
            if !taken.is_empty() {
                return taken;
            }
            filled.await;
        }
    }

    fn try_take(&self, most: usize) -> Vec<Out> {
        let (mut taken, mut ended, mut bytes) = (Vec::new(), Vec::new(), 0);
        let mut state = self.lock();
        taken.extend(state.control.drain(..).map(Out::Control));
        while bytes < most {
            let Some(slot) = state.turns.pop_front() else { break };
            let Some(operation) = state.operations.get_mut(slot).and_then(Option::as_mut) else { continue };
            if let Some(frame) = operation.queue.pop_front() {
                operation.bytes -= frame.body.len();
                bytes += frame.body.len();
                taken.push(Out::Next(Arc::clone(&operation.id), frame));
                if operation.queue.is_empty() && operation.ending.is_none() {
                    operation.has_turn = false;
                } else {
                    state.turns.push_back(slot);
                }
            } else if let Some(ending) = operation.ending.take() {
                taken.push(Out::Last(Arc::clone(&operation.id), ending));
                ended.extend(state.operations[slot].take());
            } else {
                operation.has_turn = false;
            }
        }
        drop(state);
        if !taken.is_empty() {
            self.room.notify_waiters();
        }
        drop(ended);
        taken
    }
}

impl State {
    fn slot_of(&self, id: &str) -> Option<usize> {
        self.operations.iter().position(|operation| operation.as_ref().is_some_and(|operation| &*operation.id == id))
    }

    fn operation(&mut self, slot: usize, run: u64) -> Option<&mut Operation> {
        let operation = self.operations.get_mut(slot)?.as_mut()?;
        // An operation that ends takes nothing more.
        (operation.run == run && operation.ending.is_none()).then_some(operation)
    }

    fn give_turn(&mut self, slot: usize) {
        if let Some(Some(operation)) = self.operations.get_mut(slot)
            && !std::mem::replace(&mut operation.has_turn, true)
        {
            self.turns.push_back(slot);
        }
    }
}

impl Operation {
    fn push(&mut self, frame: &Arc<Frame>) {
        self.bytes += frame.body.len();
        self.queue.push_back(Arc::clone(frame));
    }

    /// Drops what a newer frame makes superfluous.
    fn coalesce(&mut self, newer: &Shows) {
        let mut dropped = 0;
        self.queue.retain(|older| {
            let superfluous = newer.replaces(&older.shown.shows);
            if superfluous {
                dropped += older.body.len();
            }
            !superfluous
        });
        self.bytes -= dropped;
    }
}
