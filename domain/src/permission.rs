//! What a user may do, as strings with wildcards and ownership.
//!
//! A permission is `resource:action` or `resource:action:own`; resource and action are each a word of lower-case letters
//! and underscores, or `*` for every one; `*` alone is everything. With `:own` it holds only for objects that belong to
//! the viewer. What no permission allows is denied; there is no permission that takes away.
//!
//! | Role       | May                                                                                                   |
//! |------------|-------------------------------------------------------------------------------------------------------|
//! | Admin      | everything                                                                                            |
//! | Supervisor | everything with calls, agents, transcripts, sentiment and queues; read dashboards, events and users   |
//! | Agent      | start calls; read and change own calls; read transcripts and sentiment of own calls and add to the    |
//! |            | transcripts; read all agents and change oneself; read queues and dashboards                           |
//!
//! This module does not know who is signed in or what belongs to whom: the caller says so by [`Scope`].

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A resource or an action in a permission.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Pattern {
    /// `*`.
    Every,
    /// Exactly this word.
    Word(String),
}

impl Pattern {
    fn parse(text: &str) -> Option<Self> {
        if text == "*" {
            return Some(Self::Every);
        }
        let letters_only = text.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
        let well_formed = text.starts_with(|c: char| c.is_ascii_lowercase()) && letters_only;
        well_formed.then(|| Self::Word(text.to_owned()))
    }

    fn matches(&self, word: &str) -> bool {
        match self {
            Self::Every => true,
            Self::Word(own) => own == word,
        }
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Every => "*",
            Self::Word(word) => word,
        })
    }
}

/// One thing a user may do. Its text form is the one it is parsed from; `*:*` is written `*`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Permission {
    resource: Pattern,
    action: Pattern,
    own: bool,
}

/// Text that is no permission.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a permission: expected *, resource:action or resource:action:own")]
pub struct InvalidPermission;

impl InvalidPermission {
    /// Stable code for clients.
    #[must_use]
    pub fn code(&self) -> &'static str {
        "PERMISSION_INVALID"
    }
}

/// Whose object is being asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scope {
    /// It may belong to anybody.
    Any,
    /// It belongs to the viewer.
    Own,
}

impl Permission {
    /// Parses a permission.
    ///
    /// # Errors
    /// The text does not follow the grammar.
    pub fn parse(text: &str) -> Result<Self, InvalidPermission> {
        let (resource, action, own) = match *text.split(':').collect::<Vec<_>>() {
            ["*"] => ("*", "*", false),
            [resource, action] => (resource, action, false),
            [resource, action, "own"] => (resource, action, true),
            _ => return Err(InvalidPermission),
        };
        let resource = Pattern::parse(resource).ok_or(InvalidPermission)?;
        let action = Pattern::parse(action).ok_or(InvalidPermission)?;
        Ok(Self { resource, action, own })
    }

    /// Whether it allows an action on a resource.
    #[must_use]
    pub fn allows(&self, resource: &str, action: &str, scope: Scope) -> bool {
        self.resource.matches(resource) && self.action.matches(action) && (!self.own || scope == Scope::Own)
    }
}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self { resource: Pattern::Every, action: Pattern::Every, own: false } => f.write_str("*"),
            Self { resource, action, own: false } => write!(f, "{resource}:{action}"),
            Self { resource, action, own: true } => write!(f, "{resource}:{action}:own"),
        }
    }
}

impl FromStr for Permission {
    type Err = InvalidPermission;
    fn from_str(text: &str) -> Result<Self, InvalidPermission> {
        Self::parse(text)
    }
}

impl TryFrom<String> for Permission {
    type Error = InvalidPermission;
    fn try_from(text: String) -> Result<Self, InvalidPermission> {
        Self::parse(&text)
    }
}

impl From<Permission> for String {
    fn from(permission: Permission) -> Self {
        permission.to_string()
    }
}

/// Everything a user may do.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PermissionSet(Vec<Permission>);

impl PermissionSet {
    /// Whether any permission allows an action on a resource.
    #[must_use]
    pub fn allows(&self, resource: &str, action: &str, scope: Scope) -> bool {
        self.0.iter().any(|permission| permission.allows(resource, action, scope))
    }

    /// Every permission.
    pub fn iter(&self) -> impl Iterator<Item = &Permission> {
        self.0.iter()
    }
}

impl FromIterator<Permission> for PermissionSet {
    fn from_iter<I: IntoIterator<Item = Permission>>(permissions: I) -> Self {
        Self(permissions.into_iter().collect())
    }
}

impl Extend<Permission> for PermissionSet {
    fn extend<I: IntoIterator<Item = Permission>>(&mut self, permissions: I) {
        self.0.extend(permissions);
    }
}

/// What a user is in the call centre.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Role {
    /// Speaks with customers.
    Agent,
    /// Leads agents.
    Supervisor,
    /// Runs the system.
    Admin,
}

/// A role that this program does not know.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown role: expected AGENT, SUPERVISOR or ADMIN")]
pub struct UnknownRole;

impl Role {
    /// Every role.
    pub const ALL: [Self; 3] = [Self::Agent, Self::Supervisor, Self::Admin];

    /// Name on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Agent => "AGENT",
            Self::Supervisor => "SUPERVISOR",
            Self::Admin => "ADMIN",
        }
    }

    /// What the role may do; the table is in the module's documentation.
    #[must_use]
    pub fn permissions(self) -> PermissionSet {
        // Every text here parses, a test says so; one that did not would allow nothing.
        self.permission_texts().iter().filter_map(|text| Permission::parse(text).ok()).collect()
    }

    fn permission_texts(self) -> &'static [&'static str] {
        match self {
            Self::Admin => &["*"],
            Self::Supervisor => &[
                "call:*",
                "agent:*",
                "transcript:*",
                "sentiment:*",
                "queue:*",
                "dashboard:read",
                "event:read",
                "user:read",
            ],
            Self::Agent => &[
                "call:create",
                "call:read:own",
                "call:update:own",
                "transcript:read:own",
                "transcript:create:own",
                "sentiment:read:own",
                "agent:read",
                "agent:update:own",
                "queue:read",
                "dashboard:read",
            ],
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Role {
    type Err = UnknownRole;
    fn from_str(text: &str) -> Result<Self, UnknownRole> {
        Self::ALL.into_iter().find(|role| role.as_str() == text).ok_or(UnknownRole)
    }
}

#[cfg(test)]
mod tests;
