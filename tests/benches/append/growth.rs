//! What an append costs in a log that holds many events already.
//!
//! A log is filled as a year of calls would fill it: stream after stream, each with [`EVENTS_OF_STREAM`] events, with keys
//! in the order of time. Payloads are `{}`, so that filling takes a minute and not a quarter of an hour: what grows with the
//! log and could slow an append down are the indexes, and they hold no payload. All events are in one partition, the largest
//! there can be. Appends go to new streams, as calls do.
//!
//! What an append costs varies by a fifth from one second to the next, with the server's checkpoints and with the machine, and
//! by more over a minute. So logs take turns of a second, several in each run.

use std::time::{Duration, Instant};

use commands::Database;

use crate::load::{WRITERS, Way, World, database};
use crate::plot;
use crate::support::Extent;
use crate::support::statistics::{median, ratio};
use crate::support::table::{Row, Target};

/// Events that each stream of the log has.
const EVENTS_OF_STREAM: u64 = 200;
/// Events in one partition: more than a log of this benchmark has.
const PARTITION_SIZE: i64 = 100_000_000;
/// Turns of each log in a run.
const TURNS: usize = 3;

/// Logs of many events, against one of few. That one is made anew for each run: after a few it would be one of many. It is kept
/// until the end, because dropping it would leave the next one with free buffers, and the others with none.
pub async fn rows(extent: Extent) -> Vec<Row> {
    let lasts = Duration::from_millis(extent.pick(1_000, 300));
    let sizes = extent.pick([100_000, 1_000_000, 10_000_000], [10_000, 20_000, 40_000]);
    let [few, some, many] = sizes;
    let (mut small, mut large) = (Vec::new(), vec![filled(some).await, filled(many).await]);
    let mut costs = sizes.map(|_| Vec::new());
    for run in 0..=extent.runs() {
        let mut newest = filled(few).await;
        let found = in_turns(std::iter::once(&mut newest).chain(&mut large).collect(), lasts).await;
        small.push(newest);
        // The first one only warms up.
        if run > 0 {
            costs.iter_mut().zip(found).for_each(|(costs, cost)| costs.push(cost));
        }
    }
    for log in small.into_iter().chain(large) {
        log.end().await;
    }
    if extent == Extent::Full {
        let points = sizes.iter().zip(&costs).map(|(events, costs)| (*events as f64, median(costs))).collect();
        let title = format!("Cost of an append, {WRITERS} writers");
        plot::draw("append-cost.svg", &title, ("events in the log", "microseconds an event"), &[("cost", points)]);
    }
    let [in_few, _, in_many] = &costs;
    let what = format!("an append into a log of {many} events, {WRITERS} writers; of {few} events");
    let row = Row::new(what, format!("{:.1} us", median(in_many)))
        .against(format!("{:.1} us", median(in_few)), ratio(in_many, in_few))
        .target(Target::AtMost(1.15));
    vec![row]
}

/// Microseconds for each event of each log: of [`TURNS`] turns, the mean.
async fn in_turns(mut logs: Vec<&mut World>, lasts: Duration) -> Vec<f64> {
    let mut costs = vec![0.0; logs.len()];
    for _ in 0..TURNS {
        for (log, cost) in logs.iter_mut().zip(&mut costs) {
            log.fresh_streams();
            *cost += 1e6 / log.appends(Way::Append, lasts).await / TURNS as f64;
        }
    }
    costs
}

/// A store on a log that is full of events.
async fn filled(events: u64) -> World {
    let began = Instant::now();
    let database = database().await;
    fill(&database.pool, events).await;
    eprintln!("{events} events filled in: {:.0} s", began.elapsed().as_secs_f64());
    World::on(database).await
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
         CREATE TABLE old_streams AS
         SELECT ('01900000-' || lpad(to_hex(n / 65536), 4, '0') || '-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid AS id,
                n * {EVENTS_OF_STREAM} AS before
           FROM generate_series(0::bigint, {last}) AS n",
        last = events / EVENTS_OF_STREAM - 1
    );
    sqlx::raw_sql(sqlx::AssertSqlSafe(log)).execute(pool).await.unwrap();
    // The identity of an event is in no index: a stream's will do.
    let of_events = format!(
        "INSERT INTO events_p0 SELECT position, id, id, 'transcript', position - before,
             'transcript.segment_added', 1, now(), now(), 'system:bench', id, NULL, NULL, '{{}}'
         FROM old_streams CROSS JOIN LATERAL generate_series(before + 1, before + {EVENTS_OF_STREAM}) AS position;
         ALTER TABLE events_p0 ADD CONSTRAINT events_p0_position PRIMARY KEY (position);
         CREATE UNIQUE INDEX events_p0_stream ON events_p0 (stream_id, category, version)"
    );
    let of_keys = format!(
        "INSERT INTO append_keys SELECT '01900000-0000-7000-8000-' || lpad(to_hex(position), 12, '0'), id,
             'transcript', position - before, position
         FROM old_streams CROSS JOIN LATERAL generate_series(before + 1, before + {EVENTS_OF_STREAM}) AS position;
         ALTER TABLE append_keys ADD CONSTRAINT append_keys_key PRIMARY KEY (key);
         INSERT INTO stream_partitions SELECT id, 'transcript', 0, 0 FROM old_streams;
         UPDATE event_log SET position = {events}"
    );
    tokio::join!(fill_table(pool, "events_p0", of_events), fill_table(pool, "append_keys", of_keys));
    sqlx::raw_sql("CHECKPOINT").execute(pool).await.unwrap();
}

async fn fill_table(pool: &Database, table: &str, statements: String) {
    // Autovacuum would come in its own time, and in the middle of the measurement.
    let statements = format!(
        "SET maintenance_work_mem = '512MB';
         ALTER TABLE {table} SET (autovacuum_enabled = false);
         {statements};
         ANALYZE {table}"
    );
    let mut connection = pool.acquire().await.unwrap().detach();
    sqlx::raw_sql(sqlx::AssertSqlSafe(statements)).execute(&mut connection).await.unwrap();
}
