//! What it takes to have an aggregate and to decide on it: from the beginning of its stream, as the last command left it,
//! which is what the next is decided on first, and as it is now, which is what others are told.

use std::time::Instant;

use commands::event_store::{Append, Expected};
use domain::Aggregate;
use domain::transcript::Transcript;

use crate::load::{World, add_segment, append, stream};
use crate::support::Extent;
use crate::support::statistics::{median, ratio};
use crate::support::table::{Row, Target};

/// Events that each aggregate has.
const EVENTS: usize = 200;

/// Loads and decides, twice each.
pub async fn rows(extent: Extent) -> Vec<Row> {
    let world = World::new().await;
    let aggregates = extent.pick(200, 20);
    let (mut first, mut again, mut now) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..extent.runs() {
        let mut streams = Vec::new();
        for _ in 0..aggregates {
            let stream = stream();
            let events = (0..EVENTS).flat_map(|_| append(stream, 0).events).collect();
            let append = Append { events, expected: Expected::Exact(0), ..append(stream, 0) };
            world.store.append(append).await.unwrap();
            streams.push(stream);
        }
        for (times, as_left) in [(&mut first, true), (&mut again, true), (&mut now, false)] {
            let mut run = Vec::new();
            for stream in &streams {
                let began = Instant::now();
                let loaded = if as_left {
                    world.store.aggregate_as_left::<Transcript>(stream.id).await.unwrap()
                } else {
                    world.store.aggregate::<Transcript>(stream.id).await.unwrap()
                };
                let decided = loaded.state.decide(add_segment()).unwrap();
                run.push(began.elapsed().as_secs_f64() * 1e6);
                assert_eq!((usize::try_from(loaded.version).unwrap(), decided.len()), (EVENTS, 1));
            }
            times.push(median(&run));
        }
    }
    world.end().await;
    let row = |which: &str, times: &[f64]| {
        let what = format!("load an aggregate of {EVENTS} events and decide, {which}, p50; uncached");
        let row = Row::new(what, format!("{:.1} us", median(times)));
        row.against(format!("{:.0} us", median(&first)), ratio(times, &first))
    };
    let cached = row("cached", &again).target(Target::AtMost(0.2));
    vec![cached, row("cached and brought up to date", &now)]
}
