//! F19 and F20: events that a read model can't take. Their key waits; nobody else does.

use chrono::Utc;
use chrono_tz::Tz;
use commands::EventStore;
use commands::event_store::{Append, Expected, NewEvent};
use domain::{Actor, Category, Position, StreamName};
use projections::{read_models, retry_parked};
use sqlx::AssertSqlSafe;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use super::{Cluster, projected, until};

const MODEL: &str = "calls";

/// Positions that are parked for a key, by read model.
async fn parked(cluster: &Cluster, key: Uuid) -> Vec<(String, i64)> {
    let parked = "SELECT projection, position FROM parked_events WHERE key = $1 ORDER BY 1, 2";
    sqlx::query_as(parked).bind(key).fetch_all(&cluster.pool).await.expect("the database")
}

pub(super) async fn refused_by_a_table(cluster: &mut Cluster) {
    let call = Uuid::now_v7();
    let refuse = format!(
        "CREATE OR REPLACE FUNCTION refuse_call() RETURNS trigger LANGUAGE plpgsql AS
             $$ BEGIN RAISE EXCEPTION 'not this one'; END $$;
         CREATE TRIGGER refuse_call BEFORE INSERT OR UPDATE ON read.calls FOR EACH ROW
             WHEN (NEW.call_id = '{call}') EXECUTE FUNCTION refuse_call()"
    );
    sqlx::raw_sql(AssertSqlSafe(refuse)).execute(&cluster.pool).await.expect("a trigger");
    cluster.load.call(call).await;
    cluster.load.more(10).await;
    let head = cluster.head().await;
    projected(&cluster.pool, head).await;
    let waiting = parked(cluster, call).await;
    assert!(!waiting.is_empty() && waiting.iter().all(|(model, _)| model == MODEL), "{waiting:?}");
    sqlx::raw_sql("DROP FUNCTION refuse_call CASCADE").execute(&cluster.pool).await.expect("no trigger");

    let models = read_models(Tz::UTC);
    let model = models.iter().find(|model| model.name() == MODEL).expect("the read model");
    let retried = retry_parked(&cluster.pool, model.as_ref(), call).await.expect("the database");
    assert_eq!((retried.folded, retried.stopped_at), (waiting.len(), None));
    until("nothing of the call is parked", async || parked(cluster, call).await.is_empty().then_some(())).await;
}

pub(super) async fn of_the_future(cluster: &mut Cluster) {
    let (tracker, shutdown) = (TaskTracker::new(), CancellationToken::new());
    let store = EventStore::start(cluster.pool.clone(), &tracker, shutdown.clone()).await.expect("the event store");
    // A type that this program does not know, and one that has got another shape since.
    let teleported = append(&store, ("call.teleported", 7), r#"{"planet": "Mars"}"#).await;
    let queued = append(&store, ("call.queued", 2), r#"{"queue": "sales", "priority": 0}"#).await;
    shutdown.cancel();
    tracker.close();
    tracker.wait().await;
    cluster.load.more(5).await;
    let head = cluster.head().await;
    projected(&cluster.pool, head).await;
    // Declared so: what can't be read is parked by every model, for its own key, until a newer program comes.
    for (call, position) in [teleported, queued] {
        let waiting = parked(cluster, call).await;
        assert_eq!(waiting.len(), read_models(Tz::UTC).len(), "{waiting:?}");
        assert!(waiting.iter().all(|(_, at)| *at == position), "{waiting:?}");
    }
}

/// Appends an event of this type and schema version to a call of its own; the call and where the event is.
async fn append(store: &EventStore, schema: (&'static str, i16), payload: &str) -> (Uuid, Position) {
    let call = Uuid::now_v7();
    let event = NewEvent {
        id: Uuid::now_v7(),
        event_type: schema.0,
        schema_version: schema.1,
        occurred_at: Utc::now(),
        actor: Actor::system("faults"),
        correlation_id: call,
        causation_id: None,
        trace: None,
        payload: payload.to_owned(),
    };
    let append = Append {
        key: format!("future:{call}"),
        stream: StreamName { category: Category::Call, id: call },
        expected: Expected::Exact(0),
        events: vec![event],
    };
    (call, store.append(append).await.expect("an append").position)
}
