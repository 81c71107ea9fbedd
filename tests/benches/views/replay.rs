//! Reading and decoding the log.

use std::time::Instant;

use domain::Position;
use projections::replay::Replay;
use sqlx::PgPool;
use tests::TestDatabase;

use crate::ceiling::{copy_out, micros};
use crate::log;
use crate::support::Extent;
use crate::support::statistics::{median, rate, ratio};
use crate::support::table::{Row, Target};

/// One event of so many is read by pages: it takes long, and is no target.
const PAGED_PART: Position = 5;

pub async fn measure(extent: Extent) -> Vec<Row> {
    let events: Position = extent.pick(500_000, 20_000);
    let database = TestDatabase::new().await;
    log::segments(&database.pool, events).await;
    let (mut ours, mut paged, mut best) = (Vec::new(), Vec::new(), Vec::new());
    for run in 0..=extent.runs() {
        let (copied, replayed) = (copy_out(&database.pool, events).await, replay(&database.pool, events).await);
        let read = pages(&database.pool, events / PAGED_PART).await;
        // The first one only warms up.
        if run > 0 {
            best.push(copied);
            ours.push(replayed);
            paged.push(read);
        }
    }
    let words = |rates: &[f64]| format!("{:.0} events/s", median(rates));
    let replayed = Row::new(format!("read and decode {events} events in order, typed"), words(&ours))
        .against(format!("{}, binary COPY out", words(&best)), ratio(&ours, &best))
        .target(Target::AtLeast(0.6));
    let paged =
        Row::new("the same of the first fifth, by pages of whole events, as the feed reads what is new", words(&paged))
            .against(words(&best), ratio(&paged, &best));
    vec![replayed, paged]
}

async fn replay(pool: &PgPool, upto: Position) -> f64 {
    let began = Instant::now();
    let mut replay = Replay::start(pool.clone(), 0, upto);
    let mut last = 0;
    while let Some(chunk) = replay.next().await.expect("events") {
        assert!(chunk.undecodable.is_empty(), "an event that can't be decoded");
        for event in &chunk.events {
            assert_eq!(event.recorded.position, last + 1, "not the next event");
            last += 1;
        }
    }
    assert_eq!(last, upto, "not the whole log");
    rate(u64::try_from(upto).expect("a count"), micros(began))
}

/// Events with everything that was stored with them, decoded.
async fn pages(pool: &PgPool, upto: Position) -> f64 {
    const PAGE: usize = 5_000;
    let began = Instant::now();
    let mut last = 0;
    while last < upto {
        let page = projections::log::read_after(pool, last, PAGE).await.expect("events");
        page.iter().for_each(|event| drop(event.decode().expect("an event")));
        last = page.last().expect("the rest of the log").position;
    }
    rate(u64::try_from(upto).expect("a count"), micros(began))
}
