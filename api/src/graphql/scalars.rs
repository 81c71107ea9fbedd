//! Scalars and enums shared by all concepts, and parsing of input text.

use async_graphql::{Enum, InputValueError, InputValueResult, Result, Scalar, ScalarType, Value};
use chrono::{DateTime, Datelike, Utc};
use domain::{InvalidText, Personal, PhoneNumber};

use super::direct::{Leaf, words};
use crate::error::bad_input;

/// A place in the event log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Position(pub(crate) i64);

impl Position {
    fn read(value: &Value) -> Option<Self> {
        let position = match value {
            Value::Number(number) => number.as_i64()?,
            Value::String(text) => text.parse().ok()?,
            _ => return None,
        };
        (position >= 0).then_some(Self(position))
    }
}

/// A place in the event log: 1, 2, 3, ... without a hole, in the order of commit; 0 is before the first. A JSON number,
/// or the same as a string; exact up to 2^53.
#[Scalar]
impl ScalarType for Position {
    fn parse(value: Value) -> InputValueResult<Self> {
        Self::read(&value).ok_or_else(|| InputValueError::custom("a position is a whole number from 0"))
    }

    fn is_valid(value: &Value) -> bool {
        Self::read(value).is_some()
    }

    fn to_value(&self) -> Value {
        Value::Number(self.0.into())
    }
}

/// Who calls whom.
#[derive(Enum, Debug, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "domain::call::Direction")]
pub(crate) enum Direction {
    /// A customer called us.
    Inbound,
    /// We called a customer.
    Outbound,
}

/// How a conversation is held.
#[derive(Enum, Debug, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "domain::call::Channel")]
pub(crate) enum Channel {
    /// By telephone.
    Voice,
    /// In writing.
    Chat,
}

/// One side of a call.
#[derive(Enum, Debug, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "domain::call::Party")]
pub(crate) enum Party {
    /// The customer.
    Customer,
    /// The agent.
    Agent,
}

/// Who ended a call.
#[derive(Enum, Debug, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "domain::call::EndedBy")]
pub(crate) enum EndedBy {
    /// The customer hung up.
    Customer,
    /// The agent hung up.
    Agent,
    /// A supervisor ended the call.
    Supervisor,
    /// A rule of this system, such as closing time.
    System,
    /// The telephone network.
    Provider,
}

/// Why a call ended.
#[derive(Enum, Debug, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "domain::call::EndReason")]
pub(crate) enum EndReason {
    /// The conversation was over.
    Completed,
    /// The other side was busy.
    Busy,
    /// Nobody answered.
    NoAnswer,
    /// The other side refused.
    Rejected,
    /// The call was cut by a time limit.
    TimeLimit,
    /// The queue closed or overflowed.
    QueueClosed,
    /// Anything else.
    Other,
}

/// Whether an agent who is signed in can be offered a conversation, and if not, why in broad terms.
#[derive(Enum, Debug, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "domain::agent::Presence")]
pub(crate) enum Presence {
    /// Ready for a conversation.
    Available,
    /// Away from the desk for a short time.
    Away,
    /// On a paid break.
    OnBreak,
    /// At lunch or dinner.
    AtMeal,
    /// In a meeting.
    InMeeting,
    /// In training.
    InTraining,
}

words!(Direction, Channel, Party, EndedBy, EndReason, Presence);

impl Leaf for Position {
    fn write(&self, text: &mut Vec<u8>) {
        self.0.write(text);
    }
}

/// Parses a bounded text of an input field.
pub(crate) fn text<T>(field: &str, value: &str, parse: fn(&str) -> Result<T, InvalidText>) -> Result<T> {
    parse(value).map_err(|invalid| bad_input(field, invalid.code(), invalid))
}

/// Parses an optional text; an absent, null or blank one is none.
pub(crate) fn optional<T>(
    field: &str,
    value: Option<&str>,
    parse: fn(&str) -> Result<T, InvalidText>,
) -> Result<Option<T>> {
    value.filter(|value| !value.trim().is_empty()).map(|value| text(field, value, parse)).transpose()
}

/// A text to look for, as it is. One with a NUL is nowhere, and no database takes it.
pub(crate) fn sought(field: &str, value: Option<String>) -> Result<Option<String>> {
    match value {
        Some(text) if text.contains('\0') => {
            Err(bad_input(field, "TEXT_CONTROL_CHARACTER", "must not hold control characters"))
        }
        value => Ok(value),
    }
}

/// An instant to look for: of a year that has four digits, which is well within what a database can hold.
pub(crate) fn instant(field: &str, value: DateTime<Utc>) -> Result<DateTime<Utc>> {
    if (0..=9999).contains(&value.year()) {
        Ok(value)
    } else {
        Err(bad_input(field, "INSTANT_OUT_OF_RANGE", "a year is from 0 to 9999"))
    }
}

/// Parses a telephone number.
pub(crate) fn phone(field: &str, value: &str) -> Result<Personal<PhoneNumber>> {
    let number = PhoneNumber::parse(value).map_err(|invalid| bad_input(field, "PHONE_NUMBER_INVALID", invalid))?;
    Ok(Personal::new(number))
}
