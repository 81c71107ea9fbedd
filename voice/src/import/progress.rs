//! How far an import is.

use std::sync::atomic::{AtomicUsize, Ordering};

use uuid::Uuid;

use crate::terminal::say;

/// Counters of a run.
#[derive(Default)]
pub(crate) struct Progress {
    calls: usize,
    turns: usize,
    began: AtomicUsize,
    ended: AtomicUsize,
    spoken: AtomicUsize,
    refusals: AtomicUsize,
}

impl Progress {
    pub(crate) fn new(calls: usize, turns: usize) -> Self {
        Self { calls, turns, ..Self::default() }
    }

    pub(crate) fn call_began(&self) {
        self.began.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn call_ended(&self) {
        self.ended.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn turn_spoken(&self) {
        self.spoken.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn refused(&self, call_id: Uuid, mutation: &str, rule: &str) {
        self.refusals.fetch_add(1, Ordering::Relaxed);
        tracing::warn!(call.id = %call_id, mutation, rule, "a command of the import was refused");
    }

    /// One line with the present state.
    pub(crate) fn show(&self) {
        let count = |counter: &AtomicUsize| counter.load(Ordering::Relaxed);
        let (ended, live) = (count(&self.ended), count(&self.began) - count(&self.ended));
        let refusals = match count(&self.refusals) {
            0 => String::new(),
            refusals => format!(", {refusals} commands refused"),
        };
        let (calls, spoken, turns) = (self.calls, count(&self.spoken), self.turns);
        say(format_args!(
            "import: {ended} of {calls} calls done, {live} live, {spoken} of {turns} turns spoken{refusals}"
        ));
    }
}
