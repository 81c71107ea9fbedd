//! What it costs to push one dashboard to many, against a raw WebSocket broadcast of the same bytes, in one run.
//!
//! `.dev/bench --bench fanout` prints a Markdown table. Server, broadcast and clients are
//! processes of their own, so that clients cost the same in both. Figures differ from machine to machine; ratios are what
//! counts. `-- --quick` is a smoke run.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, reason = "a benchmark")]
#![allow(missing_docs, unreachable_pub, reason = "a benchmark")]

mod child;
mod clients;
mod servers;
#[allow(dead_code, reason = "each benchmark uses its part")]
#[path = "../support/mod.rs"]
mod support;

use std::time::Duration;

use child::Child;
use futures_util::{StreamExt, stream};
use serde_json::{Value, json};
use support::statistics::{median, rate, ratio};
use support::table::{Row, Target, print};
use support::{Extent, now_us, part};
use tests::Client;
use uuid::Uuid;

/// How much is measured.
struct Size {
    runs: usize,
    pushes: usize,
    sockets: usize,
    idle: [usize; 2],
    fast: usize,
    stuck: usize,
    paced: usize,
}

const FULL: Size =
    Size { runs: 5, pushes: 30, sockets: 2_000, idle: [500, 2_500], fast: 1_000, stuck: 1_000, paced: 100 };
const QUICK: Size = Size { runs: 1, pushes: 5, sockets: 100, idle: [50, 150], fast: 50, stuck: 50, paced: 40 };
/// Calls that are made at the same time.
const MADE_AT_ONCE: usize = 32;
/// Time between two paced changes.
const PACE: Duration = Duration::from_millis(50);
/// Changes after which a client that reads nothing takes nothing more: its buffers and the kernel's are full.
const UNTIL_STUCK: usize = 1_500;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["serve"] => support::block_on(servers::voice()),
        ["broadcast", frame] => support::block_on(servers::broadcast(frame.to_owned())),
        ["watch", kind, address, token, sockets] => {
            support::block_on(clients::watch(kind, address.parse().unwrap(), token, sockets.parse().unwrap()));
        }
        _ => support::run(measure),
    }
}

async fn measure(extent: Extent) {
    let size = extent.pick(FULL, QUICK);
    let mut rows = Vec::new();
    part("deliveries", &mut rows, deliveries(&size)).await;
    part("idle", &mut rows, idle(&size)).await;
    part("stuck", &mut rows, stuck_readers(&size)).await;
    print(&rows);
}

/// The system under measurement, and somebody who changes its dashboard.
struct World {
    server: Child,
    client: Client,
    address: String,
    token: String,
    waiting: Vec<Uuid>,
    queued: usize,
}

impl World {
    async fn new() -> Self {
        let mut server = Child::start(&["serve"]);
        let (address, token) = (server.line().await, server.line().await);
        let client = Client::new(address.parse().unwrap(), Some(token.clone()));
        Self { server, client, address, token, waiting: Vec::new(), queued: 0 }
    }

    /// Makes calls that can be queued later, until there are so many.
    async fn calls(&mut self, count: usize) {
        let client = &self.client;
        let made = (self.waiting.len()..count).map(|_| async {
            let call_id = Uuid::now_v7();
            let input =
                json!({ "callId": call_id, "direction": "INBOUND", "from": "+14155552671", "to": "+14155550100" });
            client.accepted("initiateCall", input).await;
            call_id
        });
        let made: Vec<Uuid> = stream::iter(made).buffer_unordered(MADE_AT_ONCE).collect().await;
        self.waiting.extend(made);
    }

    /// Changes the dashboard by one event.
    async fn change(&mut self) {
        let call_id = self.waiting.pop().expect("a call to queue");
        self.client.accepted("queueCall", json!({ "callId": call_id, "queue": "sales" })).await;
        self.queued += 1;
    }

    fn watchers(&self, kind: &str, sockets: usize) -> Child {
        Child::start(&["watch", kind, &self.address, &self.token, &sockets.to_string()])
    }

    /// The text of a push as it goes over the wire.
    async fn frame(&self) -> String {
        let mut subscription = self.client.subscribe(clients::DASHBOARD, json!({})).await;
        let payload: Value = json!({ "data": subscription.next().await });
        json!({ "id": "1", "type": "next", "payload": payload }).to_string()
    }
}

/// Messages a second between the first and the last reception of a push, and the server's CPU time for each, microseconds.
struct Delivery {
    rate: Vec<f64>,
    cpu_us: Vec<f64>,
}

async fn deliveries(size: &Size) -> Vec<Row> {
    let mut world = World::new().await;
    let frame = world.frame().await;
    let mut raw = Child::start(&["broadcast", &frame]);
    let raw_address = raw.line().await;
    let sockets = size.sockets.to_string();
    let mut ours_watch = world.watchers("ours", size.sockets);
    let mut raw_watch = Child::start(&["watch", "raw", &raw_address, "-", &sockets]);
    ours_watch.expect("ready").await;
    raw_watch.expect("ready").await;
    let (mut ours, mut ceiling) =
        (Delivery { rate: vec![], cpu_us: vec![] }, Delivery { rate: vec![], cpu_us: vec![] });
    for run in 0..=size.runs {
        let (mut ours_rate, mut raw_rate) = (Vec::new(), Vec::new());
        world.calls(size.pushes).await;
        settle(&mut ours_watch).await;
        let cpu = world.server.cpu_us();
        for _ in 0..size.pushes {
            ours_watch.tell("count");
            ours_watch.expect("counting").await;
            world.change().await;
            ours_rate.push(received(&ours_watch.line().await, size.sockets));
        }
        let ours_cpu = world.server.cpu_us() - cpu;
        let cpu = raw.cpu_us();
        for _ in 0..size.pushes {
            raw_watch.tell("count");
            raw_watch.expect("counting").await;
            raw.tell("push");
            raw_rate.push(received(&raw_watch.line().await, size.sockets));
        }
        let raw_cpu = raw.cpu_us() - cpu;
        // The first run warms up.
        if run > 0 {
            let messages = (size.pushes * size.sockets) as f64;
            ours.rate.push(median(&ours_rate));
            ceiling.rate.push(median(&raw_rate));
            ours.cpu_us.push(ours_cpu / messages);
            ceiling.cpu_us.push(raw_cpu / messages);
        }
    }
    let what = format!(
        "one dashboard to {sockets} sockets, messages a second from first to last reception; a raw WebSocket broadcast \
         of the same {} bytes",
        frame.len()
    );
    let words = |rates: &[f64]| format!("{:.0}/s", median(rates));
    let rate = Row::new(what, words(&ours.rate)).against(words(&ceiling.rate), ratio(&ours.rate, &ceiling.rate));
    let what = "CPU time of the server for each message; ours with command, projection and resolution";
    let words = |times: &[f64]| format!("{:.1} us", median(times));
    let cpu = Row::new(what, words(&ours.cpu_us)).against(words(&ceiling.cpu_us), ratio(&ours.cpu_us, &ceiling.cpu_us));
    vec![rate.target(Target::AtLeast(0.8)), cpu]
}

/// Waits until nothing is on its way any more.
async fn settle(watch: &mut Child) {
    let mut before = String::new();
    loop {
        watch.tell("total");
        let now = watch.line().await;
        if now == before {
            return;
        }
        before = now;
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

/// Messages a second, of as many sockets as took so many microseconds from the first reception to the last.
fn received(took_us: &str, sockets: usize) -> f64 {
    let took_us: u64 = took_us.parse().expect("microseconds");
    rate(sockets as u64 - 1, took_us.max(1))
}

async fn idle(size: &Size) -> Vec<Row> {
    let mut world = World::new().await;
    let mut resident = Vec::new();
    let mut watching = Vec::new();
    let mut open = 0;
    for count in size.idle {
        let mut watch = world.watchers("ours", count - open);
        watch.expect("ready").await;
        settle(&mut watch).await;
        // All have seen a push as well: what its writing needed is counted.
        world.calls(1).await;
        world.change().await;
        settle(&mut watch).await;
        watching.push(watch);
        open = count;
        resident.push(world.server.resident_kib());
    }
    let each = (resident[1] - resident[0]) / (size.idle[1] - size.idle[0]) as f64;
    let what = format!("resident memory for each idle subscriber, from {} to {}", size.idle[0], size.idle[1]);
    vec![Row::new(what, format!("{each:.1} KiB")).target_of(Target::AtMost(12.0), each)]
}

async fn stuck_readers(size: &Size) -> Vec<Row> {
    let (mut alone, mut beside) = (Vec::new(), Vec::new());
    let mut world = World::new().await;
    // All that will be needed: with sockets that watch, each of them would be a push to all.
    world.calls(UNTIL_STUCK + 2 * size.runs * size.paced).await;
    let mut fast = world.watchers("ours", size.fast);
    fast.expect("ready").await;
    for _ in 0..size.runs {
        alone.push(paced(&mut world, &mut fast, size).await);
    }
    let mut stuck = world.watchers("stuck", size.stuck);
    stuck.expect("ready").await;
    for _ in 0..UNTIL_STUCK {
        world.change().await;
    }
    settle(&mut fast).await;
    for _ in 0..size.runs {
        beside.push(paced(&mut world, &mut fast, size).await);
    }
    let row = |name: &str, pick: usize| {
        let of = |runs: &[[f64; 2]]| median(&runs.iter().map(|run| run[pick]).collect::<Vec<_>>());
        let (alone, beside) = (of(&alone), of(&beside));
        let what = format!(
            "command to reception by {} sockets beside {} that read nothing, {name}; without these",
            size.fast, size.stuck
        );
        Row::new(what, format!("{beside:.1} ms")).against(format!("{alone:.1} ms"), beside / alone)
    };
    vec![row("p50", 0), row("p99", 1).target(Target::AtMost(1.2))]
}

/// Latencies at a fixed pace, from the moment a change was due to its reception: p50 and p99, milliseconds.
async fn paced(world: &mut World, fast: &mut Child, size: &Size) -> [f64; 2] {
    settle(fast).await;
    let begin = now_us() + 200_000;
    let pace = u64::try_from(PACE.as_micros()).unwrap();
    fast.tell(&format!("latency {begin} {pace} {} {}", world.queued, size.paced));
    fast.expect("measuring").await;
    for n in 0..size.paced {
        let due = begin + pace * n as u64;
        tokio::time::sleep(Duration::from_micros(due.saturating_sub(now_us()))).await;
        world.change().await;
    }
    let line = fast.line().await;
    let (p50, p99) = line.split_once(' ').expect("two percentiles");
    [p50.parse().unwrap(), p99.parse().unwrap()]
}
