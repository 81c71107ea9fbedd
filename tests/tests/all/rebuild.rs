//! Invariant 7: a rebuild runs beside the served view, is compared, and is switched in one transaction.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use domain::{Category, Position, Recorded};
use projections::metrics::intervals::Tz;
use projections::rebuild::ROUNDS_MAX;
use projections::{
    Change, Comparison, Decoded, Options, Positions, ReadModel, RebuildError, RebuildReport, Snapshot, async_trait,
    read_models, rebuild, rebuild_all,
};
use sqlx::{PgConnection, PgPool};
use tests::TestDatabase;
use tests::faults::postgres::Postgres;
use tokio::sync::Semaphore;
use uuid::Uuid;

use crate::view::{Counts, PATIENCE, Process, append, append_as, assert_folded, counts, parked, until};

async fn rebuilt(database: &TestDatabase, model: &Counts) -> Result<RebuildReport, RebuildError> {
    rebuild(&database.pool, model, Options::default(), &|_| {}).await
}

async fn exists(pool: &PgPool, name: &str) -> bool {
    sqlx::query_scalar("SELECT to_regclass($1) IS NOT NULL").bind(name).fetch_one(pool).await.unwrap()
}

/// What a table is set to, of which only vacuum's is used here.
async fn vacuum_options(pool: &PgPool, table: &str) -> Option<Vec<String>> {
    let query = "SELECT reloptions FROM pg_class WHERE oid = $1::regclass";
    sqlx::query_scalar(query).bind(table).fetch_one(pool).await.unwrap()
}

/// A view with something in it.
async fn projected(database: &TestDatabase, model: &Arc<Counts>) -> (Process, Position) {
    let process = Process::start(database).await;
    process.project(model.clone());
    let mut position = 0;
    for _ in 0..8 {
        position = append(&database.pool, Uuid::now_v7(), &["sales"; 1_000]).await;
    }
    process.projected(position).await;
    (process, position)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_old_view_serves_while_the_new_one_grows_and_every_snapshot_is_whole() {
    let database = TestDatabase::new().await;
    let model = Counts::new();
    let (process, _) = projected(&database, &model).await;
    let stop = Arc::new(AtomicBool::new(false));
    let appending = {
        let (pool, stop) = (database.pool.clone(), Arc::clone(&stop));
        tokio::spawn(async move {
            while !stop.load(Ordering::SeqCst) {
                append(&pool, Uuid::now_v7(), &["sales"; 5]).await;
            }
        })
    };
    let snapshots = Arc::new(AtomicUsize::new(0));
    let reading: Vec<_> = (0..4)
        .map(|_| {
            let (pool, stop, snapshots) = (database.pool.clone(), Arc::clone(&stop), Arc::clone(&snapshots));
            tokio::spawn(async move {
                while !stop.load(Ordering::SeqCst) {
                    let mut snapshot = Snapshot::begin(&pool).await.unwrap();
                    let position = snapshot.position("counts").await.unwrap();
                    let counted: (i64, i64) = sqlx::query_as(
                        "SELECT (SELECT sum(events)::bigint FROM read.counts), (SELECT count(*) FROM read.counted)",
                    )
                    .fetch_one(&mut *snapshot)
                    .await
                    .unwrap();
                    assert_eq!(counted, (position, position), "rows of a snapshot do not fit its position");
                    snapshot.end().await.unwrap();
                    snapshots.fetch_add(1, Ordering::SeqCst);
                }
            })
        })
        .collect();
    for _ in 0..5 {
        let before = snapshots.load(Ordering::SeqCst);
        let report = rebuilt(&database, &model).await.unwrap();
        assert!(matches!(report.comparison, Comparison::Equal { at } if at <= report.position), "{report:?}");
        assert!(report.position >= 8_000 && report.tables[1].1 >= 8_000, "{report:?}");
        assert!(snapshots.load(Ordering::SeqCst) > before, "nobody could read during the rebuild");
    }
    stop.store(true, Ordering::SeqCst);
    appending.await.unwrap();
    for reader in reading {
        reader.await.unwrap();
    }
    let position = append(&database.pool, Uuid::now_v7(), &["sales"]).await;
    process.projected(position).await;
    process.stop().await;
    assert_eq!(assert_folded(&database).await, position);
    assert_eq!(parked(&database).await, []);
}

#[tokio::test]
async fn tables_that_were_dropped_are_made_again_under_a_running_projector() {
    let database = TestDatabase::new().await;
    let model = Counts::new();
    let (process, _) = projected(&database, &model).await;
    sqlx::query("DROP TABLE read.counts").execute(&database.pool).await.unwrap();
    append(&database.pool, Uuid::now_v7(), &["sales"]).await;
    // The projector, beginning anew, may have made it before us; then there is a view to compare with.
    let mended = match rebuilt(&database, &model).await {
        Ok(report) => match report.comparison {
            Comparison::TablesMissing(tables) => tables == ["counts"],
            other => matches!(other, Comparison::Equal { .. }),
        },
        Err(error) => matches!(error, RebuildError::AlreadyRunning { .. }),
    };
    assert!(mended);
    let position = append(&database.pool, Uuid::now_v7(), &["sales"]).await;
    process.projected(position).await;
    process.stop().await;
    assert_eq!(assert_folded(&database).await, position);
}

#[tokio::test]
async fn a_view_that_was_never_made_or_lost_its_tables_is_made_without_a_projector() {
    let database = TestDatabase::new().await;
    let model = Counts::new();
    append(&database.pool, Uuid::now_v7(), &["sales"; 10]).await;
    let report = rebuilt(&database, &model).await.unwrap();
    assert_eq!((&report.comparison, report.position), (&Comparison::NothingStored, 10));
    sqlx::raw_sql("DROP TABLE read.counts; DROP TABLE read.counted").execute(&database.pool).await.unwrap();
    let report = rebuilt(&database, &model).await.unwrap();
    assert_eq!(report.comparison, Comparison::TablesMissing(vec!["counts", "counted"]));
    assert_eq!((report.tables, assert_folded(&database).await), (vec![("counts", 1), ("counted", 10)], 10));
    let report = rebuilt(&database, &Counts::of_version(2)).await.unwrap();
    assert_eq!(report.comparison, Comparison::OtherVersion(1));
}

#[tokio::test]
async fn a_view_that_was_tampered_with_is_not_replaced_unasked() {
    let database = TestDatabase::new().await;
    let model = Counts::new();
    let (process, position) = projected(&database, &model).await;
    sqlx::query("UPDATE read.counts SET events = 7").execute(&database.pool).await.unwrap();
    let refused = rebuilt(&database, &model).await.unwrap_err();
    match &refused {
        RebuildError::Differs { at, tables, schema, .. } => {
            assert_eq!((*at, tables.as_slice(), schema.as_str()), (position, &["counts"][..], "rebuild_counts"));
        }
        other => panic!("{other:?}"),
    }
    assert!(refused.to_string().contains("counts"));
    // The served view goes on as it is, and the right one can be looked at.
    let right: i64 = sqlx::query_scalar("SELECT sum(events)::bigint FROM rebuild_counts.counts")
        .fetch_one(&database.pool)
        .await
        .unwrap();
    assert_eq!((right, counts(&database).await.values().sum::<i64>()), (8_000, 56));
    let alone = vacuum_options(&database.pool, "rebuild_counts.counts").await;
    assert_eq!(alone, Some(vec!["autovacuum_enabled=false".to_owned()]), "automatic vacuum may be in the way");
    let position = append(&database.pool, Uuid::now_v7(), &["sales"]).await;
    process.projected(position).await;

    let options = Options { accept_difference: true };
    let report = rebuild(&database.pool, model.as_ref(), options, &|_| {}).await.unwrap();
    assert_eq!(report.comparison, Comparison::Accepted { at: position, tables: vec!["counts"] });
    assert!(!exists(&database.pool, "rebuild_counts.counts").await);
    let position = append(&database.pool, Uuid::now_v7(), &["sales"]).await;
    process.projected(position).await;
    process.stop().await;
    assert_eq!(assert_folded(&database).await, position);
}

#[tokio::test]
async fn a_second_rebuild_is_refused_and_a_killed_one_leaves_nothing_behind() {
    let database = TestDatabase::new().await;
    let (process, position) = projected(&database, &Counts::new()).await;
    let gate = Arc::new(Semaphore::new(1));
    let slow = {
        let (pool, model) = (database.pool.clone(), Counts::gated(Arc::clone(&gate)));
        tokio::spawn(async move { rebuild(&pool, model.as_ref(), Options::default(), &|_| {}).await })
    };
    // One batch is folded, the next one waits.
    until("the rebuild is under way", || async { gate.available_permits() == 0 }).await;
    let second = rebuilt(&database, &Counts::new()).await;
    assert!(matches!(second, Err(RebuildError::AlreadyRunning { projection: "counts" })), "{second:?}");
    slow.abort();
    assert!(slow.await.unwrap_err().is_cancelled());
    // The lock goes with the connection, a moment later.
    until("the next rebuild", || async {
        match rebuilt(&database, &Counts::new()).await {
            Ok(report) => report.comparison == Comparison::Equal { at: position },
            Err(RebuildError::AlreadyRunning { .. }) => false,
            Err(error) => panic!("{error:?}"),
        }
    })
    .await;
    assert!(!exists(&database.pool, "rebuild_counts.counts").await);
    process.stop().await;
    assert_eq!(assert_folded(&database).await, position);
}

#[tokio::test]
async fn a_rebuild_parks_for_itself_and_tells_nobody() {
    let database = TestDatabase::new().await;
    let model = Counts::new();
    let (process, _) = projected(&database, &model).await;
    let sick = Uuid::now_v7();
    let position = append(&database.pool, sick, &["sales", "poison", "sales"]).await;
    process.projected(position).await;
    assert_eq!(parked(&database).await, [(8_002, sick), (8_003, sick)]);
    let changes = || async {
        let told = "SELECT count(*), max(position) FROM changes";
        sqlx::query_as::<_, (i64, Position)>(told).fetch_one(&database.pool).await.unwrap()
    };
    let before = changes().await;

    // The same fault: the same view, the same events parked.
    let report = rebuilt(&database, &Counts::new()).await.unwrap();
    assert_eq!((report.comparison, report.parked_events), (Comparison::Equal { at: position }, 2));
    assert_eq!(parked(&database).await, [(8_002, sick), (8_003, sick)]);

    // Mended: another view, accepted; nothing is parked any more, and the projector knows.
    model.mend();
    assert!(matches!(rebuilt(&database, &model).await, Err(RebuildError::Differs { .. })));
    let options = Options { accept_difference: true };
    let report = rebuild(&database.pool, model.as_ref(), options, &|_| {}).await.unwrap();
    assert_eq!(report.parked_events, 0);
    assert_eq!((changes().await, parked(&database).await), (before, vec![]));
    let position = append(&database.pool, sick, &["sales"]).await;
    process.projected(position).await;
    process.stop().await;
    assert_eq!((parked(&database).await, counts(&database).await[&sick]), (vec![], 4));
    assert_eq!(assert_folded(&database).await, position);
}

#[tokio::test]
async fn a_switch_waits_for_open_snapshots_and_lets_others_read_meanwhile() {
    let database = TestDatabase::new().await;
    let model = Counts::new();
    let (process, position) = projected(&database, &model).await;
    let mut open = Snapshot::begin(&database.pool).await.unwrap();
    let switching = {
        let (pool, model) = (database.pool.clone(), model.clone());
        tokio::spawn(async move { rebuild(&pool, model.as_ref(), Options::default(), &|_| {}).await })
    };
    let waits = async || {
        sqlx::query_scalar(
            "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock')",
        )
        .fetch_one(&database.pool)
        .await
        .unwrap()
    };
    until("the switch is waiting", waits).await;
    // Comes through although the switch stands before it in the queue: the switch steps back after a moment.
    let mut late = Snapshot::begin(&database.pool).await.unwrap();
    for snapshot in [&mut open, &mut late] {
        let rows: i64 =
            sqlx::query_scalar("SELECT sum(events)::bigint FROM read.counts").fetch_one(&mut **snapshot).await.unwrap();
        assert_eq!(rows, position);
    }
    // The view goes on between two tries, and what was folded in a try that failed is folded again.
    let position = append(&database.pool, Uuid::now_v7(), &["sales"; 100]).await;
    process.projected(position).await;
    until("the switch is waiting with more to fold", waits).await;
    until("the switch has stepped back", async || !waits().await).await;
    assert!(!switching.is_finished());
    open.end().await.unwrap();
    late.end().await.unwrap();
    assert_eq!(switching.await.unwrap().unwrap().position, position);
    process.stop().await;
    assert_eq!(assert_folded(&database).await, position);
}

#[tokio::test]
async fn a_switch_takes_the_served_tables_from_automatic_vacuum() {
    let server = Postgres::start().await;
    let database = TestDatabase::on(&Postgres::url(server.address, "postgres")).await;
    sqlx::query("ALTER SYSTEM SET autovacuum_naptime = '1s'").execute(&database.pool).await.unwrap();
    sqlx::query("SELECT pg_reload_conf()").execute(&database.pool).await.unwrap();
    let model = Counts::new();
    let (process, position) = projected(&database, &model).await;
    // Dead rows for three minutes of work at this pace; all tries to switch take one.
    let slow = "ALTER TABLE read.counted SET (autovacuum_vacuum_threshold = 1, autovacuum_vacuum_scale_factor = 0,
                                              autovacuum_vacuum_cost_delay = 100, autovacuum_vacuum_cost_limit = 1)";
    let dead = "BEGIN; INSERT INTO read.counted SELECT generate_series(-400000, -1); ROLLBACK";
    for statements in [slow, dead] {
        sqlx::raw_sql(statements).execute(&database.pool).await.unwrap();
    }
    until("automatic vacuum is at it", async || {
        let query = "SELECT EXISTS (SELECT FROM pg_stat_progress_vacuum WHERE relid = 'read.counted'::regclass)";
        sqlx::query_scalar(query).fetch_one(&database.pool).await.unwrap()
    })
    .await;
    let report = rebuilt(&database, &model).await.unwrap();
    assert_eq!((report.comparison, report.position), (Comparison::Equal { at: position }, position));
    // What serves now is vacuumed as any table is.
    assert_eq!(vacuum_options(&database.pool, "read.counted").await, None);
    process.stop().await;
    assert_eq!(assert_folded(&database).await, position);
}

/// Whatever it folds, more is appended.
struct Outrun(Arc<Counts>, PgPool);

#[async_trait]
impl ReadModel for Outrun {
    fn name(&self) -> &'static str {
        self.0.name()
    }

    fn version(&self) -> i32 {
        self.0.version()
    }

    fn tables(&self) -> &'static [&'static str] {
        self.0.tables()
    }

    fn ddl(&self) -> &'static str {
        self.0.ddl()
    }

    async fn apply(&self, connection: &mut PgConnection, events: &[&Decoded]) -> Result<Vec<Change>, sqlx::Error> {
        append(&self.1, Uuid::now_v7(), &vec!["sales"; events.len() + 1]).await;
        self.0.apply(connection, events).await
    }
}

#[tokio::test]
async fn a_rebuild_that_its_log_outruns_says_so() {
    let database = TestDatabase::new().await;
    append(&database.pool, Uuid::now_v7(), &["sales"; 1_500]).await;
    let model = Outrun(Counts::new(), database.pool.clone());
    let outrun = rebuild(&database.pool, &model, Options::default(), &|_| {}).await.unwrap_err();
    assert!(
        matches!(outrun, RebuildError::Outrun { projection: "counts", behind: 1_501.., rounds: ROUNDS_MAX }),
        "{outrun:?}"
    );
    // Once nobody appends so fast, it is done.
    let report = rebuilt(&database, &model.0).await.unwrap();
    assert_eq!((report.comparison, assert_folded(&database).await), (Comparison::NothingStored, report.position));
}

#[tokio::test]
async fn views_that_are_rebuilt_together_are_what_each_is_alone() {
    let database = TestDatabase::new().await;
    let (process, position) = projected(&database, &Counts::new()).await;
    let models: Vec<Arc<dyn ReadModel>> = vec![Counts::new(), Arc::new(projections::models::calls::Calls)];
    let mut reports = rebuild_all(&database.pool, &models, Options::default(), &|_, _| {}).await.into_iter();
    let (counts, calls) = (reports.next().unwrap().unwrap(), reports.next().unwrap().unwrap());
    assert_eq!((counts.projection, counts.comparison), ("counts", Comparison::Equal { at: position }));
    assert_eq!((calls.projection, calls.comparison), ("calls", Comparison::NothingStored));
    // One that refuses does not keep the others from it.
    sqlx::query("UPDATE read.counts SET events = 7").execute(&database.pool).await.unwrap();
    let mut reports = rebuild_all(&database.pool, &models, Options::default(), &|_, _| {}).await.into_iter();
    assert!(matches!(reports.next().unwrap(), Err(RebuildError::Differs { .. })));
    assert_eq!(reports.next().unwrap().unwrap().comparison, Comparison::Equal { at: position });
    process.stop().await;
}

#[tokio::test]
async fn every_view_that_is_served_can_be_rebuilt_to_what_it_is() {
    let database = TestDatabase::new().await;
    let mut connection = database.pool.acquire().await.unwrap();
    let mut position = 0;
    for category in Category::ALL {
        let path = format!("{}/../domain/golden/{category}.jsonl", env!("CARGO_MANIFEST_DIR"));
        for line in std::fs::read_to_string(path).unwrap().lines() {
            let event: Recorded = serde_json::from_str(line).unwrap();
            let payload = vec![event.payload.get().to_owned()];
            position = append_as(&mut connection, event.stream, &event.event_type, payload).await;
        }
    }
    drop(connection);
    let models = read_models(Tz::UTC);
    let process = Process::start(&database).await;
    models.iter().for_each(|model| process.project(Arc::clone(model)));
    let everywhere = |all: &Positions| models.iter().all(|model| all.get(model.name()) == Some(&position));
    let mut progress = process.progress.watch();
    tokio::time::timeout(PATIENCE, progress.wait_for(everywhere)).await.unwrap().unwrap();
    for model in &models {
        let report = rebuild(&database.pool, model.as_ref(), Options::default(), &|_| {}).await.unwrap();
        assert_eq!(report.comparison, Comparison::Equal { at: position }, "{}", model.name());
    }
    let parked: Vec<(String, Position, String)> =
        sqlx::query_as("SELECT projection, position, error FROM parked_events")
            .fetch_all(&database.pool)
            .await
            .unwrap();
    assert_eq!(parked, []);
    process.stop().await;
}
