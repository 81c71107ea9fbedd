//! Many sockets that watch, and what they have received.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use futures_util::{SinkExt, StreamExt};
use serde_json::json;
use tokio::net::TcpSocket;
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

use crate::child::input;
use crate::support::now_us;

pub(crate) const DASHBOARD: &str = "subscription { dashboard { cursor dashboard {
    at day waiting oldestEnqueuedAt longestWaitMs inProgress agents { activity agents } offered answered abandoned
    serviceLevel averageSpeedOfAnswerMs averageHandleTimeMs } } }";
/// Sockets that are being opened at a time.
const OPENING: usize = 64;

#[derive(Default)]
struct Counts {
    ready: AtomicUsize,
    total: AtomicU64,
    /// Receptions since counting began, and the time of the first.
    counted: AtomicUsize,
    first_us: AtomicU64,
    latency: Mutex<Latency>,
}

#[derive(Default)]
struct Latency {
    begin_us: u64,
    pace_us: u64,
    /// Calls queued before.
    before: u64,
    wanted: usize,
    sampled: Vec<u64>,
}

/// Opens sockets and answers, line by line: `total`, `count`, `latency BEGIN PACE BEFORE CHANGES`.
pub(crate) async fn watch(kind: &str, address: SocketAddr, token: &str, sockets: usize) {
    let counts = Arc::new(Counts::default());
    let (done, mut finished) = mpsc::unbounded_channel::<u64>();
    let opening = (0..sockets).map(|_| open(kind, address, token));
    let mut opened = futures_util::stream::iter(opening).buffer_unordered(OPENING);
    let mut held = Vec::new();
    while let Some(socket) = opened.next().await {
        if kind == "stuck" {
            held.push(socket);
            counts.ready.fetch_add(1, Ordering::Relaxed);
            continue;
        }
        tokio::spawn(read(socket, Arc::clone(&counts), sockets, done.clone()));
    }
    while counts.ready.load(Ordering::Relaxed) < sockets {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    println!("ready");
    let mut lines = input();
    while let Some(line) = lines.recv().await {
        match line.split(' ').collect::<Vec<_>>()[..] {
            ["total"] => println!("{}", counts.total.load(Ordering::Relaxed)),
            ["count"] => {
                counts.first_us.store(0, Ordering::SeqCst);
                counts.counted.store(0, Ordering::SeqCst);
                println!("counting");
                let last = finished.recv().await.unwrap();
                println!("{}", last - counts.first_us.load(Ordering::SeqCst));
            }
            ["latency", begin, pace, before, changes] => {
                {
                    let mut latency = counts.latency.lock().unwrap();
                    latency.begin_us = begin.parse().unwrap();
                    latency.pace_us = pace.parse().unwrap();
                    latency.before = before.parse().unwrap();
                    latency.wanted = changes.parse::<usize>().unwrap() * sockets;
                    latency.sampled.clear();
                }
                println!("measuring");
                let sampled = loop {
                    {
                        let mut latency = counts.latency.lock().unwrap();
                        if latency.sampled.len() >= latency.wanted {
                            latency.wanted = 0;
                            break std::mem::take(&mut latency.sampled);
                        }
                    }
                    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
                };
                println!("{}", percentiles(sampled));
            }
            _ => panic!("{line}"),
        }
    }
    drop(held);
}

fn percentiles(mut sampled: Vec<u64>) -> String {
    sampled.sort_unstable();
    let at = |share: f64| sampled[((sampled.len() - 1) as f64 * share) as usize] as f64 / 1e3;
    format!("{} {}", at(0.5), at(0.99))
}

async fn open(kind: &str, address: SocketAddr, token: &str) -> WebSocketStream<tokio::net::TcpStream> {
    let socket = TcpSocket::new_v4().unwrap();
    // So that who reads nothing is stuck soon.
    socket.set_recv_buffer_size(16 * 1024).unwrap();
    let stream = socket.connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let mut request = format!("ws://{address}/graphql").into_client_request().unwrap();
    let config = WebSocketConfig::default().read_buffer_size(4 * 1024);
    if kind == "raw" {
        return client_async_with_config(request, stream, Some(config)).await.unwrap().0;
    }
    request.headers_mut().insert("sec-websocket-protocol", "graphql-transport-ws".parse().unwrap());
    let (mut socket, _) = client_async_with_config(request, stream, Some(config)).await.unwrap();
    let init = json!({ "type": "connection_init", "payload": { "authorization": format!("Bearer {token}") } });
    socket.send(Message::text(init.to_string())).await.unwrap();
    let subscribe = json!({ "type": "subscribe", "id": "1", "payload": { "query": DASHBOARD } });
    // The acknowledgement comes first.
    socket.next().await.unwrap().unwrap();
    socket.send(Message::text(subscribe.to_string())).await.unwrap();
    socket
}

async fn read(
    mut socket: WebSocketStream<tokio::net::TcpStream>,
    counts: Arc<Counts>,
    sockets: usize,
    done: mpsc::UnboundedSender<u64>,
) {
    let (mut first, mut seen) = (true, 0);
    while let Some(Ok(message)) = socket.next().await {
        let Message::Text(text) = message else { continue };
        let now = now_us();
        counts.total.fetch_add(1, Ordering::Relaxed);
        if std::mem::take(&mut first) {
            counts.ready.fetch_add(1, Ordering::Relaxed);
        }
        let _ = counts.first_us.compare_exchange(0, now, Ordering::SeqCst, Ordering::SeqCst);
        if counts.counted.fetch_add(1, Ordering::SeqCst) + 1 == sockets {
            done.send(now).unwrap();
        }
        let Some(offered) = offered(&text) else { continue };
        let mut latency = counts.latency.lock().unwrap();
        if latency.wanted > 0 {
            // A push shows every change up to it.
            for change in (seen + 1).max(latency.before + 1)..=offered {
                let due = latency.begin_us + latency.pace_us * (change - latency.before - 1);
                latency.sampled.push(now.saturating_sub(due));
            }
        }
        seen = offered;
    }
}

/// Calls queued so far, as a push shows them.
fn offered(text: &str) -> Option<u64> {
    let rest = text.split_once("\"offered\":")?.1;
    rest[..rest.find(|c: char| !c.is_ascii_digit())?].parse().ok()
}
