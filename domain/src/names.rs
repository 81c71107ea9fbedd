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
    /// Has a control character; in a text of one line, a line break or tab is one, too.
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

/// Whether a text may have several lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lines {
    /// A name or a reason: it stands in logs, labels and table cells.
    One,
    /// Notes and speech; line feeds and tabs may stand in them.
    Many,
}

/// Checks a text against its bound and trims it.
pub(crate) fn checked(what: &'static str, text: &str, length_max: usize, lines: Lines) -> Result<String, InvalidText> {
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
    let breaks = lines == Lines::Many && text.contains('\r');
    let text = if breaks { text.replace("\r\n", "\n") } else { text.to_owned() };
    if holds_control(&text, lines) { Err(InvalidText::Control { what }) } else { Ok(text) }
}

fn holds_control(text: &str, lines: Lines) -> bool {
    let many = lines == Lines::Many;
    let is_one = |c: char| c.is_control() & !(many & matches!(c, '\n' | '\t'));
    if text.is_ascii() {
        // To the end, whatever is found: many bytes at a time that way, and this is done for every text of a command.
        return text.bytes().fold(false, |found, byte| found | is_one(char::from(byte)));
    }
    text.chars().any(is_one)
}

macro_rules! bounded_text {
    ($($(#[$doc:meta])* $name:ident, $what:literal, $max:literal, $lines:ident;)+) => {$(
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
                crate::names::checked($what, text, $max, crate::names::Lines::$lines).map(Self)
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
    QueueName, "queue name", 64, One;
    /// Name of a team of agents.
    TeamName, "team name", 64, One;
    /// A short word from a closed or growing list: a capability, a disposition, a model.
    Label, "label", 64, One;
    /// One line: a reason.
    ShortText, "text", 200, One;
    /// A few lines: notes of an agent.
    LongText, "text", 4000, Many;
}

#[cfg(test)]
mod tests {
    use super::{Lines, holds_control};

    #[test]
    fn a_control_character_is_found_among_ascii_and_among_others() {
        for c in (0..0x2100).filter_map(char::from_u32) {
            for text in [format!("good {c} morning"), format!("schönen {c} Tag"), c.to_string()] {
                assert_eq!(holds_control(&text, Lines::One), c.is_control(), "{text:?}");
                let breaks = matches!(c, '\n' | '\t');
                assert_eq!(holds_control(&text, Lines::Many), c.is_control() && !breaks, "{text:?}");
            }
        }
    }
}
