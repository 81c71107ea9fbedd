//! Data about a person, marked as such.
//!
//! Every field that can tell who somebody is, or what somebody said, is a [`Personal`]. The mark keeps such values out of
//! logs today, and is the one place where encryption for each data subject goes.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::names::{InvalidText, bounded_text};

/// A value about a person. Prints as `***`, so that no log line or panic message carries it; serialises as the value.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Personal<T>(T);

impl<T> Personal<T> {
    /// Marks a value.
    pub fn new(value: T) -> Self {
        Self(value)
    }

    /// The value itself, for those who have a reason to see it.
    pub fn reveal(&self) -> &T {
        &self.0
    }

    /// The same, for those who go on with nothing else.
    pub fn into_revealed(self) -> T {
        self.0
    }
}

impl<T> fmt::Debug for Personal<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

bounded_text! {
    /// Name of a person.
    PersonName, "name", 200, One;
    /// Something a person said, or wrote in a conversation.
    SpokenText, "spoken text", 8000, Many;
}

/// A telephone number in E.164 form: `+`, country code, subscriber number, at most 15 digits.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PhoneNumber(String);

/// Text that is no telephone number.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a telephone number in international form, such as +420601000001")]
pub struct InvalidPhoneNumber;

impl PhoneNumber {
    /// Parses a number in international form; spaces, dashes and brackets are dropped.
    ///
    /// # Errors
    /// It does not begin with `+`, or no numbering plan has such a number.
    pub fn parse(text: &str) -> Result<Self, InvalidPhoneNumber> {
        // Longer than any way of writing 15 digits; spares the parser's expressions an attack by length.
        const LENGTH_MAX: usize = 40;
        let text = text.trim();
        if !text.starts_with('+') || text.len() > LENGTH_MAX {
            return Err(InvalidPhoneNumber);
        }
        let number = phonenumber::parse(None, text).map_err(|_| InvalidPhoneNumber)?;
        let e164 = number.format().mode(phonenumber::Mode::E164).to_string();
        // Plans of some ranges (fictional, test, newly opened) are missing from the metadata: a possible length will do.
        if (8..=16).contains(&e164.len()) { Ok(Self(e164)) } else { Err(InvalidPhoneNumber) }
    }

    /// The number in E.164 form.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PhoneNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
