//! Cursors: opaque to clients, signed, and good only where they came from.
//!
//! A cursor carries the identity of the log, what it points into (its scope) and where (its payload), under a MAC. So a
//! forged one is recognised, and so is one of another installation or of another field; none of them is ever taken for a
//! place to go on from.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use domain::Position;

const FORMAT: u8 = 1;
const SCOPE_BYTES: usize = 8;
const MAC_BYTES: usize = 16;
const HEAD_BYTES: usize = 1 + 16 + SCOPE_BYTES;
/// Longest cursor that is looked at, in characters.
const LENGTH_MAX: usize = 512;

/// A cursor that can't be used here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CursorError {
    /// Not made by this installation, or changed since.
    #[error("this is no cursor of this system")]
    Invalid,
    /// Made by another installation, or before this log was set up anew.
    #[error("this cursor belongs to another event log; start without a cursor")]
    OtherLog,
    /// Made by another field, or by the same one with other arguments.
    #[error("this cursor belongs to another field or to other arguments")]
    OtherScope,
}

impl CursorError {
    /// Stable reason for clients.
    pub(crate) fn reason(self) -> &'static str {
        match self {
            Self::Invalid => "CURSOR_INVALID",
            Self::OtherLog => "CURSOR_OF_OTHER_LOG",
            Self::OtherScope => "CURSOR_OF_OTHER_SCOPE",
        }
    }
}

/// Makes and reads cursors.
#[derive(Clone)]
pub struct Cursors {
    key: [u8; 32],
    log: Uuid,
}

impl Cursors {
    /// Cursors of one log under a secret.
    #[must_use]
    pub fn new(secret: &[u8], log: Uuid) -> Self {
        // A key of its own, so that a cursor's MAC says nothing about tokens signed with the same secret.
        let key = Sha256::new().chain_update(b"voice cursor v1\0").chain_update(secret).finalize();
        Self { key: key.into(), log }
    }

    /// A cursor for a place in the log.
    pub(crate) fn at(&self, scope: &str, position: Position) -> String {
        self.seal(scope, &position.to_be_bytes())
    }

    /// The place a cursor stands for.
    pub(crate) fn position(&self, scope: &str, cursor: &str) -> Result<Position, CursorError> {
        let payload = self.open(scope, cursor)?;
        let bytes: [u8; 8] = payload.as_slice().try_into().map_err(|_| CursorError::Invalid)?;
        let position = Position::from_be_bytes(bytes);
        if position < 0 { Err(CursorError::Invalid) } else { Ok(position) }
    }

    /// A cursor with any payload.
    pub(crate) fn seal(&self, scope: &str, payload: &[u8]) -> String {
        let mut bytes = Vec::with_capacity(HEAD_BYTES + payload.len() + MAC_BYTES);
        bytes.push(FORMAT);
        bytes.extend_from_slice(self.log.as_bytes());
        bytes.extend_from_slice(&scope_hash(scope));
        bytes.extend_from_slice(payload);
        let mac = self.mac(&bytes);
        bytes.extend_from_slice(&mac);
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// The payload of a cursor of this scope.
    pub(crate) fn open(&self, scope: &str, cursor: &str) -> Result<Vec<u8>, CursorError> {
        if cursor.len() > LENGTH_MAX {
            return Err(CursorError::Invalid);
        }
        let bytes = URL_SAFE_NO_PAD.decode(cursor).map_err(|_| CursorError::Invalid)?;
        if bytes.len() < HEAD_BYTES + MAC_BYTES || bytes[0] != FORMAT {
            return Err(CursorError::Invalid);
        }
        let (signed, mac) = bytes.split_at(bytes.len() - MAC_BYTES);
        // Before the MAC, which another installation's cursor fails too: its owner deserves to be told why.
        if signed[1..17] != *self.log.as_bytes() {
            return Err(CursorError::OtherLog);
        }
        let mut expected = self.keyed();
        expected.update(signed);
        expected.verify_truncated_left(mac).map_err(|_| CursorError::Invalid)?;
        if signed[17..HEAD_BYTES] != scope_hash(scope) {
            return Err(CursorError::OtherScope);
        }
        Ok(signed[HEAD_BYTES..].to_vec())
    }

    fn mac(&self, bytes: &[u8]) -> [u8; MAC_BYTES] {
        let mut mac = self.keyed();
        mac.update(bytes);
        let full = mac.finalize().into_bytes();
        let mut short = [0; MAC_BYTES];
        short.copy_from_slice(&full[..MAC_BYTES]);
        short
    }

    fn keyed(&self) -> Hmac<Sha256> {
        // HMAC takes keys of every length (RFC 2104), so the fixed-length constructor is the one without an error.
        Hmac::new(&self.block())
    }

    fn block(&self) -> hmac::digest::Key<Hmac<Sha256>> {
        let mut block = hmac::digest::Key::<Hmac<Sha256>>::default();
        block[..32].copy_from_slice(&self.key);
        block
    }
}

fn scope_hash(scope: &str) -> [u8; SCOPE_BYTES] {
    let mut short = [0; SCOPE_BYTES];
    short.copy_from_slice(&Sha256::digest(scope)[..SCOPE_BYTES]);
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comes_back_and_refuses_what_is_not_its_own() {
        let log = Uuid::new_v4();
        let cursors = Cursors::new(b"secret", log);
        let cursor = cursors.at("events", 42);
        assert_eq!(cursors.position("events", &cursor), Ok(42));
        assert_eq!(cursors.position("call", &cursor), Err(CursorError::OtherScope));
        assert_eq!(Cursors::new(b"other", log).position("events", &cursor), Err(CursorError::Invalid));
        let elsewhere = Cursors::new(b"secret", Uuid::new_v4());
        assert_eq!(elsewhere.position("events", &cursor), Err(CursorError::OtherLog));
        for forged in ["", "!", "AAAA", "AQ", &"A".repeat(600), &cursors.seal("events", b"short")] {
            assert!(cursors.position("events", forged).is_err(), "{forged}");
        }
        let mut bytes = URL_SAFE_NO_PAD.decode(&cursor).unwrap_or_default();
        for index in 17..bytes.len() {
            bytes[index] ^= 1;
            assert_eq!(cursors.position("events", &URL_SAFE_NO_PAD.encode(&bytes)), Err(CursorError::Invalid));
            bytes[index] ^= 1;
        }
    }
}
