//! From an append to somebody who watches.

use std::time::Instant;

use commands::event_store::{Append, EventStore, Expected};
use domain::permission::Role;
use domain::{Category, Position, StreamName};
use futures_util::{SinkExt, StreamExt};
use serde_json::json;
use sqlx::PgPool;
use tests::{Client, Subscription, TestDatabase, TestServer};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, accept_async, connect_async};
use uuid::Uuid;

use crate::log::segment;
use crate::support::event::segment_added;
use crate::support::statistics::{median, percentile, ratio};
use crate::support::table::{Row, Target};
use crate::support::{Extent, brokers};

const WATCH: &str =
    "subscription ($callId: UUID!) { transcript(callId: $callId) { cursor segment { sequence text } } }";

pub async fn measure(extent: Extent) -> Vec<Row> {
    let database = TestDatabase::new().await;
    let server = TestServer::start(&database).await;
    let mut rows = vec![against_raw("table feed", 4.0, &database, server, extent).await];
    if let Some(brokers) = brokers() {
        let database = TestDatabase::new().await;
        let server = TestServer::start_on_kafka(&database, brokers).await;
        rows.push(against_raw("Kafka feed", 8.0, &database, server, extent).await);
    }
    rows
}

async fn against_raw(feed: &str, most: f64, database: &TestDatabase, server: TestServer, extent: Extent) -> Row {
    let samples = extent.pick(300, 50);
    let supervisor = server.signed_in(Role::Supervisor).await;
    let mut watcher = Watcher::start(&supervisor, server.store.clone()).await;
    let mut raw = Raw::start(&database.pool).await;
    let (mut ours, mut tails, mut best) = (Vec::new(), Vec::new(), Vec::new());
    for run in 0..=extent.runs() {
        let (mut here, mut there) = (Vec::new(), Vec::new());
        for _ in 0..samples {
            here.push(watcher.said().await);
            there.push(raw.round().await);
        }
        // The first one only warms up.
        if run > 0 {
            ours.push(median(&here));
            tails.push(percentile(&here, 0.99));
            best.push(median(&there));
        }
    }
    drop((watcher, raw));
    server.stop().await;
    let (p50, p99, raw) = (median(&ours), median(&tails), median(&best));
    Row::new(
        format!("append of a segment, committed, to the subscriber of its transcript, {feed}"),
        format!("p50 {p50:.2} ms, p99 {p99:.2} ms"),
    )
    .against(format!("p50 {raw:.2} ms, one-row commit and an echo over a raw WebSocket"), ratio(&ours, &best))
    .target(Target::AtMost(most))
}

/// Appends the next segment of a call; its position.
pub async fn append(store: &EventStore, call_id: Uuid, version: i64) -> Position {
    let event = segment_added(call_id, segment(version + 1));
    let (key, stream) = (Uuid::now_v7().to_string(), StreamName { category: Category::Transcript, id: call_id });
    let append = Append { key, stream, expected: Expected::Exact(version), events: vec![event] };
    store.append(append).await.expect("an append").position
}

/// Somebody who watches a call, and the call.
struct Watcher {
    store: EventStore,
    call_id: Uuid,
    version: i64,
    subscription: Subscription,
}

impl Watcher {
    async fn start(supervisor: &Client, store: EventStore) -> Self {
        let call_id = Uuid::now_v7();
        let call = json!({ "callId": call_id, "direction": "INBOUND", "from": "+14155552671", "to": "+14155550100" });
        supervisor.accepted("initiateCall", call).await;
        let subscription = supervisor.subscribe(WATCH, json!({ "callId": call_id })).await;
        Self { store, call_id, version: 0, subscription }
    }

    /// Appends a segment and waits until it is shown; milliseconds.
    async fn said(&mut self) -> f64 {
        let began = Instant::now();
        append(&self.store, self.call_id, self.version).await;
        self.version += 1;
        let shown = self.subscription.next().await;
        let took = began.elapsed().as_secs_f64() * 1e3;
        assert_eq!(shown["transcript"]["segment"]["sequence"], self.version);
        took
    }
}

/// The least that has to be done: a row is committed, and a frame goes to a client over a socket.
struct Raw {
    pool: PgPool,
    position: i64,
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
}

impl Raw {
    async fn start(pool: &PgPool) -> Self {
        let table = "CREATE TABLE IF NOT EXISTS one_row (LIKE events); ALTER TABLE one_row ADD PRIMARY KEY (position);
                     CREATE UNIQUE INDEX ON one_row (stream_id, category, version)";
        sqlx::raw_sql(table).execute(pool).await.expect("a table");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("its address");
        tokio::spawn(async move {
            let (stream, _) = listener.accept().await.expect("a client");
            stream.set_nodelay(true).expect("no delay");
            let mut socket = accept_async(stream).await.expect("a handshake");
            while let Some(Ok(message)) = socket.next().await {
                if socket.send(message).await.is_err() {
                    return;
                }
            }
        });
        let (socket, _) = connect_async(format!("ws://{address}")).await.expect("a handshake");
        if let MaybeTlsStream::Plain(stream) = socket.get_ref() {
            stream.set_nodelay(true).expect("no delay");
        }
        Self { pool: pool.clone(), position: 0, socket }
    }

    /// Milliseconds.
    async fn round(&mut self) -> f64 {
        self.position += 1;
        let payload = segment(self.position);
        let began = Instant::now();
        sqlx::query(
            "INSERT INTO one_row VALUES ($1, $2, $3, 'transcript', 1, 'transcript.segment_added', 1, now(), now(),
                 'system:bench', $3, NULL, NULL, $4::json)",
        )
        .bind(self.position)
        .bind(Uuid::now_v7())
        .bind(Uuid::now_v7())
        .bind(&payload)
        .execute(&self.pool)
        .await
        .expect("a row");
        self.socket.send(payload.into()).await.expect("a socket");
        self.socket.next().await.expect("an echo").expect("an echo");
        began.elapsed().as_secs_f64() * 1e3
    }
}
