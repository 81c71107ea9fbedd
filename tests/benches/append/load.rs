//! The store under load: transcripts to which many add segments at the same time.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use commands::Envelope;
use commands::event_store::{Append, EventStore, Expected};
use domain::call::Party;
use domain::transcript::{Command, Transcript};
use domain::{Actor, Category, Label, Personal, SpokenText, StreamName, Version};
use tests::TestDatabase;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use crate::support::event::segment_added;
use crate::support::statistics::{median, rate};

/// Writers that append at the same time.
pub const WRITERS: usize = 256;
/// Streams they append to.
pub const STREAMS: usize = 10_000;
/// Connections to the database: as many as `voice up` takes.
const CONNECTIONS: u32 = 20;

const TEXT: &str = "i would like to know why my card was refused at the shop yesterday although there was money on it, and \
                    whether you could please send me another one to my new address as soon as possible";

/// A transcript segment of about 300 bytes.
pub fn payload() -> String {
    format!(
        r#"{{"sequence":17,"speaker":"customer","begin_ms":61230,"end_ms":67110,"text":"{TEXT}","confidence":0.93,"model":"nova-3"}}"#
    )
}

/// A transcript that nobody has begun.
pub fn stream() -> StreamName {
    StreamName { category: Category::Transcript, id: Uuid::now_v7() }
}

/// One event to one stream.
pub fn append(stream: StreamName, expected: Version) -> Append {
    let event = segment_added(stream.id, payload());
    Append { key: Uuid::now_v7().to_string(), stream, expected: Expected::Exact(expected), events: vec![event] }
}

/// The command that leads to the same event.
pub fn add_segment() -> Command {
    Command::AddSegment {
        call_known: true,
        speaker: Party::Customer,
        begin_ms: 61_230,
        end_ms: 67_110,
        text: Personal::new(SpokenText::parse(TEXT).unwrap()),
        confidence: Some(0.93),
        model: Label::parse("nova-3").unwrap(),
    }
}

/// What comes with it.
pub fn envelope(expected: Version) -> Envelope {
    Envelope {
        key: Uuid::now_v7().to_string(),
        actor: Actor::system("bench"),
        at: chrono::Utc::now(),
        expected: Some(expected),
        correlation_id: None,
        causation_id: None,
        trace: None,
    }
}

/// How an event gets into the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// [`EventStore::append`]: the event is there already.
    Append,
    /// [`EventStore::execute`]: the aggregate decides, then as above.
    Execute,
}

/// A store on a database of its own.
pub struct World {
    /// The database.
    pub database: TestDatabase,
    /// The store.
    pub store: EventStore,
    tracker: TaskTracker,
    shutdown: CancellationToken,
    /// Streams that the writers append to, with their versions.
    appended: Streams,
    /// Streams that they give commands to. The program appends to no stream past the commands, which would only read after.
    executed: Streams,
}

type Streams = Vec<(StreamName, Version)>;

fn streams() -> Streams {
    (0..STREAMS).map(|_| (stream(), 0)).collect()
}

impl World {
    /// An empty log.
    pub async fn new() -> Self {
        Self::on(database().await).await
    }

    /// On a log that is there.
    pub async fn on(database: TestDatabase) -> Self {
        let (tracker, shutdown) = (TaskTracker::new(), CancellationToken::new());
        let store = EventStore::start(database.pool.clone(), &tracker, shutdown.clone()).await.unwrap();
        Self { database, store, tracker, shutdown, appended: streams(), executed: streams() }
    }

    /// Goes on with streams that are not there yet.
    pub fn fresh_streams(&mut self) {
        (self.appended, self.executed) = (streams(), streams());
    }

    /// Single-event appends a second by many writers, each waiting for its answer, with expected version and key.
    pub async fn appends(&mut self, way: Way, lasts: Duration) -> f64 {
        let count = Arc::new(AtomicU64::new(0));
        // Each writer has streams of its own, so that versions are known without asking.
        let mut shares = vec![Streams::new(); WRITERS];
        for (index, stream) in self.streams(way).drain(..).enumerate() {
            shares[index % WRITERS].push(stream);
        }
        let began = Instant::now();
        let writers: Vec<_> = shares
            .into_iter()
            .map(|mut own| {
                let (store, count) = (self.store.clone(), Arc::clone(&count));
                tokio::spawn(async move {
                    'writing: loop {
                        for (stream, version) in &mut own {
                            if began.elapsed() >= lasts {
                                break 'writing;
                            }
                            *version = one(&store, way, *stream, *version).await;
                            count.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                    own
                })
            })
            .collect();
        for writer in writers {
            self.streams(way).extend(writer.await.unwrap());
        }
        rate(count.load(Ordering::Relaxed), u64::try_from(began.elapsed().as_micros()).unwrap())
    }

    fn streams(&mut self, way: Way) -> &mut Streams {
        match way {
            Way::Append => &mut self.appended,
            Way::Execute => &mut self.executed,
        }
    }

    /// Median time of one append by one writer, in microseconds.
    pub async fn lone(&self, way: Way, appends: i64) -> f64 {
        let (store, stream) = (self.store.clone(), stream());
        // On a task, as commands are in the program.
        let writing = tokio::spawn(async move {
            let mut times = Vec::new();
            for version in 0..appends {
                let began = Instant::now();
                one(&store, way, stream, version).await;
                times.push(began.elapsed().as_secs_f64() * 1e6);
            }
            times
        });
        median(&writing.await.unwrap())
    }

    /// Times from when each append was due to when it was answered, in milliseconds, at so many a second.
    pub async fn latencies(&mut self, per_second: u32, lasts: Duration) -> Vec<f64> {
        let began = Instant::now() + Duration::from_millis(20);
        let count = (f64::from(per_second) * lasts.as_secs_f64()) as usize;
        let mut writing = Vec::with_capacity(count);
        let mut sent = 0;
        let mut tick = tokio::time::interval(Duration::from_millis(1));
        while sent < count {
            tick.tick().await;
            while sent < count {
                let due = began + Duration::from_secs_f64(sent as f64 / f64::from(per_second));
                if due > Instant::now() {
                    break;
                }
                // Streams of their own: what is measured is the log, not a queue at one stream.
                let (store, append) = (self.store.clone(), append(stream(), 0));
                writing.push(tokio::spawn(async move {
                    store.append(append).await.unwrap();
                    due.elapsed().as_secs_f64() * 1e3
                }));
                sent += 1;
            }
        }
        let mut times = Vec::with_capacity(count);
        for writing in writing {
            times.push(writing.await.unwrap());
        }
        times
    }

    /// Ends everything in order.
    pub async fn end(self) {
        let Self { database, tracker, shutdown, .. } = self;
        shutdown.cancel();
        tracker.close();
        tracker.wait().await;
        drop(database);
    }
}

async fn one(store: &EventStore, way: Way, stream: StreamName, version: Version) -> Version {
    match way {
        Way::Append => store.append(append(stream, version)).await.unwrap().version,
        Way::Execute => {
            store.execute::<Transcript>(stream.id, add_segment(), &envelope(version)).await.unwrap().version
        }
    }
}

/// A database whose pool is the program's own, whatever the tests' is.
pub async fn database() -> TestDatabase {
    let mut database = TestDatabase::new().await;
    database.pool = commands::connect(&database.url, CONNECTIONS).await.expect("PostgreSQL");
    database
}
