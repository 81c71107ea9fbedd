//! From the waits of a call and an event to the next waits.

use std::collections::BTreeMap;

use domain::call::Event;
use domain::{AgentId, CallId, Position};

use super::{EntryOutcome, EntryRow};
use crate::Decoded;
use crate::models::rows::elapsed_ms;

/// The waits of the calls of a batch: of each call the last one stored, and those that began since. Only the last wait
/// of a call can be open.
#[derive(Debug, Default)]
pub(super) struct Waits {
    pub(super) calls: BTreeMap<CallId, Vec<EntryRow>>,
    /// Queues that changed, with the position of the last event about them.
    pub(super) queues: BTreeMap<String, Position>,
}

impl Waits {
    /// Takes one event in.
    pub(super) fn fold(&mut self, decoded: &Decoded) {
        let domain::Event::Call(event) = &decoded.event else {
            return;
        };
        match event {
            Event::Queued(e) => {
                self.leave(decoded, EntryOutcome::FlowOut, None);
                self.enter(decoded, e.queue.as_str(), e.priority);
            }
            // While a caller waits, no leg has the customer and so none can consult: what is offered and answered is
            // the wait.
            Event::Offered(_) => self.waiting(decoded, |entry| entry.offers += 1),
            Event::Declined(_) => self.waiting(decoded, |entry| entry.declined += 1),
            Event::OfferExpired(_) => self.waiting(decoded, |entry| entry.expired += 1),
            Event::OfferWithdrawn(_) => self.waiting(decoded, |entry| entry.withdrawn += 1),
            Event::Answered(e) => self.leave(decoded, EntryOutcome::Answered, Some(e.agent_id)),
            Event::Abandoned(_) => self.leave(decoded, EntryOutcome::Abandoned, None),
            Event::Ended(_) => self.leave(decoded, EntryOutcome::Ended, None),
            Event::Failed(_) => self.leave(decoded, EntryOutcome::Failed, None),
            _ => {}
        }
    }

    /// Changes the wait that is open, if there is one.
    fn waiting(&mut self, decoded: &Decoded, change: impl FnOnce(&mut EntryRow)) {
        let last = self.calls.get_mut(&decoded.recorded.stream.id).and_then(|entries| entries.last_mut());
        if let Some(entry) = last.filter(|entry| entry.left_at.is_none()) {
            change(entry);
            entry.position = decoded.recorded.position;
            self.queues.insert(entry.queue.clone(), decoded.recorded.position);
        }
    }

    fn leave(&mut self, decoded: &Decoded, outcome: EntryOutcome, agent_id: Option<AgentId>) {
        let at = decoded.recorded.occurred_at;
        self.waiting(decoded, |entry| {
            entry.left_at = Some(at);
            entry.outcome = Some(outcome);
            entry.agent_id = agent_id;
            entry.wait_ms = Some(elapsed_ms(entry.enqueued_at, at));
        });
    }

    fn enter(&mut self, decoded: &Decoded, queue: &str, priority: i16) {
        let recorded = &decoded.recorded;
        let entries = self.calls.entry(recorded.stream.id).or_default();
        entries.push(EntryRow {
            call_id: recorded.stream.id,
            entry: entries.last().map_or(1, |last| last.entry + 1),
            queue: queue.to_owned(),
            priority,
            enqueued_at: recorded.occurred_at,
            left_at: None,
            outcome: None,
            agent_id: None,
            wait_ms: None,
            offers: 0,
            declined: 0,
            expired: 0,
            withdrawn: 0,
            position: recorded.position,
        });
        self.queues.insert(queue.to_owned(), recorded.position);
    }
}
