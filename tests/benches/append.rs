//! What an append costs, against what the same PostgreSQL can do at best, in one run.
//!
//! `DATABASE_URL=... cargo bench -p tests --bench append` prints a Markdown table: medians of several runs, ratios to the
//! ceiling measured between them. Figures differ from machine to machine; ratios are what counts.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, missing_docs, reason = "a benchmark")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use commands::event_store::{Append, EventStore, Expected, NewEvent};
use domain::{Actor, Category, StreamName};
use tests::TestDatabase;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

const RUNS: usize = 5;
const RUN_LASTS: Duration = Duration::from_secs(3);
const WRITERS: usize = 256;
const STREAMS: usize = 10_000;
/// Rows of one ceiling transaction.
const CEILING_ROWS: i64 = 1_000;

/// A transcript segment of about 300 bytes.
fn payload() -> String {
    let text = "i would like to know why my card was refused at the shop yesterday although there was money on it, and \
                whether you could please send me another one to my new address as soon as possible";
    format!(
        r#"{{"sequence":17,"speaker":"customer","begin_ms":61230,"end_ms":67110,"text":"{text}","confidence":0.93,"model":"nova-3"}}"#
    )
}

fn event(stream: StreamName) -> NewEvent {
    NewEvent {
        id: Uuid::now_v7(),
        event_type: "transcript.segment_added",
        schema_version: 1,
        occurred_at: chrono::Utc::now(),
        actor: Actor::system("bench"),
        correlation_id: stream.id,
        causation_id: None,
        trace: None,
        payload: payload(),
    }
}

/// Single-event appends a second by many writers, each waiting for its answer, with expected version and key.
async fn appends(store: &EventStore, streams: &Arc<Vec<StreamName>>) -> f64 {
    let count = Arc::new(AtomicUsize::new(0));
    let began = Instant::now();
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let (store, streams, count) = (store.clone(), Arc::clone(streams), Arc::clone(&count));
            tokio::spawn(async move {
                // Each writer has streams of its own, so that versions are known without asking.
                let own: Vec<StreamName> = streams.iter().skip(writer).step_by(WRITERS).copied().collect();
                let mut versions = Vec::with_capacity(own.len());
                for stream in &own {
                    versions.push(store.version(*stream).await.unwrap());
                }
                let mut turn = 0;
                while began.elapsed() < RUN_LASTS {
                    let index = turn % own.len();
                    let append = Append {
                        key: Uuid::now_v7().to_string(),
                        stream: own[index],
                        expected: Expected::Exact(versions[index]),
                        events: vec![event(own[index])],
                    };
                    versions[index] = store.append(append).await.unwrap().version;
                    count.fetch_add(1, Ordering::Relaxed);
                    turn += 1;
                }
            })
        })
        .collect();
    for writer in writers {
        writer.await.unwrap();
    }
    rate(count.load(Ordering::Relaxed), began)
}

/// Rows a second of plain multi-row inserts into a table with the same columns and indexes, one connection.
async fn ceiling(database: &TestDatabase) -> f64 {
    let mut connection = database.pool.acquire().await.unwrap();
    let (mut rows, began) = (0_i64, Instant::now());
    while began.elapsed() < RUN_LASTS {
        sqlx::query(
            "INSERT INTO ceiling SELECT (SELECT coalesce(max(position), 0) FROM ceiling) + n, gen_random_uuid(),
                 gen_random_uuid(), 'transcript', n, 'transcript.segment_added', 1, now(), now(), 'system:bench',
                 gen_random_uuid(), NULL, NULL, p::json
             FROM unnest($1::bigint[], $2::text[]) AS r (n, p)",
        )
        .bind((1..=CEILING_ROWS).collect::<Vec<_>>())
        .bind(vec![payload(); usize::try_from(CEILING_ROWS).unwrap()])
        .execute(&mut *connection)
        .await
        .unwrap();
        rows += CEILING_ROWS;
    }
    rate(usize::try_from(rows).unwrap(), began)
}

/// Median time of one append by one writer, in microseconds.
async fn lone_append(store: &EventStore) -> f64 {
    let stream = StreamName { category: Category::Transcript, id: Uuid::now_v7() };
    let mut times = Vec::new();
    for version in 0..2_000 {
        let append = Append {
            key: Uuid::now_v7().to_string(),
            stream,
            expected: Expected::Exact(version),
            events: vec![event(stream)],
        };
        let began = Instant::now();
        store.append(append).await.unwrap();
        times.push(began.elapsed().as_secs_f64() * 1e6);
    }
    median(times)
}

/// Median time of a prepared one-row insert with commit, in microseconds.
async fn lone_insert(database: &TestDatabase) -> f64 {
    let mut connection = database.pool.acquire().await.unwrap();
    let payload = payload();
    let mut times = Vec::new();
    for position in 0..2_000_i64 {
        let began = Instant::now();
        sqlx::query(
            "INSERT INTO ceiling_one VALUES ($1, $2, $3, 'transcript', 1, 'transcript.segment_added', 1, now(), now(),
                 'system:bench', $3, NULL, NULL, $4::json)",
        )
        .bind(position)
        .bind(Uuid::now_v7())
        .bind(Uuid::now_v7())
        .bind(&payload)
        .execute(&mut *connection)
        .await
        .unwrap();
        times.push(began.elapsed().as_secs_f64() * 1e6);
    }
    sqlx::query("TRUNCATE ceiling_one").execute(&mut *connection).await.unwrap();
    median(times)
}

fn rate(count: usize, began: Instant) -> f64 {
    f64::from(u32::try_from(count).unwrap()) / began.elapsed().as_secs_f64()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

#[tokio::main]
async fn main() {
    // `cargo test --benches` only wants to know that it builds.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let database = TestDatabase::new().await;
    for table in ["ceiling", "ceiling_one"] {
        let like = format!(
            "CREATE TABLE {table} (LIKE events); ALTER TABLE {table} ADD PRIMARY KEY (position);
             CREATE UNIQUE INDEX ON {table} (stream_id, category, version)"
        );
        sqlx::raw_sql(sqlx::AssertSqlSafe(like)).execute(&database.pool).await.unwrap();
    }
    let (tracker, shutdown) = (TaskTracker::new(), CancellationToken::new());
    let store = EventStore::start(database.pool.clone(), &tracker, shutdown.clone()).await.unwrap();
    let id = |_| StreamName { category: Category::Transcript, id: Uuid::now_v7() };
    let streams = Arc::new((0..STREAMS).map(id).collect::<Vec<_>>());
    let (mut many, mut best, mut lone, mut raw) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for _ in 0..RUNS {
        best.push(ceiling(&database).await);
        many.push(appends(&store, &streams).await);
        raw.push(lone_insert(&database).await);
        lone.push(lone_append(&store).await);
    }
    let (many, best, lone, raw) = (median(many), median(best), median(lone), median(raw));
    println!("| what | here | ceiling in the same run | ratio |");
    println!("|---|---|---|---|");
    println!(
        "| single-event appends, {WRITERS} writers, {STREAMS} streams | {many:.0}/s | {best:.0} rows/s, {CEILING_ROWS} a transaction | {:.2} |",
        many / best
    );
    println!(
        "| the same, one writer, p50 | {lone:.0} us | {raw:.0} us, one-row insert with commit | {:.2} |",
        lone / raw
    );
    shutdown.cancel();
    tracker.close();
    tracker.wait().await;
}
