//! One subscriber of a crowd: a socket, a cursor, and nothing else.

use std::error::Error;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use domain::Position;
use futures_util::{SinkExt, StreamExt};
use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;
use tokio::net::TcpSocket;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::{WebSocketStream, client_async_with_config};
use uuid::Uuid;

use super::paced::Paced;
use super::{Common, Cut};

/// What the kernel holds of what was not read, in bytes, so that who does not read is noticed soon.
const KERNEL_BYTES: u32 = 16 * 1024;
/// What is read at once, in bytes.
const READ_BYTES: usize = 4 * 1024;
/// How long connecting may take: as long as systems try by default. Of thousands who come at once, some packets are dropped and
/// sent again, and who gives up early only comes again.
const CONNECT_WITHIN: Duration = Duration::from_secs(120);
/// Pause before it connects again, when it had been connected.
const PAUSE: Duration = Duration::from_millis(100);
/// The longest one, after it was turned away again and again.
const PAUSE_MAX: Duration = Duration::from_secs(2);

const CALL: &str = "subscription ($after: String, $id: UUID) { events(fromStart: true, after: $after, subjectId: $id) {
    cursor event { position eventId payload } } }";

type Failure = Box<dyn Error + Send + Sync>;

/// A message of the protocol `graphql-transport-ws`.
#[derive(Deserialize)]
struct FromServer<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    #[serde(borrow)]
    payload: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Payload {
    data: Data,
}

#[derive(Deserialize)]
struct Data {
    events: Appended,
}

#[derive(Deserialize)]
struct Appended {
    cursor: String,
    event: Event,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Event {
    position: Position,
    event_id: Uuid,
}

/// How a connection ended.
#[derive(Debug, PartialEq, Eq)]
enum End {
    /// By the member itself.
    Cut,
    /// The server says that this client takes too slowly.
    TooSlow,
    /// Something else was received than what was due.
    Differs,
}

pub(super) struct Member {
    number: usize,
    /// The door to knock at next.
    next: usize,
    cursor: Option<String>,
    common: Arc<Common>,
}

impl Member {
    pub(super) fn new(number: usize, door: usize, common: Arc<Common>) -> Self {
        Self { number, next: door, cursor: None, common }
    }

    pub(super) async fn run(mut self) {
        let mut pause = PAUSE;
        // The first time, not everybody at once.
        let mut turn = self.common.opening.clone().acquire_owned().await.ok();
        loop {
            let connected = self.connect().await;
            drop(turn.take());
            match connected {
                Ok(socket) => {
                    self.common.tally.connected();
                    pause = PAUSE;
                    match self.watch(socket).await {
                        // It is noted, and nothing that comes now says more.
                        Ok(End::Differs) => return,
                        Ok(End::Cut) => {}
                        Ok(End::TooSlow) => self.common.tally.ended(self.number, true),
                        Err(_) => self.common.tally.ended(self.number, false),
                    }
                }
                // Nobody is there, or nobody is let in.
                Err(_) => pause = (pause * 2).min(PAUSE_MAX),
            }
            self.next += 1;
            tokio::time::sleep(pause).await;
        }
    }

    /// A socket that is signed in and has asked.
    async fn connect(&self) -> Result<WebSocketStream<Paced>, Failure> {
        let doors = &self.common.doors;
        let door = doors[self.next % doors.len()].server().ok_or("no node")?;
        timeout(CONNECT_WITHIN, self.connect_to(door)).await?
    }

    async fn connect_to(&self, door: SocketAddr) -> Result<WebSocketStream<Paced>, Failure> {
        let socket = TcpSocket::new_v4()?;
        socket.set_recv_buffer_size(KERNEL_BYTES)?;
        let stream = socket.connect(door).await?;
        stream.set_nodelay(true)?;
        // Dropping it resets the connection, as a network does that breaks.
        stream.set_zero_linger()?;
        let stream = Paced::new(stream, self.number, self.common.slow.subscribe());
        let mut request = format!("ws://{door}/graphql").into_client_request()?;
        request.headers_mut().insert("sec-websocket-protocol", "graphql-transport-ws".parse()?);
        let config = WebSocketConfig::default().read_buffer_size(READ_BYTES);
        let (mut socket, _) = client_async_with_config(request, stream, Some(config)).await?;
        let authorization = json!({ "authorization": format!("Bearer {}", self.common.token) });
        let init = json!({ "type": "connection_init", "payload": authorization });
        socket.send(Message::text(init.to_string())).await?;
        let acknowledged = socket.next().await.ok_or("the connection has ended")??;
        if serde_json::from_str::<FromServer<'_>>(acknowledged.to_text()?)?.kind != "connection_ack" {
            return Err("not let in".into());
        }
        let variables = json!({ "after": self.cursor, "id": self.common.call });
        let subscribe = json!({ "type": "subscribe", "id": "1", "payload": { "query": CALL, "variables": variables } });
        socket.send(Message::text(subscribe.to_string())).await?;
        Ok(socket)
    }

    /// Receives until the connection ends.
    async fn watch(&mut self, mut socket: WebSocketStream<Paced>) -> Result<End, Failure> {
        let mut cut = self.common.cut.subscribe();
        let cuts = cut.borrow_and_update().round;
        let number = self.number;
        let turn = |cut: &Cut| cut.round > cuts && cut.hits(number);
        loop {
            let message = tokio::select! {
                message = socket.next() => message.ok_or("the connection has ended")??,
                _ = cut.wait_for(turn) => return Ok(End::Cut),
            };
            let Message::Text(text) = message else { continue };
            let message: FromServer<'_> = serde_json::from_str(&text)?;
            match (message.kind, message.payload.map(RawValue::get)) {
                ("next", Some(payload)) => {
                    let Appended { cursor, event } = serde_json::from_str::<Payload>(payload)?.data.events;
                    if self.common.tally.receive(self.number, event.position, event.event_id).is_err() {
                        return Ok(End::Differs);
                    }
                    self.cursor = Some(cursor);
                }
                ("ping", _) => socket.send(Message::text(json!({ "type": "pong" }).to_string())).await?,
                ("pong", _) => {}
                ("error", Some(errors)) if errors.contains("\"SLOW_CONSUMER\"") => return Ok(End::TooSlow),
                _ => return Err(text.as_str().into()),
            }
        }
    }
}
