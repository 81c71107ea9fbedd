//! What somebody showed who was let in.

use chrono::Utc;
use uuid::Uuid;

use super::token::LEEWAY_S;

/// What somebody showed who was let in: good until a moment, unless the account changes before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Grant {
    /// The user.
    pub(crate) user: Uuid,
    /// The user's token version when the token was issued.
    pub(crate) version: i32,
    /// When the token ends, in seconds since 1970.
    pub(crate) until: i64,
}

impl Grant {
    /// Whether its time has passed.
    pub(crate) fn is_over(&self) -> bool {
        Utc::now().timestamp() > self.until.saturating_add_unsigned(LEEWAY_S)
    }
}
