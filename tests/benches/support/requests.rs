//! HTTP connections in a process of their own, each of which asks again as soon as it has its answer. Their HTTP/1.1 is by
//! hand, since it is to take as little of the machine as can be.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::helper::{self, Helper};
use super::statistics::{float, percentile, rate};

/// What is read at once, in bytes.
const READ_BYTES: usize = 64 * 1024;

/// A request that is sent again and again.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Ask {
    /// To whom.
    pub address: SocketAddr,
    /// The whole request in HTTP/1.1.
    pub request: String,
    /// Connections that ask, each one question at a time.
    pub connections: usize,
    /// How long.
    pub lasts: Duration,
}

/// What came of it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Answered {
    /// Answers.
    pub count: u64,
    /// Answers a second.
    pub rate: f64,
    /// Time of an answer in milliseconds, the middle one of all.
    pub p50: f64,
    /// Every answer's body, as it was the same each time.
    pub body: String,
}

/// The connections, from the benchmark's side.
pub struct Requests(Helper);

impl Requests {
    /// Starts their process.
    pub fn start() -> Self {
        Self(Helper::start("requests"))
    }

    /// Asks for a while.
    pub async fn ask(&mut self, ask: &Ask) -> Answered {
        self.0.ask(ask).await
    }

    /// Ends their process.
    pub async fn end(self) {
        self.0.end().await;
    }
}

/// The helper's side.
pub async fn serve() {
    helper::answer(async |ask: Ask| json!(load(ask).await)).await;
}

async fn load(ask: Ask) -> Answered {
    let body = Arc::new(Connection::open(&ask).await.answer().await);
    let mut connections = JoinSet::new();
    let began = Instant::now();
    for _ in 0..ask.connections {
        let (mut connection, body) = (Connection::open(&ask).await, Arc::clone(&body));
        connections.spawn(async move {
            let mut times = Vec::new();
            while began.elapsed() < ask.lasts {
                let asked = Instant::now();
                assert!(connection.answer().await == *body, "another answer");
                times.push(asked.elapsed().as_secs_f64() * 1e3);
            }
            times
        });
    }
    let times: Vec<f64> = connections.join_all().await.into_iter().flatten().collect();
    let took = u64::try_from(began.elapsed().as_micros()).expect("a duration");
    let count = u64::try_from(times.len()).expect("a count");
    assert!(float(count) > 0.0, "no answer");
    let body = String::from_utf8(body.to_vec()).expect("text");
    Answered { count, rate: rate(count, took), p50: percentile(&times, 0.5), body }
}

struct Connection {
    stream: TcpStream,
    request: Vec<u8>,
    read: Vec<u8>,
}

impl Connection {
    async fn open(ask: &Ask) -> Self {
        let stream = TcpStream::connect(ask.address).await.expect("a connection");
        stream.set_nodelay(true).expect("no delay");
        Self { stream, request: ask.request.clone().into_bytes(), read: Vec::with_capacity(READ_BYTES) }
    }

    /// The body of an answer, whose length the head says.
    async fn answer(&mut self) -> Vec<u8> {
        self.stream.write_all(&self.request).await.expect("an open connection");
        self.read.clear();
        let head = loop {
            self.more().await;
            if let Some(end) = self.read.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
                break end + 4;
            }
        };
        let words = String::from_utf8_lossy(&self.read[..head]).to_ascii_lowercase();
        assert!(words.starts_with("http/1.1 200 "), "{}", String::from_utf8_lossy(&self.read));
        let length = words.lines().find_map(|line| line.strip_prefix("content-length:")).expect("its length");
        let length: usize = length.trim().parse().expect("a number");
        while self.read.len() < head + length {
            self.more().await;
        }
        self.read[head..].to_vec()
    }

    async fn more(&mut self) {
        assert!(self.stream.read_buf(&mut self.read).await.expect("an answer") > 0, "the connection was closed");
    }
}
