//! A server, and a raw socket to it.

use std::time::Duration;

use api::Limits;
use commands::User;
use domain::permission::Role;
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tests::graphql::ANSWER_WITHIN;
use tests::{Client, TestDatabase, TestServer};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

pub(super) const SUBPROTOCOL: &str = "graphql-transport-ws";
pub(super) const VIEWER: &str = "{ viewer { role } }";
pub(super) const EVENTS: &str = "subscription { events(types: [\"call.initiated\"]) { event { type streamId } } }";

/// A server, and a supervisor.
pub(super) struct World {
    pub(super) server: TestServer,
    pub(super) client: Client,
    pub(super) user: User,
    pub(super) database: TestDatabase,
}

impl World {
    pub(super) async fn new() -> Self {
        Self::with(Limits::default()).await
    }

    pub(super) async fn with(limits: Limits) -> Self {
        let database = TestDatabase::new().await;
        let server = TestServer::start_with(&database, limits).await;
        let user = server.user(Role::Supervisor, None, &[]).await;
        let client = server.sign_in(&user).await;
        Self { server, client, user, database }
    }

    /// A socket on which nothing was said.
    pub(super) async fn open(&self) -> Wire {
        self.connect(&[SUBPROTOCOL]).await.expect("a WebSocket")
    }

    /// The same, offering these subprotocols.
    pub(super) async fn connect(&self, protocols: &[&str]) -> Result<Wire, Error> {
        let mut request = format!("ws://{}/graphql", self.server.address).into_client_request()?;
        if !protocols.is_empty() {
            request.headers_mut().insert("sec-websocket-protocol", protocols.join(", ").parse().unwrap());
        }
        Ok(Wire(connect_async(request).await?.0))
    }

    /// The first message, with the token.
    pub(super) fn init(&self) -> Value {
        json!({ "type": "connection_init", "payload": { "authorization": format!("Bearer {}", self.client.token().unwrap()) } })
    }

    /// A socket that was acknowledged.
    pub(super) async fn ready(&self) -> Wire {
        let mut wire = self.open().await;
        wire.say(self.init()).await;
        wire.hears(json!({ "type": "connection_ack" })).await;
        wire
    }

    /// Makes an event of the kind that [`EVENTS`] watches, and gives what it is about.
    pub(super) async fn event(&self) -> String {
        let call_id = uuid::Uuid::now_v7().to_string();
        let numbers =
            json!({ "callId": call_id, "direction": "INBOUND", "from": "+14155552671", "to": "+14155550100" });
        self.client.accepted("initiateCall", numbers).await;
        call_id
    }

    pub(super) async fn end(self) {
        self.server.stop().await;
    }
}

pub(super) fn subscribe(id: &str, query: &str) -> Value {
    json!({ "type": "subscribe", "id": id, "payload": { "query": query } })
}

pub(super) fn complete(id: &str) -> Value {
    json!({ "type": "complete", "id": id })
}

/// The answer to [`VIEWER`].
pub(super) fn viewer(id: &str) -> Value {
    json!({ "type": "next", "id": id, "payload": { "data": { "viewer": { "role": "SUPERVISOR" } } } })
}

/// A raw socket.
pub(super) struct Wire(WebSocketStream<MaybeTlsStream<TcpStream>>);

/// What was heard.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Heard {
    Message(Value),
    Ping,
    Closed(u16),
    Cut,
}

impl Wire {
    pub(super) async fn say(&mut self, message: Value) {
        self.send(Message::text(message.to_string())).await;
    }

    pub(super) async fn send(&mut self, message: Message) {
        // The server may have closed the socket already, which is then heard.
        drop(self.0.send(message).await);
    }

    pub(super) async fn hear(&mut self) -> Heard {
        let until = Instant::now() + ANSWER_WITHIN;
        loop {
            match timeout_at(until, self.0.next()).await.expect("nothing came in time") {
                Some(Ok(Message::Text(text))) => return Heard::Message(serde_json::from_str(&text).unwrap()),
                Some(Ok(Message::Ping(_))) => return Heard::Ping,
                Some(Ok(Message::Close(frame))) => return Heard::Closed(frame.map_or(1005, |f| f.code.into())),
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return Heard::Cut,
            }
        }
    }

    /// The next message.
    pub(super) async fn message(&mut self) -> Value {
        loop {
            match self.hear().await {
                Heard::Message(message) => return message,
                Heard::Ping => {}
                other => panic!("no message but {other:?}"),
            }
        }
    }

    /// Asserts what the next message is.
    pub(super) async fn hears(&mut self, message: Value) {
        assert_eq!(self.message().await, message);
    }

    /// Asserts that the next message is an `error` of an operation, and gives its first code.
    pub(super) async fn hears_error(&mut self, id: &str) -> String {
        let message = self.message().await;
        assert_eq!((&message["type"], &message["id"]), (&json!("error"), &json!(id)), "{message}");
        message["payload"][0]["extensions"]["code"].as_str().unwrap_or_default().to_owned()
    }

    /// Asserts that nothing was sent: what is asked now is answered next.
    pub(super) async fn hears_nothing_before_a_pong(&mut self) {
        self.say(json!({ "type": "ping", "payload": { "mark": true } })).await;
        self.hears(json!({ "type": "pong", "payload": { "mark": true } })).await;
    }

    /// Waits for the socket to be closed and gives the code.
    pub(super) async fn closed(&mut self) -> u16 {
        let closing = async {
            loop {
                match self.hear().await {
                    Heard::Closed(code) => return code,
                    Heard::Cut => panic!("cut without a reason"),
                    Heard::Message(_) | Heard::Ping => {}
                }
            }
        };
        timeout(ANSWER_WITHIN + Duration::from_secs(1), closing).await.expect("it stays open")
    }

    /// Reads bytes as they come, and answers none, until the server cuts the connection.
    pub(super) async fn ends_unanswered(&mut self) {
        let mut bytes = [0; 1_024];
        let reading = async { while self.0.get_mut().read(&mut bytes).await.is_ok_and(|count| count > 0) {} };
        timeout(ANSWER_WITHIN, reading).await.expect("it stays open");
    }
}
