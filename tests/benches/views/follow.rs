//! Views that follow a log which grows all the time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use chrono_tz::Tz;
use commands::event_store::{Append, EventStore, Expected};
use commands::relay::{self, RelayConfig};
use domain::{Category, StreamName};
use projections::{KafkaSource, Progress, Source, Tail, read_models};
use tests::TestDatabase;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use crate::log::segment;
use crate::support::event::segment_added;
use crate::support::statistics::{float, median};
use crate::support::table::{Row, Target};
use crate::support::{Extent, brokers};

const WRITERS: usize = 256;
const STREAMS: usize = 10_000;
/// The lag is looked at this often.
const LOOK: Duration = Duration::from_millis(100);
/// The lag in the last third of a run over that in the first, at most: what varies without growing.
const GROWTH_MAX: f64 = 1.5;

pub async fn measure(extent: Extent) -> Vec<Row> {
    let [settles, lasts] = [extent.pick(15, 1), extent.pick(10, 1)].map(Duration::from_secs);
    let fastest = fastest(settles, lasts).await;
    let mut rows = vec![follow("table feed", None, fastest, extent).await];
    if let Some(brokers) = brokers() {
        rows.push(follow("Kafka feed", Some(brokers), fastest, extent).await);
    }
    rows
}

/// Appends a second of many writers, with nobody who follows, on a log as large as the one that the benchmark of appends ends
/// with: the first seconds of an empty one are faster by half.
async fn fastest(settles: Duration, lasts: Duration) -> f64 {
    let database = TestDatabase::new().await;
    let (tracker, shutdown) = (TaskTracker::new(), CancellationToken::new());
    let store = EventStore::start(database.pool.clone(), &tracker, shutdown.clone()).await.expect("a store");
    let load = Load::start(&store, None);
    tokio::time::sleep(settles).await;
    let before = load.appended();
    tokio::time::sleep(lasts).await;
    let appended = load.stop().await - before;
    shutdown.cancel();
    tracker.close();
    tracker.wait().await;
    float(appended) / lasts.as_secs_f64()
}

async fn follow(feed: &str, brokers: Option<String>, fastest: f64, extent: Extent) -> Row {
    let lasts = Duration::from_secs(extent.pick(60, 3));
    let database = TestDatabase::new().await;
    let (tracker, shutdown) = (TaskTracker::new(), CancellationToken::new());
    let pool = database.pool.clone();
    let store = EventStore::start(pool.clone(), &tracker, shutdown.clone()).await.expect("a store");
    let source = match brokers {
        None => Source::Table { committed: Some(store.committed()) },
        Some(brokers) => {
            let config = RelayConfig { brokers, topic: tests::kafka::topic() };
            let source = KafkaSource { brokers: config.brokers.clone(), topic: config.topic.clone() };
            tracker.spawn(relay::run(pool.clone(), config, Some(store.clone()), shutdown.clone()));
            Source::Kafka(source)
        }
    };
    let tail = Tail::start(pool.clone(), source, &tracker, shutdown.clone()).await.expect("a log");
    let (models, progress) = (read_models(Tz::UTC), Progress::new());
    let (count, mut projected) = (models.len(), progress.watch());
    tracker.spawn(projections::run(pool, tail, models, progress, shutdown.clone()));
    drop(projected.wait_for(|all| all.len() == count).await.expect("projectors"));

    let load = Load::start(&store, Some(fastest / 2.0));
    let (began, mut lags) = (Instant::now(), Vec::new());
    while began.elapsed() < lasts {
        tokio::time::sleep(LOOK).await;
        let head = *store.head().borrow();
        let behind = projected.borrow().values().min().map_or(head, |position| head - position);
        lags.push(float(u64::try_from(behind).unwrap_or_default()));
    }
    let took = began.elapsed().as_secs_f64();
    let appended = float(load.stop().await) / took;
    shutdown.cancel();
    tracker.close();
    tracker.wait().await;
    let third = lags.len() / 3;
    let (first, last) = (median(&lags[..third]), median(&lags[lags.len() - third..]));
    let most = lags.iter().copied().fold(0.0, f64::max);
    let growth = last.max(1.0) / first.max(1.0);
    Row::new(
        format!(
            "lag of the slowest of {count} views behind live appends for {took:.0} s, {feed}; last third over first"
        ),
        format!("first third {first:.0}, last third {last:.0}, at most {most:.0} events, at {appended:.0} appends/s"),
    )
    .against(format!("half of {fastest:.0} appends/s, with nobody who follows"), growth)
    .target(Target::AtMost(GROWTH_MAX))
}

/// Writers at work.
struct Load {
    enough: Arc<AtomicBool>,
    appended: Arc<AtomicU64>,
    writers: JoinSet<()>,
}

impl Load {
    /// Many writers, each with streams of its own: as fast as they can, or at a pace in appends a second.
    fn start(store: &EventStore, pace: Option<f64>) -> Self {
        let (enough, appended) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let mut writers = JoinSet::new();
        for writer in 0..WRITERS {
            let pause = pace.map(|pace| Duration::from_secs_f64(float(WRITERS as u64) / pace));
            writers.spawn(write(store.clone(), writer, pause, Arc::clone(&enough), Arc::clone(&appended)));
        }
        Self { enough, appended, writers }
    }

    /// How many were appended so far.
    fn appended(&self) -> u64 {
        self.appended.load(Ordering::Relaxed)
    }

    /// How many were appended.
    async fn stop(self) -> u64 {
        self.enough.store(true, Ordering::Relaxed);
        self.writers.join_all().await;
        self.appended.load(Ordering::Relaxed)
    }
}

async fn write(
    store: EventStore,
    writer: usize,
    pause: Option<Duration>,
    enough: Arc<AtomicBool>,
    appended: Arc<AtomicU64>,
) {
    let streams = STREAMS / WRITERS;
    let id = |_| StreamName { category: Category::Transcript, id: Uuid::now_v7() };
    let streams: Vec<StreamName> = (0..streams).map(id).collect();
    let mut versions = vec![0; streams.len()];
    let share = u32::try_from(writer).expect("a number") as f64 / float(WRITERS as u64);
    let mut due = Instant::now() + pause.unwrap_or_default().mul_f64(share);
    for turn in (0..streams.len()).cycle() {
        if enough.load(Ordering::Relaxed) {
            return;
        }
        if let Some(pause) = pause {
            sleep_until(due).await;
            due += pause;
        }
        let (stream, version) = (streams[turn], versions[turn]);
        let event = segment_added(stream.id, segment(version + 1));
        let (key, expected) = (Uuid::now_v7().to_string(), Expected::Exact(version));
        let append = Append { key, stream, expected, events: vec![event] };
        versions[turn] = store.append(append).await.expect("an append").version;
        appended.fetch_add(1, Ordering::Relaxed);
    }
}
