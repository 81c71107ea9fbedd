//! Reading what was written before an event changed its shape.
//!
//! Stored events are never rewritten. When the shape of an event changes, its schema version goes up by one, and a pure
//! function is added that makes a payload of the version before into one of the new version. A payload of version n is
//! read by the functions from n on, one after the other, and then as today's type. What a newer program has written is
//! refused: guessing what it meant would be worse than to wait for that program.

#[cfg(test)]
mod tests;

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

/// Makes the payload of one schema version into that of the next: a total, pure function of its argument. What does not
/// have the shape that it expects is left as it is, and does not fit today's type.
pub(crate) type Step = fn(Map<String, Value>) -> Map<String, Value>;

/// All shapes that an event ever had.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Chain {
    /// Today's version.
    today: i16,
    /// From version 1 to 2, from 2 to 3, and so on to today's.
    steps: &'static [Step],
}

/// Why a payload can't be read.
#[derive(Debug)]
pub(crate) enum Misfit {
    /// The version is not one from 1 to this, today's.
    Schema(i16),
    /// The JSON reader does not find what it should.
    Payload(serde_json::Error),
}

impl Chain {
    /// A chain; that a step is missing, or one too many, is an error of the compiler where this is a constant.
    pub(crate) const fn new(today: i16, steps: &'static [Step]) -> Self {
        assert!(
            today >= 1 && steps.len() + 1 == today.unsigned_abs() as usize,
            "one step for each version but the last"
        );
        Self { today, steps }
    }

    /// Reads a payload that was written in a version.
    pub(crate) fn read<T: DeserializeOwned>(self, version: i16, payload: &str) -> Result<T, Misfit> {
        if version == self.today {
            return serde_json::from_str(payload).map_err(Misfit::Payload);
        }
        let done = usize::try_from(version).ok().and_then(|version| version.checked_sub(1));
        let Some(steps) = done.and_then(|done| self.steps.get(done..)) else { return Err(Misfit::Schema(self.today)) };
        let old: Map<String, Value> = serde_json::from_str(payload).map_err(Misfit::Payload)?;
        let new = steps.iter().fold(old, |payload, step| step(payload));
        T::deserialize(Value::Object(new)).map_err(Misfit::Payload)
    }
}
