//! Where the time goes between an append and the moment at which those who watch are told.

use std::time::Instant;

use chrono_tz::Tz;
use commands::event_store::EventStore;
use domain::Position;
use projections::{Changes, Positions, Progress, Source, Tail, read_models};
use tests::TestDatabase;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use crate::latency::append;
use crate::support::Extent;
use crate::support::statistics::median;
use crate::support::table::Row;

const MODEL: &str = "transcripts";

/// Medians of each stage, alone on the machine.
pub async fn measure(extent: Extent) -> Vec<Row> {
    let database = TestDatabase::new().await;
    let (tracker, shutdown) = (TaskTracker::new(), CancellationToken::new());
    let pool = database.pool.clone();
    let store = EventStore::start(pool.clone(), &tracker, shutdown.clone()).await.expect("a store");
    let source = Source::Table { committed: Some(store.committed()) };
    let tail = Tail::start(pool.clone(), source, &tracker, shutdown.clone()).await.expect("a log");
    let (models, progress) = (read_models(Tz::UTC), Progress::new());
    let names: Vec<&str> = models.iter().map(|model| model.name()).collect();
    let (count, mut projected, mut fed) = (names.len(), progress.watch(), tail.watch());
    let changes =
        Changes::start(pool.clone(), names, Some(&progress), &tracker, shutdown.clone()).await.expect("a hub");
    tracker.spawn(projections::run(pool, tail, models, progress, shutdown.clone()));
    drop(projected.wait_for(|all| all.len() == count).await.expect("projectors"));
    // Somebody watches, so the hub has to find out what changed.
    let _watching = changes.subscribe();
    let mut told = changes.watch();

    let (stream, mut stages) = (Uuid::now_v7(), [const { Vec::new() }; 4]);
    for version in 0..extent.pick(1_000, 100) {
        let began = Instant::now();
        let since = |began: Instant| began.elapsed().as_secs_f64() * 1e3;
        let position = append(&store, stream, version).await;
        stages[0].push(since(began));
        drop(fed.wait_for(|head| *head >= position).await.expect("a feed"));
        stages[1].push(since(began));
        at(&mut projected, position).await;
        stages[2].push(since(began));
        at(&mut told, position).await;
        stages[3].push(since(began));
    }
    shutdown.cancel();
    tracker.close();
    tracker.wait().await;
    let [appended, fed, projected, told] = stages.map(|times| median(&times));
    let words = format!(
        "append {appended:.2} ms, + feed {:.2}, + read model {:.2}, + hub {:.2}",
        fed - appended,
        projected - fed,
        told - projected
    );
    vec![Row::new("the way of a lone segment to those who watch, medians", words)]
}

async fn at(positions: &mut watch::Receiver<Positions>, position: Position) {
    let reached = positions.wait_for(|all| all.get(MODEL).is_some_and(|at| *at >= position));
    drop(reached.await.expect("progress"));
}
