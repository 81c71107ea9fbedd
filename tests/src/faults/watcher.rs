//! Those who watch, over WebSocket, each with a journal: they come back with the last cursor, to whichever node answers.

use std::collections::HashSet;
use std::error::Error;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use domain::Position;
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{interval, timeout};
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use uuid::Uuid;

use super::cluster::CATCH_UP_WITHIN;
use crate::history::{Entry, Journal, Journals, Watched};

/// How often a watcher asks for a sign of life, and after how long without one it gives a connection up.
const PING_EVERY: Duration = Duration::from_secs(2);
const SILENCE_MAX: Duration = Duration::from_secs(5);
/// Pause before it connects again.
const PAUSE: Duration = Duration::from_millis(100);

const EVENTS: &str =
    "subscription ($after: String, $id: UUID) { events(fromStart: true, after: $after, subjectId: $id) {
    cursor event { position eventId } } }";
const TRANSCRIPT: &str = "subscription ($after: String, $id: UUID!) { transcript(callId: $id, after: $after) {
    cursor segment { position } } }";
const SENTIMENT: &str = "subscription ($after: String, $id: UUID!) { sentiment(callId: $id, after: $after) {
    cursor score { position } } }";

/// Cursors to begin at are kept for each so many events.
const TRAIL_EVENTS: Position = 1_000;
/// How many of these a watcher that holds goes back: more than sockets and queues take, and no more than a debug build can send
/// to all of them in time, however long the log is.
const HOLD_BACK: usize = 5;

/// One kind of subscription.
struct Kind {
    document: &'static str,
    field: &'static str,
    /// The member that holds the event's position.
    member: &'static str,
    watched: Watched,
}

impl Kind {
    fn all() -> Self {
        let watched = Watched { category: None, stream: None, after: 0 };
        Self { document: EVENTS, field: "events", member: "event", watched }
    }

    fn about(call: Uuid) -> Self {
        let watched = Watched { category: None, stream: Some(call), after: 0 };
        Self { watched, ..Self::all() }
    }

    fn transcript(call: Uuid) -> Self {
        let watched = Watched { category: Some("transcript".to_owned()), stream: Some(call), after: 0 };
        Self { document: TRANSCRIPT, field: "transcript", member: "segment", watched }
    }

    fn sentiment(call: Uuid) -> Self {
        let watched = Watched { category: Some("sentiment".to_owned()), stream: Some(call), after: 0 };
        Self { document: SENTIMENT, field: "sentiment", member: "score", watched }
    }
}

/// A position and its cursor.
type Step = (Position, String);
type Trail = Arc<Mutex<Vec<Step>>>;

/// The watchers of a run.
pub struct Watchers {
    doors: Vec<SocketAddr>,
    token: String,
    journals: Journals,
    seen: Vec<(String, Watched, watch::Receiver<Position>)>,
    received: Arc<AtomicU64>,
    connections: Arc<AtomicU64>,
    /// Whether those who were told to hold may read.
    reading: watch::Sender<bool>,
    held: HashSet<String>,
    /// Cursors of those who see everything, in the order of the log.
    trail: Trail,
    /// How many there ever were.
    count: usize,
    /// How many there are from the beginning to the end; whoever came later leaves again.
    regulars: usize,
    guests: Vec<(Journal, AbortHandle)>,
    tasks: JoinSet<()>,
}

impl Watchers {
    /// One of each kind at each door.
    pub(super) fn start(doors: &[SocketAddr], token: &str, journals: &Journals, call: Uuid) -> Self {
        let mut watchers = Self {
            doors: doors.to_vec(),
            token: token.to_owned(),
            journals: journals.clone(),
            seen: Vec::new(),
            received: Arc::default(),
            connections: Arc::default(),
            reading: watch::Sender::new(true),
            held: HashSet::new(),
            trail: Trail::default(),
            count: 0,
            regulars: 0,
            guests: Vec::new(),
            tasks: JoinSet::new(),
        };
        for _ in doors {
            for kind in [Kind::all(), Kind::about(call), Kind::transcript(call), Kind::sentiment(call)] {
                watchers.add(kind);
            }
        }
        watchers.regulars = watchers.seen.len();
        watchers.guests.clear();
        watchers
    }

    /// So many more, who watch a call from its first event on until [`Watchers::dismiss`].
    pub fn join(&mut self, count: usize, call: Uuid) {
        (0..count).for_each(|_| self.add(Kind::about(call)));
    }

    /// So many more, who ask for every event since some thousands ago and don't read what comes until
    /// [`Watchers::release`].
    pub fn hold(&mut self, count: usize) {
        self.reading.send_replace(false);
        let trail = self.trail.lock().unwrap_or_else(PoisonError::into_inner);
        let begin = trail.len().checked_sub(HOLD_BACK).map(|index| trail[index].clone());
        drop(trail);
        for _ in 0..count {
            self.add_after(Kind::all(), begin.clone(), Some(self.reading.subscribe()));
        }
    }

    /// Sends away whoever joined after the beginning, when everybody has seen everything up to the head: a long run would have
    /// more and more of them otherwise.
    pub(super) fn dismiss(&mut self, head: Position) {
        self.seen.truncate(self.regulars);
        self.held.clear();
        for (journal, task) in self.guests.drain(..) {
            journal.note(Entry::Left { head });
            task.abort();
        }
    }

    /// Whoever holds reads on.
    pub fn release(&self) {
        self.reading.send_replace(true);
    }

    /// Waits until everybody who reads, and sees everything, has seen this position.
    ///
    /// # Panics
    /// Somebody does not get there in time.
    pub async fn reached(&self, position: Position) {
        for (name, watched, seen) in self.seen().filter(|(_, watched, _)| watched.stream.is_none()) {
            let held = self.held.contains(name);
            if held || watched.category.is_some() {
                continue;
            }
            let mut seen = seen.clone();
            let reached = tokio::time::timeout(CATCH_UP_WITHIN, seen.wait_for(|seen| *seen >= position)).await;
            drop(reached.unwrap_or_else(|_| panic!("{name} does not get to {position}")).expect("a watcher"));
        }
    }

    fn add(&mut self, kind: Kind) {
        self.add_after(kind, None, None);
    }

    fn add_after(&mut self, mut kind: Kind, begin: Option<Step>, reading: Option<watch::Receiver<bool>>) {
        let number = self.count;
        self.count += 1;
        let name = format!("watcher-{number}");
        let (sender, seen) = watch::channel(0);
        if reading.is_some() {
            self.held.insert(name.clone());
        }
        self.seen.push((name.clone(), kind.watched.clone(), seen));
        let journal = self.journals.of(&name);
        let (after, cursor) = begin.unzip();
        kind.watched.after = after.unwrap_or(0);
        let watcher = Watcher {
            kind,
            doors: self.doors.clone(),
            next: number,
            token: self.token.clone(),
            journal: journal.clone(),
            seen: sender,
            cursor,
            trail: (number == 0).then(|| Arc::clone(&self.trail)),
            reading,
            received: Arc::clone(&self.received),
            connections: Arc::clone(&self.connections),
        };
        self.guests.push((journal, self.tasks.spawn(watcher.run())));
    }

    /// How far each is: its name, what it watches, the last position it received.
    pub(super) fn seen(&self) -> impl Iterator<Item = (&str, &Watched, &watch::Receiver<Position>)> {
        self.seen.iter().map(|(name, watched, seen)| (name.as_str(), watched, seen))
    }

    /// Events received by all of them, and connections they needed.
    #[must_use]
    pub fn received_and_connections(&self) -> (u64, u64) {
        (self.received.load(Ordering::Relaxed), self.connections.load(Ordering::Relaxed))
    }

    pub(super) fn stop(&mut self) {
        self.tasks.abort_all();
    }
}

struct Watcher {
    kind: Kind,
    doors: Vec<SocketAddr>,
    /// The door to knock at next.
    next: usize,
    token: String,
    journal: Journal,
    seen: watch::Sender<Position>,
    cursor: Option<String>,
    /// Where it leaves its cursors for others.
    trail: Option<Trail>,
    /// May be told not to read.
    reading: Option<watch::Receiver<bool>>,
    received: Arc<AtomicU64>,
    connections: Arc<AtomicU64>,
}

impl Watcher {
    async fn run(mut self) {
        self.journal.note(Entry::Watches(self.kind.watched.clone()));
        loop {
            // However it ended: what counts is what came.
            drop(self.watch().await);
            self.next += 1;
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Watches until the connection ends.
    async fn watch(&mut self) -> Result<(), Box<dyn Error + Send + Sync>> {
        let door = self.doors[self.next % self.doors.len()];
        let mut request = format!("ws://{door}/graphql").into_client_request()?;
        request.headers_mut().insert("sec-websocket-protocol", "graphql-transport-ws".parse()?);
        let (mut socket, _) = timeout(SILENCE_MAX, connect_async(request)).await??;
        let authorization = json!({ "authorization": format!("Bearer {}", self.token) });
        let init = json!({ "type": "connection_init", "payload": authorization });
        socket.send(Message::text(init.to_string())).await?;
        let variables = json!({ "after": self.cursor, "id": self.kind.watched.stream });
        let payload = json!({ "query": self.kind.document, "variables": variables });
        let subscribe = json!({ "type": "subscribe", "id": "1", "payload": payload });
        self.connections.fetch_add(1, Ordering::Relaxed);
        self.journal.note(Entry::Connected { after: self.cursor.as_ref().map(|_| *self.seen.borrow()) });
        let mut ping = interval(PING_EVERY);
        let mut heard = tokio::time::Instant::now();
        loop {
            if let Some(reading) = &mut self.reading {
                drop(reading.wait_for(|reading| *reading).await);
            }
            let message = tokio::select! {
                message = socket.next() => message.ok_or("the connection has ended")??,
                _ = ping.tick() => {
                    if heard.elapsed() > SILENCE_MAX {
                        return Err("no sign of life".into());
                    }
                    timeout(SILENCE_MAX, socket.send(Message::Ping(Vec::new().into()))).await??;
                    continue;
                }
            };
            heard = tokio::time::Instant::now();
            let Message::Text(text) = message else { continue };
            let message: Value = serde_json::from_str(&text)?;
            match message["type"].as_str() {
                Some("connection_ack") => socket.send(Message::text(subscribe.to_string())).await?,
                Some("next") if message["payload"]["errors"].is_null() => self.take(&message["payload"]["data"])?,
                Some("ping") => socket.send(Message::text(json!({ "type": "pong" }).to_string())).await?,
                Some("pong") => {}
                // An error or the end of the operation: another node may do better.
                _ => return Err(message.to_string().into()),
            }
        }
    }

    fn take(&mut self, data: &Value) -> Result<(), Box<dyn Error + Send + Sync>> {
        let payload = &data[self.kind.field];
        let event = &payload[self.kind.member];
        let position = event["position"].as_i64().ok_or_else(|| format!("no position: {data}"))?;
        let id = event["eventId"].as_str().map(str::parse).transpose()?;
        self.journal.note(Entry::Received { position, id });
        self.cursor = payload["cursor"].as_str().map(str::to_owned);
        if let (Some(trail), Some(cursor)) = (&self.trail, &self.cursor)
            && position % TRAIL_EVENTS == 0
        {
            trail.lock().unwrap_or_else(PoisonError::into_inner).push((position, cursor.clone()));
        }
        self.received.fetch_add(1, Ordering::Relaxed);
        self.seen.send_replace(position);
        Ok(())
    }
}
