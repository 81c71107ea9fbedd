//! Tickets: what a browser's `EventSource`, which can send no header, puts into an address in place of a token.
//!
//! Addresses are written to logs and histories, so what stands in one must be worth nothing soon after. A ticket is good for
//! [`TICKET_LASTS`], for event streams only (audience `voice-sse`), and only as long as the token and the account that it
//! was given for. It is signed and kept nowhere, so every node takes it, whichever gave it.
//!
//! A ticket is not used up by its first use: no node knows what the others have seen, and an `EventSource` that loses its
//! connection at once comes back to the same address. After its time the page gets a new one.

use std::time::Duration;

use chrono::Utc;
use jsonwebtoken::{Algorithm, Header, decode, decode_header, encode};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::Grant;
use super::token::{ISSUER, Tokens, validation_for};

/// How long a ticket is good.
pub(crate) const TICKET_LASTS: Duration = Duration::from_secs(30);
const AUDIENCE: &str = "voice-sse";
/// A type of its own, so that a ticket is no token even to who looks at types only.
const TYPE: &str = "ticket+jwt";

#[derive(Serialize, Deserialize)]
struct Claims {
    /// The user.
    sub: Uuid,
    /// The user's token version when the token was issued.
    ver: i32,
    /// When the token ends that the ticket was given for.
    until: i64,
    iss: String,
    aud: String,
    iat: i64,
    nbf: i64,
    exp: i64,
}

impl Tokens {
    /// A ticket for who has shown a token.
    pub(super) fn ticket(&self, grant: &Grant) -> String {
        self.ticket_from(grant, Utc::now().timestamp())
    }

    fn ticket_from(&self, grant: &Grant, now: i64) -> String {
        let claims = Claims {
            sub: grant.user,
            ver: grant.version,
            until: grant.until,
            iss: ISSUER.into(),
            aud: AUDIENCE.into(),
            iat: now,
            nbf: now,
            exp: now.saturating_add_unsigned(TICKET_LASTS.as_secs()),
        };
        let header = Header { typ: Some(TYPE.into()), ..Header::new(Algorithm::HS256) };
        // Signing with a key from bytes has no way to fail; an empty ticket would be refused everywhere.
        encode(&header, &claims, &self.signing).unwrap_or_default()
    }

    /// What a ticket was given for, if it is ours and good now.
    pub(super) fn redeem(&self, ticket: &str) -> Option<Grant> {
        let header = decode_header(ticket).ok()?;
        if header.typ.as_deref() != Some(TYPE) {
            return None;
        }
        let claims = decode::<Claims>(ticket, &self.verifying, &validation_for(AUDIENCE)).ok()?.claims;
        Some(Grant { user: claims.sub, version: claims.ver, until: claims.until })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &[u8] = b"0123456789abcdef0123456789abcdef";

    #[test]
    fn a_ticket_is_good_for_its_time_and_is_no_token() {
        let tokens = Tokens::new(SECRET);
        let grant = Grant { user: Uuid::now_v7(), version: 3, until: Utc::now().timestamp() + 1_000 };
        let ticket = tokens.ticket(&grant);
        assert_eq!(tokens.redeem(&ticket), Some(grant.clone()));
        assert!(tokens.verify(&ticket).is_none(), "a ticket opens event streams only");
        assert!(tokens.redeem(&tokens.issue(grant.user, 3)).is_none(), "a token stays out of addresses");
        assert!(Tokens::new(b"another secret of thirty-two byte").redeem(&ticket).is_none());
        let past = Utc::now().timestamp() - 60;
        assert!(tokens.redeem(&tokens.ticket_from(&grant, past)).is_none(), "its time has passed");
    }

    #[test]
    fn a_grant_ends_with_its_token() {
        let now = Utc::now().timestamp();
        let grant = |until| Grant { user: Uuid::nil(), version: 1, until };
        assert!(!grant(now + 60).is_over());
        assert!(grant(now - 60).is_over());
    }
}
