//! What it costs to read the log and to keep views of it, against what the same PostgreSQL can do at best, in one run.
//!
//! `.dev/bench --bench views` prints a Markdown table; `-- --quick` only shows that it works, and
//! `-- --only=NAME` measures one part. Figures differ from machine to machine; ratios are what counts.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, reason = "a benchmark")]
#![allow(missing_docs, unreachable_pub, reason = "a benchmark")]

mod ceiling;
mod follow;
mod latency;
mod log;
mod memory;
mod rebuild;
mod replay;
mod stages;
#[allow(dead_code, reason = "each benchmark uses its part")]
#[path = "../support/mod.rs"]
mod support;

use support::table::print;
use support::{Extent, wanted};

fn main() {
    support::run(measure);
}

async fn measure(extent: Extent) {
    let mut rows = Vec::new();
    if wanted("replay") {
        rows.extend(replay::measure(extent).await);
    }
    if wanted("rebuild") {
        rows.extend(rebuild::measure(extent).await);
    }
    if wanted("follow") {
        rows.extend(follow::measure(extent).await);
    }
    if wanted("latency") {
        rows.extend(latency::measure(extent).await);
    }
    if wanted("stages") {
        rows.extend(stages::measure(extent).await);
    }
    if wanted("memory") {
        rows.extend(memory::measure(extent).await);
    }
    print(&rows);
}
