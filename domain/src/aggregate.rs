//! What an aggregate is: a fold over its own events, and rules that turn a command into new ones.

use serde::Serialize;
use serde::ser::Error;

use crate::{Category, Event};

/// Room for nearly every payload, which would otherwise grow to it step by step.
const PAYLOAD_BYTES: usize = 512;

/// A consistency boundary: its stream is appended to with an expected version, so its rules hold under concurrency.
pub trait Aggregate: Default + Clone + Send + Sync + 'static {
    /// First part of the stream's name.
    const CATEGORY: Category;
    /// An order; it carries every fact from outside its own stream that the rules need.
    type Command: Send + Sync;
    /// A fact of this aggregate's stream.
    type Event: Fact + Clone + Into<Event> + TryFrom<Event> + Send;
    /// The rules that can say no.
    type Refusal: Refusal;

    /// Decides a command against the current state.
    ///
    /// # Errors
    /// The rule that forbids it. Never returns an empty list.
    fn decide(&self, command: Self::Command) -> Result<Vec<Self::Event>, Self::Refusal>;

    /// Takes one event into the state. Total: history is never refused.
    fn apply(&mut self, event: &Self::Event);

    /// Bytes of memory that the state takes beside its own struct, about: a cache of aggregates is bounded by it. Asked for
    /// after each command, so it does not walk through what grows with the stream.
    fn heap_bytes(&self) -> usize;
}

/// A fact as it is stored.
pub trait Fact {
    /// The wire name of this event.
    #[must_use]
    fn type_name(&self) -> &'static str;

    /// The schema version this program writes for this event.
    #[must_use]
    fn schema_version(&self) -> i16;

    /// The payload as JSON text, exactly as it is stored.
    ///
    /// # Errors
    /// When a value has no JSON form.
    fn payload(&self) -> serde_json::Result<String>;
}

/// A payload as JSON text.
pub(crate) fn json(payload: &impl Serialize) -> serde_json::Result<String> {
    let mut text = Vec::with_capacity(PAYLOAD_BYTES);
    serde_json::to_writer(&mut text, payload)?;
    String::from_utf8(text).map_err(serde_json::Error::custom)
}

/// A rule that forbids a command, as a value for the one who gave it.
pub trait Refusal: std::error::Error + Send + Sync + 'static {
    /// Stable name of the rule, upper snake case. Clients match on it; it never changes once written.
    fn rule(&self) -> &'static str;
}
