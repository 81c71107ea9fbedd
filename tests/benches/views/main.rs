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
use support::{Extent, part};
use tests::TestDatabase;

fn main() {
    support::run(measure);
}

async fn measure(extent: Extent) {
    let mut rows = Vec::new();
    part("replay", &mut rows, replay::measure(extent)).await;
    part("latency", &mut rows, latency::measure(extent)).await;
    part("stages", &mut rows, stages::measure(extent)).await;
    // It leaves much to be written: what is about milliseconds comes before it.
    part("follow", &mut rows, follow::measure(extent)).await;
    // Filling a log takes longer than many parts, so these two share one.
    let conversations = TestDatabase::new().await;
    part("rebuild", &mut rows, rebuild::measure(&conversations, extent)).await;
    part("memory", &mut rows, memory::measure(&conversations, extent)).await;
    print(&rows);
}
