//! Short texts with a bound: names of queues and teams, labels, notes.
//!
//! A value is checked when it is parsed, at the door. Stored values are read back as they are: history is never refused
//! because a bound has moved since.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Text that does not fit its bound.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidText {
    /// Nothing but white space.
    #[error("{what} must not be empty")]
    Empty {
        /// What the text was meant to be.
        what: &'static str,
    },
    /// Longer than allowed.
    #[error("{what} has {length} characters, at most {length_max} are allowed")]
    TooLong {
        /// What the text was meant to be.
        what: &'static str,
        /// Its length in characters.
        length: usize,
        /// The bound in characters.
        length_max: usize,
    },
    /// Has a control character.
    #[error("{what} must not hold control characters")]
    Control {
        /// What the text was meant to be.
        what: &'static str,
    },
}

impl InvalidText {
    /// Stable code for clients.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Empty { .. } => "TEXT_EMPTY",
            Self::TooLong { .. } => "TEXT_TOO_LONG",
            Self::Control { .. } => "TEXT_CONTROL_CHARACTER",
        }
    }
}

/// Checks a text against its bound and trims it.
pub(crate) fn checked(what: &'static str, text: &str, length_max: usize) -> Result<String, InvalidText> {
    let text = text.trim();
    // Bytes bound characters from above, so the count is only taken for texts near the bound.
    if text.len() > length_max {
        let length = text.chars().count();
        if length > length_max {
            return Err(InvalidText::TooLong { what, length, length_max });
        }
    }
    if text.is_empty() {
        return Err(InvalidText::Empty { what });
    }
    if text.chars().any(|c| c.is_control() && c != '\n' && c != '\t') {
        return Err(InvalidText::Control { what });
    }
    Ok(text.to_owned())
}

macro_rules! bounded_text {
    ($($(#[$doc:meta])* $name:ident, $what:literal, $max:literal;)+) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// Most characters it may have.
            pub const LENGTH_MAX: usize = $max;

            /// Checks and trims a text.
            ///
            /// # Errors
            /// It is empty, too long, or holds a control character.
            pub fn parse(text: &str) -> Result<Self, InvalidText> {
                crate::names::checked($what, text, $max).map(Self)
            }

            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    )+};
}
pub(crate) use bounded_text;

bounded_text! {
    /// Name of a queue that calls wait in.
    QueueName, "queue name", 64;
    /// Name of a team of agents.
    TeamName, "team name", 64;
    /// A short word from a closed or growing list: a capability, a disposition, a model.
    Label, "label", 64;
    /// One line: a reason.
    ShortText, "text", 200;
    /// A few lines: notes of an agent.
    LongText, "text", 4000;
}
