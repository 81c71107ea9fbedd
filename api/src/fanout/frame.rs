//! An answer in bytes.

use crate::track::Shown;

/// An answer in JSON, resolved once, with how it may be delivered.
#[derive(Debug)]
pub(crate) struct Frame {
    /// The answer.
    pub(crate) body: String,
    /// How it may be delivered.
    pub(crate) shown: Shown,
}
