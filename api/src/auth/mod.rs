//! Who asks, and what that person may do.

mod guard;
mod token;
mod viewer;

use commands::{User, UserError, Users};
use domain::permission::Scope;

pub(crate) use guard::{Permit, Require, RequireAll};
pub(crate) use token::TICKET_LASTS;
pub use token::{TOKEN_LASTS, Tokens};
pub(crate) use viewer::{Reach, Viewer};

/// Why a token was not taken.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AuthError {
    /// Missing, forged, expired, revoked, or of a closed account.
    #[error("the access token is missing, expired or not valid")]
    Token,
    /// The accounts could not be asked.
    #[error(transparent)]
    Users(#[from] UserError),
}

/// Turns a password into a token, and a token into a viewer.
#[derive(Clone)]
pub struct Auth {
    users: Users,
    tokens: Tokens,
}

impl Auth {
    /// Accounts, and the keys of their tokens.
    #[must_use]
    pub fn new(users: Users, tokens: Tokens) -> Self {
        Self { users, tokens }
    }

    pub(crate) fn users(&self) -> &Users {
        &self.users
    }

    /// A token for who has this password. `None`: wrong address or password.
    pub(crate) async fn sign_in(&self, email: &str, password: String) -> Result<Option<(String, User)>, UserError> {
        let user = self.users.authenticate(email, password).await?;
        Ok(user.map(|user| (self.tokens.issue(user.id, user.token_version), user)))
    }

    /// A new token for somebody whose old one is still good.
    pub(crate) fn renew(&self, user: &User) -> String {
        self.tokens.issue(user.id, user.token_version)
    }

    /// A ticket for who has this `Authorization`, for what can't send it.
    pub(crate) fn ticket(&self, authorization: &str) -> Result<String, AuthError> {
        let (_, token) = authorization.trim().split_once(' ').ok_or(AuthError::Token)?;
        self.tokens.ticket(token.trim()).ok_or(AuthError::Token)
    }

    /// The `Authorization` behind a ticket.
    pub(crate) fn redeem(&self, ticket: &str) -> Result<Option<String>, AuthError> {
        self.tokens.redeem(ticket).map(|token| Some(format!("Bearer {token}"))).ok_or(AuthError::Token)
    }

    /// The viewer behind an `Authorization` value. The account is looked at each time, so that a closed account or a
    /// changed role takes effect at once.
    pub(crate) async fn viewer(&self, authorization: &str) -> Result<Viewer, AuthError> {
        let (scheme, token) = authorization.trim().split_once(' ').ok_or(AuthError::Token)?;
        if !scheme.eq_ignore_ascii_case("bearer") {
            return Err(AuthError::Token);
        }
        let claims = self.tokens.verify(token.trim()).ok_or(AuthError::Token)?;
        let user = self.users.find(claims.sub).await?.ok_or(AuthError::Token)?;
        if user.disabled_at.is_some() || user.token_version != claims.ver {
            return Err(AuthError::Token);
        }
        Ok(Viewer::new(user))
    }
}

/// The permission in words, for messages.
pub(crate) fn permission(resource: &str, action: &str, scope: Scope) -> String {
    match scope {
        Scope::Any => format!("{resource}:{action}"),
        Scope::Own => format!("{resource}:{action}:own"),
    }
}
