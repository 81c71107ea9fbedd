//! Any event of any aggregate, decoded.

use crate::{Recorded, agent, call, sentiment, transcript};

/// An event of one of the aggregates.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// Something happened to a call.
    Call(call::Event),
    /// Something happened to an agent.
    Agent(agent::Event),
    /// Something was said.
    Transcript(transcript::Event),
    /// A mood was scored.
    Sentiment(sentiment::Event),
}

/// A stored event that this program can't read.
#[derive(Debug, thiserror::Error)]
pub enum Undecodable {
    /// Written by a newer program, or damaged.
    #[error("event type {0:?} is not known to this program")]
    UnknownType(String),
    /// The payload does not have the shape its type promises.
    #[error("payload of {event_type:?} does not fit its type")]
    Payload {
        /// Wire name of the event.
        event_type: String,
        /// What the JSON reader said.
        source: serde_json::Error,
    },
}

impl Event {
    /// Decodes a payload by its wire name.
    ///
    /// # Errors
    /// The type is unknown, or the payload does not fit it.
    pub fn decode(event_type: &str, payload: &str) -> Result<Self, Undecodable> {
        let decoded = match event_type.split_once('.').map(|(category, _)| category) {
            Some("call") => call::Event::decode(event_type, payload).map(|r| r.map(Self::Call)),
            Some("agent") => agent::Event::decode(event_type, payload).map(|r| r.map(Self::Agent)),
            Some("transcript") => transcript::Event::decode(event_type, payload).map(|r| r.map(Self::Transcript)),
            Some("sentiment") => sentiment::Event::decode(event_type, payload).map(|r| r.map(Self::Sentiment)),
            _ => None,
        };
        match decoded {
            Some(Ok(event)) => Ok(event),
            Some(Err(source)) => Err(Undecodable::Payload { event_type: event_type.to_owned(), source }),
            None => Err(Undecodable::UnknownType(event_type.to_owned())),
        }
    }

    /// Wire name.
    #[must_use]
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Call(event) => event.type_name(),
            Self::Agent(event) => event.type_name(),
            Self::Transcript(event) => event.type_name(),
            Self::Sentiment(event) => event.type_name(),
        }
    }

    /// Schema version written today.
    #[must_use]
    pub fn schema_version(&self) -> i16 {
        match self {
            Self::Call(event) => event.schema_version(),
            Self::Agent(event) => event.schema_version(),
            Self::Transcript(event) => event.schema_version(),
            Self::Sentiment(event) => event.schema_version(),
        }
    }

    /// Payload as JSON text.
    ///
    /// # Errors
    /// When a value has no JSON form.
    pub fn payload(&self) -> serde_json::Result<String> {
        match self {
            Self::Call(event) => event.payload(),
            Self::Agent(event) => event.payload(),
            Self::Transcript(event) => event.payload(),
            Self::Sentiment(event) => event.payload(),
        }
    }

    /// Every wire name this program can read.
    pub fn types() -> impl Iterator<Item = &'static str> {
        [call::Event::TYPES, agent::Event::TYPES, transcript::Event::TYPES, sentiment::Event::TYPES]
            .into_iter()
            .flatten()
            .copied()
    }
}

impl Recorded {
    /// The event inside the envelope.
    ///
    /// # Errors
    /// The type is unknown, or the payload does not fit it.
    pub fn decode(&self) -> Result<Event, Undecodable> {
        Event::decode(&self.event_type, self.payload.get())
    }
}
