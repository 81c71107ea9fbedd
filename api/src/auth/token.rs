//! Access tokens: JWT, after RFC 8725 (best current practice) and RFC 9068 (type `at+jwt`).

use std::time::Duration;

use chrono::Utc;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, encode};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// How long a token is good.
pub const TOKEN_LASTS: Duration = Duration::from_secs(8 * 60 * 60);
/// Difference of clocks that is forgiven, in seconds.
pub(super) const LEEWAY_S: u64 = 5;
pub(super) const ISSUER: &str = "voice";
const AUDIENCE: &str = "voice-api";
const TYPE: &str = "at+jwt";

/// What a token says.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Claims {
    /// The user.
    pub(crate) sub: Uuid,
    /// The user's token version when it was issued.
    pub(crate) ver: i32,
    iss: String,
    aud: String,
    iat: i64,
    nbf: i64,
    /// When it ends, in seconds since 1970.
    pub(crate) exp: i64,
}

/// The key that tokens are signed with.
#[derive(Clone)]
pub struct Tokens {
    pub(super) signing: EncodingKey,
    pub(super) verifying: DecodingKey,
    validation: Validation,
}

impl Tokens {
    /// Tokens under a secret of at least 32 bytes.
    #[must_use]
    pub fn new(secret: &[u8]) -> Self {
        let (signing, verifying) = (EncodingKey::from_secret(secret), DecodingKey::from_secret(secret));
        Self { signing, verifying, validation: validation_for(AUDIENCE) }
    }

    /// A token for a user.
    pub(crate) fn issue(&self, user: Uuid, version: i32) -> String {
        let now = Utc::now().timestamp();
        let exp = now.saturating_add_unsigned(TOKEN_LASTS.as_secs());
        let claims =
            Claims { sub: user, ver: version, iss: ISSUER.into(), aud: AUDIENCE.into(), iat: now, nbf: now, exp };
        let header = Header { typ: Some(TYPE.into()), ..Header::new(Algorithm::HS256) };
        // Signing with a key from bytes has no way to fail; an empty token would be refused everywhere.
        encode(&header, &claims, &self.signing).unwrap_or_default()
    }

    /// What a token says, if it is ours and good now.
    pub(crate) fn verify(&self, token: &str) -> Option<Claims> {
        let data = decode::<Claims>(token, &self.verifying, &self.validation).ok()?;
        (data.header.typ.as_deref() == Some(TYPE)).then_some(data.claims)
    }
}

/// What is asked of whatever this system signs, for one audience.
pub(super) fn validation_for(audience: &str) -> Validation {
    // One algorithm, fixed here: what the token's own header claims is never believed.
    let mut validation = Validation::new(Algorithm::HS256);
    validation.set_required_spec_claims(&["exp", "nbf", "iss", "aud", "sub"]);
    validation.set_issuer(&[ISSUER]);
    validation.set_audience(&[audience]);
    validation.validate_nbf = true;
    validation.leeway = LEEWAY_S;
    validation
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const SECRET: &[u8] = b"0123456789abcdef0123456789abcdef";

    fn signed(header: &Header, claims: &serde_json::Value, secret: &[u8]) -> String {
        encode(header, claims, &EncodingKey::from_secret(secret)).unwrap_or_default()
    }

    fn at_jwt() -> Header {
        Header { typ: Some(TYPE.into()), ..Header::new(Algorithm::HS256) }
    }

    fn claims() -> serde_json::Value {
        let now = Utc::now().timestamp();
        json!({"sub": Uuid::nil(), "ver": 1, "iss": ISSUER, "aud": AUDIENCE, "iat": now, "nbf": now, "exp": now + 60})
    }

    #[test]
    fn takes_its_own() {
        let tokens = Tokens::new(SECRET);
        let user = Uuid::now_v7();
        let claims = tokens.verify(&tokens.issue(user, 3));
        assert_eq!(claims.map(|claims| (claims.sub, claims.ver)), Some((user, 3)));
        assert!(tokens.verify(&signed(&at_jwt(), &claims_of(|_| {}), SECRET)).is_some());
    }

    fn claims_of(change: impl FnOnce(&mut serde_json::Value)) -> serde_json::Value {
        let mut claims = claims();
        change(&mut claims);
        claims
    }

    #[test]
    fn refuses_what_is_wrong_in_one_thing() {
        let tokens = Tokens::new(SECRET);
        let now = Utc::now().timestamp();
        let wrong = [
            claims_of(|c| c["exp"] = json!(now - 10)),
            claims_of(|c| c["exp"] = json!("9999999999")),
            claims_of(|c| c["nbf"] = json!(now + 60)),
            claims_of(|c| c["aud"] = json!("another")),
            claims_of(|c| c["iss"] = json!("another")),
            claims_of(|c| drop(c.as_object_mut().and_then(|c| c.remove("aud")))),
            claims_of(|c| drop(c.as_object_mut().and_then(|c| c.remove("exp")))),
            claims_of(|c| c["sub"] = json!("nobody")),
        ];
        for claims in wrong {
            assert!(tokens.verify(&signed(&at_jwt(), &claims, SECRET)).is_none(), "{claims}");
        }
        let good = claims();
        assert!(tokens.verify(&signed(&at_jwt(), &good, b"another secret of thirty-two byte")).is_none());
        assert!(tokens.verify(&signed(&Header::new(Algorithm::HS256), &good, SECRET)).is_none(), "type JWT");
        let hs512 = Header { typ: Some(TYPE.into()), ..Header::new(Algorithm::HS512) };
        assert!(tokens.verify(&signed(&hs512, &good, SECRET)).is_none(), "another algorithm");
        let none =
            "eyJhbGciOiJub25lIiwidHlwIjoiYXQrand0In0.eyJzdWIiOiIwMDAwMDAwMC0wMDAwLTAwMDAtMDAwMC0wMDAwMDAwMDAwMDAifQ.";
        assert!(tokens.verify(none).is_none(), "no signature");
        let mut tampered = tokens.issue(Uuid::nil(), 1);
        tampered.insert(tampered.len() / 2, 'A');
        assert!(tokens.verify(&tampered).is_none());
    }
}
