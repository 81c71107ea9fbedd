//! What a query costs, against a handler written by hand for it that answers the same bytes, in the same run.
//!
//! `.dev/bench --bench query` prints a Markdown table; `-- --quick` only shows that it works.
//! Figures differ from machine to machine; ratios are what counts.
//!
//! By `cargo bench`, `-- --only=ours` or `-- --only=by-hand` prints its process id, waits for a line on standard input, asks that side alone and
//! prints how many answers there were: work for a profiler, or for `perf stat -p`, which a busy machine does not distort.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, reason = "a benchmark")]
#![allow(missing_docs, unreachable_pub, reason = "a benchmark")]

mod by_hand;
mod seed;
#[allow(dead_code, reason = "each benchmark uses its part")]
#[path = "../support/mod.rs"]
mod support;

use std::net::SocketAddr;
use std::time::Duration;

use api::Limits;
use serde_json::json;

use support::Extent;
use support::floor::Floor;
use support::requests::{Answered, Ask, Requests};
use support::statistics::{median, ratio};
use support::table::{Row, Target, print};

/// Calls on a page, and segments of each.
const PAGE: usize = 20;
/// Connections that ask at the same time.
const CONNECTIONS: usize = 12;

fn main() {
    support::run(measure);
}

async fn measure(extent: Extent) {
    let calls = extent.pick(300, 40);
    let lasts = Duration::from_secs(extent.pick(3, 1));
    // What is measured is the answer, and not how much of it one viewer may have.
    let limits = Limits { points_per_minute: u32::MAX, points_burst: u32::MAX, ..Limits::default() };
    let floor = Floor::start(limits).await;
    seed::seed(&floor, calls).await;
    let by_hand = by_hand::ByHand::start(floor.pool().clone());
    let token = floor.supervisor.token().unwrap();
    let ask = |address, request| Ask { address, request, connections: CONNECTIONS, lasts };
    let ours = ask(floor.server.address, post(floor.server.address, token));
    let ceiling = ask(by_hand.address, get(by_hand.address, token));

    let mut requests = Requests::start();
    if let Some(only) = support::only() {
        let side = if only == "by-hand" { &ceiling } else { &ours };
        alone(&mut requests, side).await;
        requests.end().await;
        return floor.end().await;
    }
    let (mut here, mut there) = (Vec::new(), Vec::new());
    for run in 0..=extent.runs() {
        let (one, other) = (requests.ask(&ours).await, requests.ask(&ceiling).await);
        assert_eq!(one.body, other.body, "the handler written by hand answers something else");
        // The first one only warms up.
        if run > 0 {
            here.push(one);
            there.push(other);
        }
    }
    requests.end().await;
    let bytes = here[0].body.len();
    drop(by_hand);
    floor.end().await;

    let rates = |runs: &[Answered]| runs.iter().map(|run| run.rate).collect::<Vec<f64>>();
    let times = |runs: &[Answered]| runs.iter().map(|run| run.p50).collect::<Vec<f64>>();
    let words = |runs: &[Answered]| format!("{:.0}/s, p50 {:.1} ms", median(&rates(runs)), median(&times(runs)));
    let what = format!(
        "query of {PAGE} calls with agent and last {} lines, {bytes} bytes, {CONNECTIONS} connections; axum and sqlx by hand",
        seed::SEGMENTS
    );
    let row = Row::new(what, words(&here)).against(words(&there), ratio(&rates(&here), &rates(&there)));
    print(&[row.target(Target::AtLeast(0.7))]);
}

/// Asks one side, to be watched from outside. The first answers only warm up.
async fn alone(requests: &mut Requests, side: &Ask) {
    let warm = Ask { lasts: Duration::from_secs(1), ..side.clone() };
    requests.ask(&warm).await;
    println!("process {}: press return", std::process::id());
    tokio::task::spawn_blocking(|| std::io::stdin().read_line(&mut String::new())).await.unwrap().unwrap();
    println!("{} answers", requests.ask(side).await.count);
}

fn post(address: SocketAddr, token: &str) -> String {
    let segments = seed::SEGMENTS;
    let document = format!(
        "{{ calls(first: {PAGE}) {{ edges {{ node {{
             callId state from to customerName queue initiatedAt answeredAt waitMs talkMs version
             agent {{ agentId name team activity }}
             transcript(last: {segments}) {{ sequence speaker beginMs endMs text }} }} }} }} }}"
    );
    let body = json!({ "query": document }).to_string();
    format!(
        "POST /graphql HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {token}\r\naccept: application/json\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn get(address: SocketAddr, token: &str) -> String {
    let segments = seed::SEGMENTS;
    format!(
        "GET /calls?first={PAGE}&last={segments} HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {token}\r\n\
         accept: application/json\r\n\r\n"
    )
}
