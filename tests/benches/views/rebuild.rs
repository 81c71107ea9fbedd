//! Making views anew from all events, while the old ones are served.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use chrono_tz::Tz;
use domain::Position;
use projections::{Comparison, Options, Phases, Progress, ReadModel, Snapshot, Source, Tail, read_models, rebuild_all};
use sqlx::PgPool;
use tests::TestDatabase;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::ceiling::{copy_out, micros};
use crate::log;
use crate::support::Extent;
use crate::support::statistics::{float, median, rate, ratio};
use crate::support::table::{Row, Target};

const MODELS: [&str; 3] = ["calls", "transcripts", "dashboard"];
/// A reader of the served views looks this often.
const LOOK: Duration = Duration::from_millis(20);

pub async fn measure(database: &TestDatabase, extent: Extent) -> Vec<Row> {
    let events = log::conversations(&database.pool, extent).await;
    let models: Vec<Arc<dyn ReadModel>> =
        read_models(Tz::UTC).into_iter().filter(|model| MODELS.contains(&model.name())).collect();
    let (tracker, shutdown) = (TaskTracker::new(), CancellationToken::new());
    let source = Source::Table { committed: None };
    let tail = Tail::start(database.pool.clone(), source, &tracker, shutdown.clone()).await.expect("a log");
    let progress = Progress::new();
    let mut projected = progress.watch();
    tracker.spawn(projections::run(database.pool.clone(), tail, models.clone(), progress, shutdown.clone()));
    let ready = projected.wait_for(|all| models.iter().all(|model| all.get(model.name()) == Some(&events)));
    drop(ready.await.expect("projectors"));

    let (mut ours, mut best, mut looks, mut phases) = (Vec::new(), Vec::new(), 0, Vec::new());
    let runs = extent.runs();
    // Only warms up; the projectors have just done that for our side.
    copy_out(&database.pool, events).await;
    for _ in 0..runs {
        best.push(copy_out(&database.pool, events).await);
        let (rebuilt, looked) = rebuilt(&database.pool, &models, events, &mut phases).await;
        ours.push(rebuilt);
        looks += looked;
    }
    shutdown.cancel();
    tracker.close();
    tracker.wait().await;
    let words = |rates: &[f64]| format!("{:.0} events/s", median(rates));
    let what = format!(
        "rebuild {} from {events} events, {} of {} of them segments; compared and switched in, while the old views were read {:.0} times",
        MODELS.join(", "),
        log::SEGMENTS,
        log::CONVERSATION,
        float(looks) / float(u64::try_from(runs).expect("a count")),
    );
    let row = Row::new(what, words(&ours))
        .against(format!("{}, binary COPY out", words(&best)), ratio(&ours, &best))
        .target(Target::AtLeast(0.25));
    std::iter::once(row).chain(MODELS.map(|model| of_phases(model, &phases))).collect()
}

/// Where the time of a model went, as medians.
fn of_phases(model: &str, phases: &[(&str, Phases)]) -> Row {
    let of = |phase: fn(&Phases) -> Duration| {
        let times = phases.iter().filter(|(name, _)| *name == model).map(|(_, all)| phase(all).as_secs_f64());
        median(&times.collect::<Vec<_>>())
    };
    let (load, index) = (of(|all| all.load), of(|all| all.index));
    let (compare, switch) = (of(|all| all.compare), of(|all| all.switch));
    let words = format!("load {load:.2} s, indexes {index:.2} s, comparison {compare:.2} s, switch {switch:.2} s");
    Row::new(format!("of which {model}"), words)
}

/// Events a second, and how often the old views were read meanwhile.
async fn rebuilt(
    pool: &PgPool,
    models: &[Arc<dyn ReadModel>],
    events: Position,
    phases: &mut Vec<(&'static str, Phases)>,
) -> (f64, u64) {
    let (done, looks) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let reader = tokio::spawn(look(pool.clone(), events, Arc::clone(&done), Arc::clone(&looks)));
    let began = Instant::now();
    let reports = rebuild_all(pool, models, Options::default(), &|_, _| {}).await;
    let took = micros(began);
    done.store(true, Ordering::Relaxed);
    reader.await.expect("the reader");
    for report in reports {
        let report = report.expect("a rebuild");
        assert_eq!(report.comparison, Comparison::Equal { at: events }, "{}", report.projection);
        phases.push((report.projection, report.phases));
    }
    (rate(u64::try_from(events).expect("a count"), took), looks.load(Ordering::Relaxed))
}

/// Reads all views, each time in one snapshot and whole.
async fn look(pool: PgPool, events: Position, done: Arc<AtomicBool>, looks: Arc<AtomicU64>) {
    while !done.load(Ordering::Relaxed) {
        let mut snapshot = Snapshot::begin(&pool).await.expect("a snapshot");
        for model in MODELS {
            assert_eq!(snapshot.position(model).await.expect("a position"), events);
        }
        let newest =
            "SELECT (SELECT count(*) FROM (SELECT FROM read.transcripts ORDER BY call_id DESC, sequence LIMIT 10) s),
                             (SELECT count(*) FROM (SELECT FROM read.calls ORDER BY position DESC LIMIT 10) c)";
        let found: (i64, i64) = sqlx::query_as(newest).fetch_one(snapshot.connection()).await.expect("rows");
        assert_eq!(found, (10, 10));
        snapshot.end().await.expect("the end of a snapshot");
        looks.fetch_add(1, Ordering::Relaxed);
        tokio::time::sleep(LOOK).await;
    }
}
