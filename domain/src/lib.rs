//! The model of a call centre: what can happen, what may be asked, and which rule says no.
//!
//! Everything here is a pure function of its arguments: no I/O, no clock, no async, no invented identities. Time and
//! facts about other streams arrive inside commands; the result is a list of events or a refusal that names the rule.
//!
//! * [`call`], [`agent`], [`transcript`], [`sentiment`]: one folder an aggregate, always the same files: `event`,
//!   `command`, `refusal`, `state` (what the rules remember) and `decide` (the rules).
//! * [`Recorded`]: an event as it was stored, with its envelope; its JSON is the wire format.
//! * [`Personal`]: the mark on every field that tells something about a person.
//! * [`permission`]: what a user may do, as strings with wildcards and ownership.
//!
//! A new event goes into its aggregate's `event.rs`, gets one line in `golden/`, and nothing else has to change. One that
//! changes its shape gets the next schema version, a step that leads to it (`upcast`), and a line in `golden/`.

mod actor;
pub mod agent;
mod aggregate;
pub mod call;
mod event;
mod macros;
mod names;
pub mod permission;
mod personal;
mod recorded;
pub mod sentiment;
#[cfg(test)]
mod testing;
pub mod transcript;
mod upcast;

pub use actor::{Actor, InvalidActor};
pub use aggregate::{Aggregate, Fact, Refusal};
pub use event::{Event, Undecodable};
pub use names::{InvalidText, Label, LongText, QueueName, ShortText, TeamName};
pub use personal::{InvalidPhoneNumber, PersonName, Personal, PhoneNumber, SpokenText};
pub use recorded::{Category, Committed, Position, Recorded, StreamName, UnknownCategory, Version};

/// Identity of a call; also the identity of its transcript and sentiment streams.
pub type CallId = uuid::Uuid;
/// Identity of an agent.
pub type AgentId = uuid::Uuid;
