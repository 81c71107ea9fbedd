//! The model seen from outside: the wire format, and the values that events are made of.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod golden;
mod values;
