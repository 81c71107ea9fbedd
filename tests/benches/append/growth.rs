//! What an append costs in a log that holds many events already.
//!
//! The log is filled as a year of calls would fill it: stream after stream, each with [`EVENTS_OF_STREAM`] events, with keys
//! in the order of time. Payloads are `{}`, so that filling takes minutes and not half an hour: what grows with the log and
//! could slow an append down are the indexes, and they hold no payload. All events are in one partition, the largest there
//! can be. Appends go to new streams, as calls do.

use std::time::{Duration, Instant};

use commands::Database;

use crate::load::{Way, World, database};

/// Events that each stream of the log has.
const EVENTS_OF_STREAM: u64 = 200;
/// Events in one partition: more than a log of this benchmark has.
const PARTITION_SIZE: i64 = 100_000_000;

/// A store on a log that is full of events.
pub struct Filled {
    /// The store.
    pub world: World,
    /// Events it began with.
    pub events: u64,
}

impl Filled {
    /// Fills a log.
    pub async fn new(events: u64) -> Self {
        let began = Instant::now();
        let database = database().await;
        fill(&database.pool, events).await;
        eprintln!("{events} events filled in: {:.0} s", began.elapsed().as_secs_f64());
        Self { world: World::on(database).await, events }
    }

    /// Microseconds for each event of many writers.
    pub async fn costs(&mut self, lasts: Duration) -> f64 {
        self.world.fresh_streams();
        1e6 / self.world.appends(Way::Append, lasts).await
    }
}

/// Indexes come last, as in a restored dump.
async fn fill(pool: &Database, events: u64) {
    let log = format!(
        "DROP TABLE events_p0 CASCADE;
         UPDATE event_log SET partition_size = {PARTITION_SIZE};
         SELECT ensure_event_partition(1);
         ALTER TABLE events_p0 DROP CONSTRAINT events_p0_position;
         DROP INDEX events_p0_stream;
         ALTER TABLE append_keys DROP CONSTRAINT append_keys_key;
         CREATE FUNCTION old_stream(n bigint) RETURNS uuid IMMUTABLE LANGUAGE sql AS $$
             SELECT ('01900000-' || lpad(to_hex((n - 1) / {EVENTS_OF_STREAM} / 65536), 4, '0') || '-7000-8000-'
                     || lpad(to_hex((n - 1) / {EVENTS_OF_STREAM}), 12, '0'))::uuid $$"
    );
    sqlx::raw_sql(sqlx::AssertSqlSafe(log)).execute(pool).await.unwrap();
    let of_events = format!(
        "INSERT INTO events_p0 SELECT n, gen_random_uuid(), old_stream(n), 'transcript', (n - 1) % {EVENTS_OF_STREAM} + 1,
             'transcript.segment_added', 1, now(), now(), 'system:bench', old_stream(n), NULL, NULL, '{{}}'
         FROM generate_series(1, {events}) AS n;
         SET maintenance_work_mem = '512MB';
         ALTER TABLE events_p0 ADD CONSTRAINT events_p0_position PRIMARY KEY (position);
         CREATE UNIQUE INDEX events_p0_stream ON events_p0 (stream_id, category, version)"
    );
    let of_keys = format!(
        "INSERT INTO append_keys SELECT '01900000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'), old_stream(n), 'transcript',
             (n - 1) % {EVENTS_OF_STREAM} + 1, n FROM generate_series(1, {events}) AS n;
         SET maintenance_work_mem = '512MB';
         ALTER TABLE append_keys ADD CONSTRAINT append_keys_key PRIMARY KEY (key);
         INSERT INTO stream_partitions SELECT old_stream(n), 'transcript', 0, 0
         FROM generate_series(1, {events}, {EVENTS_OF_STREAM}) AS n;
         UPDATE event_log SET position = {events}"
    );
    tokio::join!(run(pool, of_events), run(pool, of_keys));
    // What autovacuum would do in its own time, and in the middle of the measurement.
    run(pool, "VACUUM (FREEZE, ANALYZE) events_p0".to_owned()).await;
    run(pool, "VACUUM (FREEZE, ANALYZE) append_keys".to_owned()).await;
    run(pool, "CHECKPOINT".to_owned()).await;
}

async fn run(pool: &Database, statements: String) {
    let mut connection = pool.acquire().await.unwrap().detach();
    sqlx::raw_sql(sqlx::AssertSqlSafe(statements)).execute(&mut connection).await.unwrap();
}
