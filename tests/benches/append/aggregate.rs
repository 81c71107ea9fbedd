//! What it takes to have an aggregate as it is now and to decide on it, from the beginning of its stream and from the cache.

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
    let aggregates = extent.pick(400, 20);
    let (mut first, mut again) = (Vec::new(), Vec::new());
    for _ in 0..extent.runs() {
        let mut streams = Vec::new();
        for _ in 0..aggregates {
            let stream = stream();
            let events = (0..EVENTS).flat_map(|_| append(stream, 0).events).collect();
            let append = Append { events, expected: Expected::Exact(0), ..append(stream, 0) };
            world.store.append(append).await.unwrap();
            streams.push(stream);
        }
        for times in [&mut first, &mut again] {
            let mut run = Vec::new();
            for stream in &streams {
                let began = Instant::now();
                let loaded = world.store.aggregate::<Transcript>(stream.id).await.unwrap();
                let decided = loaded.state.decide(add_segment()).unwrap();
                run.push(began.elapsed().as_secs_f64() * 1e6);
                assert_eq!((usize::try_from(loaded.version).unwrap(), decided.len()), (EVENTS, 1));
            }
            times.push(median(&run));
        }
    }
    world.end().await;
    let what = format!("load an aggregate of {EVENTS} events and decide, cached, p50; uncached");
    let row = Row::new(what, format!("{:.0} us", median(&again)));
    vec![row.against(format!("{:.0} us", median(&first)), ratio(&again, &first)).target(Target::AtMost(0.2))]
}
