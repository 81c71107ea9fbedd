//! A small read model with faults on demand, and events to fold into it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use chrono::{DateTime, Utc};
use domain::{Category, Event, Position, StreamName};
use projections::{Change, Changes, Decoded, Progress, ReadModel, Source, Tail, async_trait};
use sqlx::{PgConnection, PgPool};
use tests::TestDatabase;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

/// Longest wait for anything in these tests.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// Counts the events of each stream. A call queued to `poison` can't be stored, to `panic` panics, until `mended`.
pub(crate) struct Counts {
    pub(crate) version: i32,
    pub(crate) mended: AtomicBool,
    /// When there, each batch takes one permit before it is folded.
    pub(crate) gate: Option<Arc<Semaphore>>,
}

impl Counts {
    pub(crate) fn new() -> Arc<Self> {
        Self::of_version(1)
    }

    pub(crate) fn of_version(version: i32) -> Arc<Self> {
        Arc::new(Self { version, mended: AtomicBool::new(false), gate: None })
    }

    pub(crate) fn gated(gate: Arc<Semaphore>) -> Arc<Self> {
        Arc::new(Self { version: 1, mended: AtomicBool::new(false), gate: Some(gate) })
    }

    pub(crate) fn mend(&self) {
        self.mended.store(true, Ordering::SeqCst);
    }
}

#[async_trait]
impl ReadModel for Counts {
    fn name(&self) -> &'static str {
        "counts"
    }

    fn version(&self) -> i32 {
        self.version
    }

    fn tables(&self) -> &'static [&'static str] {
        &["counts", "counted"]
    }

    fn ddl(&self) -> &'static str {
        "CREATE TABLE counts (
             stream_id uuid   NOT NULL CONSTRAINT counts_key PRIMARY KEY,
             events    bigint NOT NULL,
             priority  smallint NOT NULL CONSTRAINT counts_priority CHECK (priority >= 0)
         );
         CREATE TABLE counted (position bigint NOT NULL CONSTRAINT counted_key PRIMARY KEY);"
    }

    async fn apply(&self, connection: &mut PgConnection, events: &[&Decoded]) -> Result<Vec<Change>, sqlx::Error> {
        if let Some(gate) = &self.gate {
            gate.acquire().await.unwrap().forget();
        }
        let mended = self.mended.load(Ordering::SeqCst);
        let queue = |event: &Event| match event {
            Event::Call(domain::call::Event::Queued(queued)) => queued.queue.to_string(),
            _ => String::new(),
        };
        assert!(mended || events.iter().all(|decoded| queue(&decoded.event) != "panic"), "told to panic");
        let sick = |decoded: &Decoded| !mended && queue(&decoded.event) == "poison";
        sqlx::query(
            "INSERT INTO counts (stream_id, events, priority)
             SELECT e.stream, count(*), min(e.priority) FROM unnest($1::uuid[], $2::smallint[]) e (stream, priority) GROUP BY 1
             ON CONFLICT ON CONSTRAINT counts_key DO UPDATE SET events = counts.events + excluded.events,
                                                                priority = excluded.priority",
        )
        .bind(events.iter().map(|decoded| decoded.recorded.stream.id).collect::<Vec<_>>())
        .bind(events.iter().map(|decoded| if sick(decoded) { -1_i16 } else { 0 }).collect::<Vec<_>>())
        .execute(&mut *connection)
        .await?;
        sqlx::query("INSERT INTO counted (position) SELECT unnest($1::bigint[])")
            .bind(events.iter().map(|decoded| decoded.recorded.position).collect::<Vec<_>>())
            .execute(&mut *connection)
            .await?;
        let change =
            |Decoded { recorded, .. }: &Decoded| Change { position: recorded.position, key: recorded.stream.id };
        Ok(events.iter().copied().map(change).collect())
    }
}

/// Appends one call event for each queue to one stream, in one transaction; the last position.
pub(crate) async fn append(pool: &PgPool, stream: Uuid, queues: &[&str]) -> Position {
    let mut connection = pool.acquire().await.unwrap();
    append_on(&mut connection, stream, queues).await
}

/// As [`append`], on a connection that may be in a transaction.
pub(crate) async fn append_on(connection: &mut PgConnection, stream: Uuid, queues: &[&str]) -> Position {
    let payloads = queues.iter().map(|queue| format!(r#"{{"queue": "{queue}",  "priority": 0}}"#));
    append_as(connection, call(stream), "call.queued", payloads.collect()).await
}

/// The stream of a call.
pub(crate) fn call(id: Uuid) -> StreamName {
    StreamName { category: Category::Call, id }
}

/// Appends events of one type with given payloads.
pub(crate) async fn append_as(
    connection: &mut PgConnection,
    stream: StreamName,
    event_type: &str,
    payloads: Vec<String>,
) -> Position {
    let count = payloads.len();
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let occurred: DateTime<Utc> = Utc::now();
    let (verdict, position): (i16, Position) = sqlx::query_as(
        "SELECT verdict, position FROM append_batch(ARRAY[$1], ARRAY[$2], ARRAY[$14], ARRAY[NULL]::bigint[], ARRAY[$3],
             $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
    )
    .bind(Uuid::now_v7().to_string())
    .bind(stream.id)
    .bind(i32::try_from(count).unwrap())
    .bind(vec![1_i32; count])
    .bind((0..count).map(|_| Uuid::now_v7()).collect::<Vec<_>>())
    .bind(vec![event_type; count])
    .bind(vec![1_i16; count])
    .bind(vec![occurred; count])
    .bind(vec!["system:test"; count])
    .bind(vec![stream.id; count])
    .bind((0..count).map(|n| (n % 2 == 0).then_some(stream.id)).collect::<Vec<_>>())
    .bind((0..count).map(|n| (n % 3 == 0).then_some(trace)).collect::<Vec<_>>())
    .bind(payloads)
    .bind(stream.category.as_str())
    .fetch_one(connection)
    .await
    .unwrap();
    assert_eq!(verdict, 0);
    position
}

/// Background work of a test, as one process has it: a tail and projectors.
pub(crate) struct Process {
    pub(crate) tail: Tail,
    pub(crate) progress: Progress,
    pub(crate) tracker: TaskTracker,
    pub(crate) shutdown: CancellationToken,
    pool: PgPool,
}

impl Process {
    /// Follows the table; no projectors yet.
    pub(crate) async fn start(database: &TestDatabase) -> Self {
        Self::fed_by(database, Source::Table { committed: None }).await
    }

    pub(crate) async fn fed_by(database: &TestDatabase, source: Source) -> Self {
        let (tracker, shutdown) = (TaskTracker::new(), CancellationToken::new());
        let pool = database.pool.clone();
        let tail = Tail::start(pool.clone(), source, &tracker, shutdown.clone()).await.unwrap();
        Self { tail, progress: Progress::new(), tracker, shutdown, pool }
    }

    /// Starts a projector.
    pub(crate) fn project(&self, model: Arc<dyn ReadModel>) {
        let (pool, tail) = (self.pool.clone(), self.tail.clone());
        let run = projections::run(pool, tail, vec![model], self.progress.clone(), self.shutdown.clone());
        self.tracker.spawn(run);
    }

    /// Starts a hub that knows of the projectors of this process.
    pub(crate) async fn changes(&self) -> Changes {
        let (pool, shutdown) = (self.pool.clone(), self.shutdown.clone());
        Changes::start(pool, vec!["counts"], Some(&self.progress), &self.tracker, shutdown).await.unwrap()
    }

    /// Waits until a projector of this process has committed up to a position.
    pub(crate) async fn projected(&self, position: Position) {
        let mut progress = self.progress.watch();
        let reached = progress.wait_for(|all| all.get("counts").is_some_and(|at| *at >= position));
        tokio::time::timeout(PATIENCE, reached).await.expect("not projected in time").unwrap();
    }

    /// Ends everything, and sees to it that it does end.
    pub(crate) async fn stop(self) {
        self.shutdown.cancel();
        self.tracker.close();
        tokio::time::timeout(PATIENCE, self.tracker.wait()).await.expect("not all tasks have ended");
    }
}

/// The view must be what its events up to the checkpoint make of it, without those that are parked. Looked at in one
/// snapshot, because others may be projecting.
pub(crate) async fn assert_folded(database: &TestDatabase) -> Position {
    let mut snapshot = projections::Snapshot::begin(&database.pool).await.unwrap();
    let position = snapshot.position("counts").await.unwrap();
    let expected: Vec<(Uuid, i64)> = sqlx::query_as(
        "SELECT stream_id, count(*) FROM events e
         WHERE position <= $1 AND NOT EXISTS (SELECT FROM parked_events p WHERE p.position = e.position)
         GROUP BY 1 ORDER BY 1",
    )
    .bind(position)
    .fetch_all(snapshot.connection())
    .await
    .unwrap();
    let found = counted(snapshot.connection()).await;
    snapshot.end().await.unwrap();
    assert_eq!(found, expected.into_iter().collect::<BTreeMap<_, _>>());
    position
}

/// The rows of the served view.
pub(crate) async fn counts(database: &TestDatabase) -> BTreeMap<Uuid, i64> {
    counted(&mut database.pool.acquire().await.unwrap()).await
}

async fn counted(connection: &mut sqlx::PgConnection) -> BTreeMap<Uuid, i64> {
    let rows: Vec<(Uuid, i64)> =
        sqlx::query_as("SELECT stream_id, events FROM read.counts").fetch_all(connection).await.unwrap();
    rows.into_iter().collect()
}

/// What is parked: positions with their keys, in order.
pub(crate) async fn parked(database: &TestDatabase) -> Vec<(Position, Uuid)> {
    sqlx::query_as("SELECT position, key FROM parked_events WHERE projection = 'counts' ORDER BY position")
        .fetch_all(&database.pool)
        .await
        .unwrap()
}

/// Asks again and again, without waiting for anything but the answer.
pub(crate) async fn until(what: &str, mut question: impl AsyncFnMut() -> bool) {
    let asking = async {
        while !question().await {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, asking).await.unwrap_or_else(|_| panic!("not in time: {what}"));
}
