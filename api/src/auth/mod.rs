//! Who asks, and what that person may do.

mod grant;
mod guard;
mod ticket;
mod token;
mod viewer;

use commands::{User, UserError, Users};
use domain::permission::Scope;

pub(crate) use grant::Grant;
pub(crate) use guard::{Permit, Require, RequireAll};
pub(crate) use ticket::TICKET_LASTS;
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

    /// The viewer behind an `Authorization` value. The account is looked at each time, so that a closed account or a
    /// changed role takes effect at once.
    pub(crate) async fn viewer(&self, authorization: &str) -> Result<Viewer, AuthError> {
        self.viewer_of(&self.grant(authorization)?).await
    }

    /// What an `Authorization` value says, whatever has become of the account since.
    pub(crate) fn grant(&self, authorization: &str) -> Result<Grant, AuthError> {
        let (scheme, token) = authorization.trim().split_once(' ').ok_or(AuthError::Token)?;
        if !scheme.eq_ignore_ascii_case("bearer") {
            return Err(AuthError::Token);
        }
        let claims = self.tokens.verify(token.trim()).ok_or(AuthError::Token)?;
        Ok(Grant { user: claims.sub, version: claims.ver, until: claims.exp })
    }

    /// The viewer of a grant, as long as it lasts and the account is as it was.
    pub(crate) async fn viewer_of(&self, grant: &Grant) -> Result<Viewer, AuthError> {
        if grant.is_over() {
            return Err(AuthError::Token);
        }
        let user = self.users.find(grant.user).await?.ok_or(AuthError::Token)?;
        if user.disabled_at.is_some() || user.token_version != grant.version {
            return Err(AuthError::Token);
        }
        Ok(Viewer::new(user))
    }

    /// A ticket for an address, in place of a token.
    pub(crate) fn ticket(&self, grant: &Grant) -> String {
        self.tokens.ticket(grant)
    }

    /// What the token was good for that a ticket was given for.
    pub(crate) fn redeem(&self, ticket: &str) -> Result<Grant, AuthError> {
        self.tokens.redeem(ticket).ok_or(AuthError::Token)
    }
}

/// The permission in words, for messages.
pub(crate) fn permission(resource: &str, action: &str, scope: Scope) -> String {
    match scope {
        Scope::Any => format!("{resource}:{action}"),
        Scope::Own => format!("{resource}:{action}:own"),
    }
}
