//! Who caused an event.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Who caused an event. Its text form is `user:UUID`, `system:NAME` or `provider:NAME`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Actor {
    /// A person who is signed in.
    User(Uuid),
    /// A part of this program, such as the sentiment reaction.
    System(String),
    /// A telephony, speech or language provider.
    Provider(String),
}

/// Text that names no actor.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} names no actor: expected user:UUID, system:NAME or provider:NAME")]
pub struct InvalidActor(String);

impl Actor {
    /// A part of this program.
    #[must_use]
    pub fn system(name: &str) -> Self {
        Self::System(name.to_owned())
    }
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(id) => write!(f, "user:{id}"),
            Self::System(name) => write!(f, "system:{name}"),
            Self::Provider(name) => write!(f, "provider:{name}"),
        }
    }
}

impl FromStr for Actor {
    type Err = InvalidActor;
    fn from_str(text: &str) -> Result<Self, InvalidActor> {
        let invalid = || InvalidActor(text.to_owned());
        match text.split_once(':').ok_or_else(invalid)? {
            ("user", id) => Uuid::parse_str(id).map(Self::User).map_err(|_| invalid()),
            ("system", name) if !name.is_empty() => Ok(Self::System(name.to_owned())),
            ("provider", name) if !name.is_empty() => Ok(Self::Provider(name.to_owned())),
            _ => Err(invalid()),
        }
    }
}

impl TryFrom<String> for Actor {
    type Error = InvalidActor;
    fn try_from(text: String) -> Result<Self, InvalidActor> {
        text.parse()
    }
}

impl From<Actor> for String {
    fn from(actor: Actor) -> Self {
        actor.to_string()
    }
}
