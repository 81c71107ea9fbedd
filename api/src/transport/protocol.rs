//! Messages of `graphql-transport-ws` (PROTOCOL.md of enisdenjo/graphql-ws), and why sockets are closed.

use serde_json::{Value, json};

/// The subprotocol.
pub(super) const SUBPROTOCOL: &str = "graphql-transport-ws";

/// A message from a client.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum FromClient {
    /// The first message; may carry the token.
    Init(Value),
    /// Are you there?
    Ping(Option<Value>),
    /// I am.
    Pong,
    /// Begin an operation.
    Subscribe {
        /// Chosen by the client.
        id: String,
        /// The operation's parameters.
        payload: Value,
    },
    /// End an operation.
    Complete(String),
}

impl FromClient {
    /// Reads a message; the error is for the close frame.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let message: Value = serde_json::from_str(text).map_err(|_| "Message is no JSON".to_owned())?;
        let Value::Object(mut message) = message else {
            return Err("Message must be an object".to_owned());
        };
        let Some(Value::String(kind)) = message.remove("type") else {
            return Err("Message needs a type".to_owned());
        };
        let payload = message.remove("payload");
        let object = |payload: Option<Value>, name: &str| match payload {
            None | Some(Value::Null) => Ok(None),
            Some(payload @ Value::Object(_)) => Ok(Some(payload)),
            Some(_) => Err(format!("The payload of {name} must be an object")),
        };
        let mut id = || match message.remove("id") {
            Some(Value::String(id)) if !id.is_empty() => Ok(id),
            _ => Err(format!("{kind} needs an id")),
        };
        match kind.as_str() {
            "connection_init" => Ok(Self::Init(object(payload, "connection_init")?.unwrap_or(Value::Null))),
            "ping" => Ok(Self::Ping(object(payload, "ping")?)),
            "pong" => object(payload, "pong").map(|_| Self::Pong),
            "subscribe" => {
                let id = id()?;
                let payload = object(payload, "subscribe")?.ok_or("subscribe needs a payload")?;
                Ok(Self::Subscribe { id, payload })
            }
            "complete" => Ok(Self::Complete(id()?)),
            other => Err(format!("Unknown message type {other:?}")),
        }
    }
}

/// `connection_ack`.
pub(super) fn ack() -> String {
    json!({ "type": "connection_ack" }).to_string()
}

/// `pong`, with what the ping carried.
pub(super) fn pong(payload: Option<Value>) -> String {
    match payload {
        Some(payload) => json!({ "type": "pong", "payload": payload }).to_string(),
        None => json!({ "type": "pong" }).to_string(),
    }
}

/// `next`: one result of an operation.
pub(super) fn next(id: &str, result: &str) -> String {
    // On the way of every push to every client: one allocation, and escaping only where there is something to escape.
    let mut text = String::with_capacity(id.len() + result.len() + 40);
    text.push_str(r#"{"id":"#);
    if id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
        text.push('"');
        text.push_str(id);
        text.push('"');
    } else {
        text.push_str(&Value::from(id).to_string());
    }
    text.push_str(r#","type":"next","payload":"#);
    text.push_str(result);
    text.push('}');
    text
}

/// `error`: the operation was not executed. Nothing follows it.
pub(super) fn error(id: &str, errors: &str) -> String {
    format!(r#"{{"id":{},"type":"error","payload":{errors}}}"#, Value::from(id))
}

/// `complete`: nothing follows.
pub(super) fn complete(id: &str) -> String {
    json!({ "id": id, "type": "complete" }).to_string()
}

/// Why a socket is closed. The common client comes back after 4403, 4408, 1012 and 1013, and gives up after the others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Closing {
    /// A message that is none.
    BadMessage(String),
    /// An operation before the connection was acknowledged.
    Unauthorized,
    /// The token was refused, has expired or was revoked.
    Forbidden,
    /// Another subprotocol was asked for.
    SubprotocolNotAcceptable,
    /// No `connection_init` in time.
    InitTimeout,
    /// A message that is longer than may be.
    MessageTooBig,
    /// The viewer has as many sockets as may be.
    TooManySockets,
    /// An id that is in use.
    SubscriberExists(String),
    /// A second `connection_init`.
    TooManyInits,
    /// The machinery failed.
    Internal,
    /// This node is going away; another one takes the client.
    ServiceRestart,
}

impl Closing {
    /// The code, and a reason that fits: it may have 123 bytes at most (RFC 6455, section 5.5).
    pub(super) fn words(&self) -> (u16, String) {
        let (code, mut reason) = match self {
            Self::BadMessage(what) => (4400, what.clone()),
            Self::Unauthorized => (4401, "Unauthorized".to_owned()),
            Self::Forbidden => (4403, "Forbidden".to_owned()),
            Self::SubprotocolNotAcceptable => (4406, "Subprotocol not acceptable".to_owned()),
            Self::InitTimeout => (4408, "Connection initialisation timeout".to_owned()),
            Self::SubscriberExists(id) => (4409, format!("Subscriber for {id} already exists")),
            Self::TooManyInits => (4429, "Too many initialisation requests".to_owned()),
            Self::MessageTooBig => (1009, "Message too big".to_owned()),
            Self::TooManySockets => (1013, "Try again later: too many sockets".to_owned()),
            Self::Internal => (4500, "Internal server error".to_owned()),
            Self::ServiceRestart => (1012, "Service restart".to_owned()),
        };
        let mut end = reason.len().min(120);
        while !reason.is_char_boundary(end) {
            end -= 1;
        }
        reason.truncate(end);
        (code, reason)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_the_protocol_knows_and_nothing_else() {
        let init = |payload| Ok(FromClient::Init(payload));
        assert_eq!(FromClient::parse(r#"{"type":"connection_init"}"#), init(Value::Null));
        assert_eq!(FromClient::parse(r#"{"type":"connection_init","payload":{"a":1}}"#), init(json!({"a": 1})));
        assert_eq!(FromClient::parse(r#"{"type":"ping"}"#), Ok(FromClient::Ping(None)));
        assert_eq!(FromClient::parse(r#"{"type":"pong","payload":{}}"#), Ok(FromClient::Pong));
        assert_eq!(FromClient::parse(r#"{"type":"complete","id":"a"}"#), Ok(FromClient::Complete("a".into())));
        for wrong in [
            "",
            "[]",
            "1",
            "{}",
            r#"{"type":1}"#,
            r#"{"type":"start","id":"a","payload":{}}"#,
            r#"{"type":"subscribe","payload":{"query":"{a}"}}"#,
            r#"{"type":"subscribe","id":"","payload":{"query":"{a}"}}"#,
            r#"{"type":"subscribe","id":"a"}"#,
            r#"{"type":"subscribe","id":"a","payload":"{a}"}"#,
            r#"{"type":"complete"}"#,
            r#"{"type":"ping","payload":1}"#,
        ] {
            assert!(FromClient::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn close_reasons_fit_their_frame() {
        let long = Closing::SubscriberExists("ž".repeat(500)).words();
        assert_eq!(long.0, 4409);
        assert!(long.1.len() <= 123);
    }
}
