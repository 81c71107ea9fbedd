//! What was said in a call, segment by segment. A better transcription supersedes a segment, it never edits it.
//!
//! Only final segments are facts: interim hypotheses of a recogniser are not stored.

mod command;
mod decide;
mod event;
mod refusal;
mod state;

pub use command::{Command, SEGMENTS_MAX};
pub use event::{Event, Segment, SegmentAdded, SegmentCorrected, Sequence};
pub use refusal::Refusal;
pub use state::{SegmentFacts, Transcript};

use crate::{Aggregate, Category};

impl Aggregate for Transcript {
    const CATEGORY: Category = Category::Transcript;
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
