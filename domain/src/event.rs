//! Any event of any aggregate, decoded.

use crate::upcast::Misfit;
use crate::{Fact, Recorded, agent, call, sentiment, transcript};

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
    /// Written by a newer program, or damaged.
    #[error("schema version {version} of {event_type:?} is not known to this program, which knows 1 to {known}")]
    UnknownSchema {
        /// Wire name of the event.
        event_type: String,
        /// Its schema version.
        version: i16,
        /// The newest one that this program can read.
        known: i16,
    },
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
    /// Decodes a payload by its wire name and the schema version in which it was written: older ones than today's are
    /// brought up to date on the way.
    ///
    /// # Errors
    /// The type or the version is unknown, or the payload does not fit.
    pub fn decode(event_type: &str, schema_version: i16, payload: &str) -> Result<Self, Undecodable> {
        let decoded = match event_type.split_once('.').map(|(category, _)| category) {
            Some("call") => call::Event::decode(event_type, schema_version, payload).map(|r| r.map(Self::Call)),
            Some("agent") => agent::Event::decode(event_type, schema_version, payload).map(|r| r.map(Self::Agent)),
            Some("transcript") => {
                transcript::Event::decode(event_type, schema_version, payload).map(|r| r.map(Self::Transcript))
            }
            Some("sentiment") => {
                sentiment::Event::decode(event_type, schema_version, payload).map(|r| r.map(Self::Sentiment))
            }
            _ => None,
        };
        match decoded {
            Some(Ok(event)) => Ok(event),
            Some(Err(Misfit::Payload(source))) => {
                Err(Undecodable::Payload { event_type: event_type.to_owned(), source })
            }
            Some(Err(Misfit::Schema(known))) => {
                let event_type = event_type.to_owned();
                Err(Undecodable::UnknownSchema { event_type, version: schema_version, known })
            }
            None => Err(Undecodable::UnknownType(event_type.to_owned())),
        }
    }

    /// Every wire name this program can read.
    pub fn types() -> impl Iterator<Item = &'static str> {
        Self::schemas().map(|(name, _)| name)
    }

    /// Every wire name this program can read, with the schema version that it writes; it reads those from 1 on.
    pub fn schemas() -> impl Iterator<Item = (&'static str, i16)> {
        [call::Event::SCHEMAS, agent::Event::SCHEMAS, transcript::Event::SCHEMAS, sentiment::Event::SCHEMAS]
            .into_iter()
            .flatten()
            .copied()
    }
}

impl Fact for Event {
    fn type_name(&self) -> &'static str {
        match self {
            Self::Call(event) => event.type_name(),
            Self::Agent(event) => event.type_name(),
            Self::Transcript(event) => event.type_name(),
            Self::Sentiment(event) => event.type_name(),
        }
    }

    fn schema_version(&self) -> i16 {
        match self {
            Self::Call(event) => event.schema_version(),
            Self::Agent(event) => event.schema_version(),
            Self::Transcript(event) => event.schema_version(),
            Self::Sentiment(event) => event.schema_version(),
        }
    }

    fn payload(&self) -> serde_json::Result<String> {
        match self {
            Self::Call(event) => event.payload(),
            Self::Agent(event) => event.payload(),
            Self::Transcript(event) => event.payload(),
            Self::Sentiment(event) => event.payload(),
        }
    }
}

impl Recorded {
    /// The event inside the envelope.
    ///
    /// # Errors
    /// The type or the schema version is unknown, or the payload does not fit.
    pub fn decode(&self) -> Result<Event, Undecodable> {
        Event::decode(&self.event_type, self.schema_version, self.payload.get())
    }
}
