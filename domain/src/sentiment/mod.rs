//! The mood in a call: what models made of the segments of its transcript.
//!
//! A stream of its own, because scores come late, from several models, and may be computed anew long after the call.

mod command;
mod decide;
mod event;
mod refusal;
mod state;

pub use command::{Command, EMOTION_NAME_LENGTH_MAX, EMOTIONS_MAX};
pub use event::{Event, Scored};
pub use refusal::Refusal;
pub use state::Sentiment;

use crate::{Aggregate, Category};

impl Aggregate for Sentiment {
    const CATEGORY: Category = Category::Sentiment;
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
