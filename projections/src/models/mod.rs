//! The read models: one folder each, always the same files.
//!
//! * `mod`: the [`ReadModel`](crate::ReadModel): which rows a batch of events needs, loaded and written back at once.
//! * `row`: what one row says, in the words of the domain. Field names are column names.
//! * `fold`: a pure function from rows and an event to the next rows, where one event does not tell a row by itself. The
//!   same function shows a past instant.
//! * `query`: questions that people ask. They take one connection, so that several see one snapshot.
//! * `<name>.sql`: the tables; `write_<table>.sql`: how a batch gets into one.
//!
//! A model never reads a table of another model while it folds, and never a clock. Durations are whole milliseconds
//! between the times at which things happened; where the clocks of two witnesses disagree so far that a thing ends
//! before it begins, it took no time.

pub mod agents;
pub mod calls;
mod columns;
mod copy;
pub mod dashboard;
mod leg;
pub mod queues;
mod rows;
pub mod sentiment;
pub mod spoken_words;
pub mod transcripts;

pub use leg::{LegState, LegTimes};
pub use rows::{ROWS_MAX, Scroll};
