//! How long after its commit an event can be read from Kafka.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use commands::relay::{self, PARTITIONS, RelayConfig};
use domain::Position;
use tests::kafka::{self, Reader};
use tokio_util::sync::CancellationToken;

use crate::load::{World, append, stream};
use crate::support::statistics::{median, percentile};
use crate::support::table::{Row, Target};
use crate::support::{Extent, brokers};

/// Events a second.
const RATE: u32 = 1_000;
/// Seconds before the first one that counts: topic and producer are made meanwhile, and the broker compiles what it runs often.
const WARM_UP_S: usize = 30;

/// Relays to the broker at `KAFKA_BROKERS`; no rows where none is named.
pub async fn rows(extent: Extent) -> Vec<Row> {
    let Some(brokers) = brokers() else {
        return Vec::new();
    };
    let world = World::new().await;
    let config = RelayConfig { brokers, topic: kafka::topic() };
    let reader = Reader::new(&config.brokers, &config.topic, PARTITIONS);
    let stop = CancellationToken::new();
    let relay = tokio::spawn(relay::run(world.database.pool.clone(), config, Some(world.store.clone()), stop.clone()));
    let a_second = usize::try_from(RATE).unwrap();
    appended_and_seen(&world, &reader, extent.pick(WARM_UP_S, 1) * a_second).await;
    let count = extent.pick(4, 1) * a_second;
    let (mut middle, mut late) = (Vec::new(), Vec::new());
    for _ in 0..extent.runs() {
        let times = appended_and_seen(&world, &reader, count).await;
        middle.push(median(&times));
        late.push(percentile(&times, 0.99));
    }
    stop.cancel();
    relay.await.unwrap();
    world.end().await;
    let row = |name: &str, times: &[f64], most: f64| {
        Row::new(
            format!("commit to Kafka-visible at {RATE} events a second, {name}"),
            format!("{:.1} ms", median(times)),
        )
        .target_of(Target::AtMost(most), median(times))
    };
    vec![row("p50", &middle, 8.0), row("p99", &late, 30.0)]
}

/// Milliseconds from when the append was answered to when the record was read, of each event.
async fn appended_and_seen(world: &World, reader: &Reader, count: usize) -> Vec<f64> {
    let appending = async {
        let began = Instant::now();
        let mut tick = tokio::time::interval(Duration::from_millis(1));
        let mut appends = Vec::with_capacity(count);
        while appends.len() < count {
            tick.tick().await;
            while appends.len() < count && f64::from(RATE) * began.elapsed().as_secs_f64() > appends.len() as f64 {
                let (store, append) = (world.store.clone(), append(stream(), 0));
                appends.push(tokio::spawn(async move {
                    let appended = store.append(append).await.unwrap();
                    (appended.position, Instant::now())
                }));
            }
        }
        let mut committed: HashMap<Position, Instant> = HashMap::with_capacity(count);
        for append in appends {
            let (position, at) = append.await.unwrap();
            committed.insert(position, at);
        }
        committed
    };
    let reading = async {
        let mut seen = Vec::with_capacity(count);
        while seen.len() < count {
            let record = reader.next().await;
            seen.push((record.position(), Instant::now()));
        }
        seen
    };
    let (committed, seen) = tokio::join!(appending, reading);
    // A record may be read before the one who appended has heard of the commit.
    seen.iter().map(|(position, at)| at.saturating_duration_since(committed[position]).as_secs_f64() * 1e3).collect()
}
