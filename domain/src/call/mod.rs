//! A call, told as legs: every offer to an agent is a leg with its own times, because service level, speed of answer,
//! hold, wrap-up and transfer rate can't be computed from one status.

mod command;
mod decide;
mod event;
mod refusal;
mod state;

pub use command::{AgentFacts, Command, Destination, RING_TIMEOUT_MS_MAX};
pub use event::{
    Abandoned, Answered, Channel, ConsultCancelled, ConsultStarted, Declined, Direction, EndReason, Ended, EndedBy,
    Event, Failed, Held, Initiated, LegNumber, Muted, OfferExpired, OfferWithdrawn, Offered, Party, Queued,
    RecordingPaused, RecordingResumed, RecordingStarted, RecordingStopped, Resumed, TransferTarget, TransferredBlind,
    TransferredConsult, Unmuted, WrapUpCompleted, WrapUpStarted,
};
pub use refusal::Refusal;
pub use state::{Call, Leg, LegPhase, Phase, Recording};

use crate::{Aggregate, Category};

impl Aggregate for Call {
    const CATEGORY: Category = Category::Call;
    type Command = Command;
    type Event = Event;
    type Refusal = Refusal;

    fn decide(&self, command: Command) -> Result<Vec<Event>, Refusal> {
        decide::decide(self, command)
    }

    fn apply(&mut self, event: &Event) {
        self.fold(event);
    }

    fn heap_bytes(&self) -> usize {
        self.heap_bytes()
    }
}

#[cfg(test)]
mod tests;
