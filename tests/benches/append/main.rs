//! What an append costs, against what the same PostgreSQL can do at best, in one run.
//!
//! `.dev/bench --bench append` prints a Markdown table: medians of several runs, ratios to the
//! ceiling measured in turns with them. Figures differ from machine to machine; ratios are what counts. `-- --quick` only
//! shows that it works, and `-- --only=NAME` measures one part.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, clippy::print_stderr, reason = "a benchmark")]
#![allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a benchmark")]
#![allow(missing_docs, unreachable_pub, reason = "a benchmark")]

mod aggregate;
mod growth;
mod load;
mod plot;
mod raw;
mod relayed;
#[allow(dead_code, reason = "each benchmark uses its part")]
#[path = "../support/mod.rs"]
mod support;

use std::time::Duration;

use load::{STREAMS, WRITERS, Way, World};
use raw::{ROWS, Raw};
use support::statistics::{median, percentile, ratio};
use support::table::{Row, Target, print};
use support::{Extent, part};

fn main() {
    support::run(measure);
}

async fn measure(extent: Extent) {
    let mut rows = Vec::new();
    part("many", &mut rows, many(extent)).await;
    part("lone", &mut rows, lone(extent)).await;
    part("growth", &mut rows, growth::rows(extent)).await;
    part("aggregate", &mut rows, aggregate::rows(extent)).await;
    part("relayed", &mut rows, relayed::rows(extent)).await;
    part("load", &mut rows, under_load(extent)).await;
    print(&rows);
}

/// Many writers, against plain inserts of many rows.
async fn many(extent: Extent) -> Vec<Row> {
    let lasts = Duration::from_millis(extent.pick(2_500, 300));
    let mut world = World::new().await;
    let mut raw = Raw::new(&world.database, "ceiling").await;
    let (mut appends, mut executes, mut ceiling) = (Vec::new(), Vec::new(), Vec::new());
    for run in 0..=extent.runs() {
        let (plain, append) = (raw.batches(lasts).await, world.appends(Way::Append, lasts).await);
        let execute = world.appends(Way::Execute, lasts).await;
        // The first one only warms up: streams begin in it.
        if run > 0 {
            ceiling.push(plain);
            appends.push(append);
            executes.push(execute);
        }
    }
    drop(raw);
    world.end().await;
    let row = |what: &str, ours: &[f64]| {
        Row::new(
            format!("{what}, {WRITERS} writers, {STREAMS} streams; `INSERT ... SELECT unnest` of {ROWS} rows"),
            format!("{:.0}/s", median(ours)),
        )
        .against(format!("{:.0} rows/s", median(&ceiling)), ratio(ours, &ceiling))
        .target(Target::AtLeast(0.5))
    };
    vec![row("single-event appends", &appends), row("single-event commands", &executes)]
}

/// One writer, against a plain insert of one row.
async fn lone(extent: Extent) -> Vec<Row> {
    let count = extent.pick(2_000, 100);
    let world = World::new().await;
    let mut raw = Raw::new(&world.database, "ceiling").await;
    let (mut appends, mut executes, mut ceiling) = (Vec::new(), Vec::new(), Vec::new());
    for run in 0..=extent.runs() {
        let (again, plain) = raw.single(usize::try_from(count).unwrap()).await;
        raw = again;
        let (append, execute) = (world.lone(Way::Append, count).await, world.lone(Way::Execute, count).await);
        if run > 0 {
            ceiling.push(plain);
            appends.push(append);
            executes.push(execute);
        }
    }
    drop(raw);
    world.end().await;
    let row = |what: &str, ours: &[f64]| {
        Row::new(format!("{what}, one writer, p50; one-row `INSERT` with commit"), format!("{:.0} us", median(ours)))
            .against(format!("{:.0} us", median(&ceiling)), ratio(ours, &ceiling))
            .target(Target::AtMost(1.5))
    };
    vec![row("single-event append", &appends), row("single-event command", &executes)]
}

/// How long an append takes at a given load: a plot, and no line of the table.
async fn under_load(extent: Extent) -> Vec<Row> {
    let lasts = Duration::from_millis(extent.pick(3_000, 300));
    let mut world = World::new().await;
    let mut lines = [("p50", Vec::new()), ("p95", Vec::new()), ("p99", Vec::new())];
    for per_second in [1_000, 2_000, 4_000, 8_000, 16_000, 24_000, 32_000] {
        let times = world.latencies(per_second, lasts).await;
        for ((_, points), share) in lines.iter_mut().zip([0.5, 0.95, 0.99]) {
            points.push((f64::from(per_second), percentile(&times, share)));
        }
    }
    world.end().await;
    if extent == Extent::Full {
        plot::draw(
            "append-latency.svg",
            "Time until an append is answered",
            ("appends a second", "milliseconds"),
            &lines,
        );
    }
    Vec::new()
}
