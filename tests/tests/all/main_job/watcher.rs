//! Somebody who watches over `graphql-transport-ws`, and comes back with the last cursor whatever becomes of the server.

use std::error::Error;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use uuid::Uuid;

use super::PATIENCE;

/// What is watched.
pub(super) struct Subscription {
    field: &'static str,
    /// Takes `$after`, and `$id` where there is one.
    document: &'static str,
    id: Option<Uuid>,
}

/// Every event from the first on.
pub(super) fn events() -> Subscription {
    let document = "subscription ($after: String) { events(fromStart: true, after: $after) { cursor
                    event { position eventId category streamId version type payload } } }";
    Subscription { field: "events", document, id: None }
}

/// What is said in a call.
pub(super) fn transcript(call_id: Uuid) -> Subscription {
    let document = "subscription ($id: UUID!, $after: String) { transcript(callId: $id, after: $after) { cursor
                    segment { sequence speaker beginMs endMs text position } } }";
    Subscription { field: "transcript", document, id: Some(call_id) }
}

/// The mood in a call.
pub(super) fn sentiment(call_id: Uuid) -> Subscription {
    let document = "subscription ($id: UUID!, $after: String) { sentiment(callId: $id, after: $after) { cursor
                    score { segment speaker beginMs endMs score label position } } }";
    Subscription { field: "sentiment", document, id: Some(call_id) }
}

#[derive(Default)]
struct Seen {
    payloads: Vec<Value>,
    connections: usize,
    /// How the last connection ended.
    end: String,
}

/// A watcher. Dropping it ends it.
pub(super) struct Watcher {
    seen: Arc<Mutex<Seen>>,
    moved: watch::Receiver<()>,
    task: JoinHandle<()>,
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Watcher {
    /// Watches at whatever server runs, one after the other.
    pub(super) fn start(mut server: watch::Receiver<Option<SocketAddr>>, token: &str, what: Subscription) -> Self {
        let (sender, moved) = watch::channel(());
        let seen = Arc::new(Mutex::new(Seen::default()));
        let (taken, token) = (Arc::clone(&seen), token.to_owned());
        let task = tokio::spawn(async move {
            loop {
                let address = *server.borrow_and_update();
                if let Some(address) = address {
                    let ended = watch_at(address, &token, &what, &taken, &sender).await;
                    taken.lock().unwrap().end = ended.unwrap_or_else(|error| error.to_string());
                }
                // Whoever was cut off waits for the next server.
                if server.changed().await.is_err() {
                    return;
                }
            }
        });
        Self { seen, moved, task }
    }

    /// All payloads so far, as soon as they are what is waited for.
    pub(super) async fn until(&self, what: &str, fits: impl Fn(&[Value]) -> bool) -> Vec<Value> {
        let mut moved = self.moved.clone();
        let watching = async {
            loop {
                moved.borrow_and_update();
                {
                    let seen = self.seen.lock().unwrap();
                    if fits(&seen.payloads) {
                        return seen.payloads.clone();
                    }
                }
                moved.changed().await.expect("the watcher lives");
            }
        };
        tokio::time::timeout(PATIENCE, watching).await.unwrap_or_else(|_| {
            let seen = self.seen.lock().unwrap();
            let (count, last) = (seen.payloads.len(), seen.payloads.last());
            panic!("not seen in time: {what}; after {count} payloads, the last one {last:?}, {:?}", seen.end)
        })
    }

    /// How often it had to connect.
    pub(super) fn connections(&self) -> usize {
        self.seen.lock().unwrap().connections
    }
}

/// Watches until the connection ends; how it ended.
async fn watch_at(
    address: SocketAddr,
    token: &str,
    what: &Subscription,
    seen: &Mutex<Seen>,
    moved: &watch::Sender<()>,
) -> Result<String, Box<dyn Error + Send + Sync>> {
    let mut request = format!("ws://{address}/graphql").into_client_request()?;
    request.headers_mut().insert("sec-websocket-protocol", "graphql-transport-ws".parse()?);
    let (mut socket, _) = connect_async(request).await?;
    let authorization = json!({ "authorization": format!("Bearer {token}") });
    socket.send(Message::text(json!({ "type": "connection_init", "payload": authorization }).to_string())).await?;
    let after = {
        let mut seen = seen.lock().unwrap();
        seen.connections += 1;
        seen.payloads.last().map_or(Value::Null, |payload| payload["cursor"].clone())
    };
    let mut variables = json!({ "after": after });
    if let Some(id) = what.id {
        variables["id"] = json!(id);
    }
    let payload = json!({ "query": what.document, "variables": variables });
    let subscribe = json!({ "type": "subscribe", "id": "1", "payload": payload });
    while let Some(message) = socket.next().await {
        let text = match message? {
            Message::Text(text) => text,
            Message::Close(frame) => return Ok(format!("closed: {frame:?}")),
            _ => continue,
        };
        let message: Value = serde_json::from_str(&text)?;
        match message["type"].as_str() {
            Some("connection_ack") => socket.send(Message::text(subscribe.to_string())).await?,
            Some("next") if message["payload"]["errors"].is_null() => {
                seen.lock().unwrap().payloads.push(message["payload"]["data"][what.field].clone());
                moved.send_replace(());
            }
            Some("ping") => socket.send(Message::text(json!({ "type": "pong" }).to_string())).await?,
            Some("pong") => {}
            _ => return Ok(format!("ended by {message}")),
        }
    }
    Ok("cut".to_owned())
}
