//! Subscriptions that catch up leave connections to those who ask and give commands.

use std::str::FromStr;

use api::Limits;
use domain::permission::Role;
use serde_json::json;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use tests::{TestDatabase, TestServer};
use uuid::Uuid;

use super::{initiate, segment};

/// Connections of what requests read: so few that one page may be read at a time.
const CONNECTIONS: u32 = 4;
const READERS: &str = "readers of requests";
const SUBSCRIPTIONS: usize = 12;

#[tokio::test]
async fn pages_that_take_long_keep_nobody_else_waiting() {
    let database = TestDatabase::new().await;
    let options = PgConnectOptions::from_str(&database.url).unwrap().application_name(READERS);
    let readers = PgPoolOptions::new().max_connections(CONNECTIONS).connect_with(options).await.unwrap();
    let server = TestServer::start_reading_by(&database, readers, Limits::default()).await;
    let boss = server.signed_in(Role::Supervisor).await;
    let mut calls = Vec::new();
    for _ in 0..SUBSCRIPTIONS {
        let call_id = Uuid::now_v7();
        boss.accepted("initiateCall", initiate(call_id)).await;
        boss.accepted("addTranscriptSegment", segment(call_id, 0, "Hello?")).await;
        calls.push(call_id);
    }

    let mut lock = database.pool.begin().await.unwrap();
    sqlx::query("LOCK TABLE read.transcripts IN ACCESS EXCLUSIVE MODE").execute(&mut *lock).await.unwrap();
    let mut subscriptions = Vec::new();
    for call_id in &calls {
        let document = "subscription ($id: UUID!) { transcript(callId: $id) { segment { text } } }";
        subscriptions.push(boss.subscribe(document, json!({ "id": call_id })).await);
    }
    let waiting = "SELECT count(*) FROM pg_stat_activity WHERE application_name = $1 AND wait_event_type = 'Lock'";
    let waiting = async || sqlx::query_scalar::<_, i64>(waiting).bind(READERS).fetch_one(&database.pool).await.unwrap();
    crate::view::until("a page is being read", async || waiting().await > 0).await;

    // Each of them looks up who asks, and reads.
    for _ in 0..SUBSCRIPTIONS {
        boss.query("{ viewer { role } calls(first: 1) { nodes { callId } } }", json!({})).await;
    }
    boss.accepted("initiateCall", initiate(Uuid::now_v7())).await;
    assert_eq!(waiting().await, i64::from(CONNECTIONS) / 4);

    lock.rollback().await.unwrap();
    for subscription in &mut subscriptions {
        assert_eq!(subscription.next().await["transcript"]["segment"]["text"], "Hello?");
    }
    server.stop().await;
}
