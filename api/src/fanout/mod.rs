//! Equal subscriptions are resolved once, and the bytes go to all who watch.
//!
//! ```text
//! own stream ──▶ lane ──▶ outbox ──▶ client          until it has caught up with what happens now; then it either
//!                                                    rides along with the group of its equals, or becomes its source
//! source ──▶ group ──▶ lane ──▶ outbox ──▶ client
//!              ├─────▶ lane ──▶ outbox ──▶ client
//! ```
//!
//! A subscription begins with its snapshot, or with everything since its cursor: by itself, or, where others wait to begin
//! the same, with what one of them reads for all. Between two payloads
//! it knows its place: everything wanted up to there was yielded. A group keeps its recent frames; who is at a place that
//! they reach back to gets those after it and every one that follows, so nothing is missing and nothing is sent twice.
//!
//! * `frame`: an answer in bytes, and how it may be delivered.
//! * `outbox`: what waits to be sent over one connection: a byte-bounded queue an operation, served in turn.
//! * `group`: those who watch the same.
//! * `subscribe`: one subscription from its beginning until it rides along.
//! * `openings`: those who begin the same at the same time.
//! * `key`: what makes two subscriptions equal.

mod frame;
mod group;
mod key;
mod openings;
mod outbox;
mod subscribe;
#[cfg(test)]
mod tests;

pub(crate) use frame::Frame;
use group::Step;
pub(crate) use group::{Fanout, Source};
pub(crate) use key::{Beginning, Key};

pub(crate) use outbox::{BeginError, Control, Ending, Lane, Out, Outbox};
pub(crate) use subscribe::Newcomer;
