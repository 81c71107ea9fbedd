//! The read side.

mod read_model;

pub use read_model::{Change, Decoded, ReadModel};
