//! Edge to the voice world: what the system does by itself when something has happened.
//!
//! * [`language`]: analysis of what was said, behind a trait with a local implementation.
//! * [`reactions`]: follow the log and ask for something; the outcome comes back as a command, under the event's id, so
//!   that a reaction that runs twice counts once.
//!
//! This crate sees no SQL and no Kafka: it follows the log through `projections` and speaks through `commands`.

pub mod language;
pub mod reactions;
