//! What fails on the server's side: clients learn what to do about it, and nothing of what the server is made of.

use std::time::Duration;

use api::Limits;
use serde_json::json;
use tests::{Command, Refusal};
use uuid::Uuid;

use super::{Bounded, posted};

/// Words of the machinery, none of which may be in an answer.
const MACHINERY: [&str; 9] =
    ["relation \\\"", "does not exist", "read.calls", "SELECT", "sqlx", "postgres", "projections", "panicked", ".rs"];

#[tokio::test]
async fn a_database_that_fails_is_told_by_an_id_alone() {
    let bounded = Bounded::new(Limits::default()).await;
    sqlx::query("ALTER TABLE read.calls RENAME TO gone").execute(&bounded.database.pool).await.unwrap();
    for document in [
        "{ calls(first: 1) { nodes { callId } } }",
        "{ call(callId: \"00000000-0000-4000-8000-000000000000\") { state } }",
    ] {
        let (_, _, answer) = posted(&bounded.client, &json!({ "query": document })).await;
        assert_eq!(Refusal::of(&answer).code, "INTERNAL_SERVER_ERROR", "{answer}");
        let id = answer["errors"][0]["extensions"]["correlationId"].as_str().unwrap();
        assert!(Uuid::parse_str(id).is_ok(), "{id}");
        let told = answer.to_string();
        let leaked: Vec<_> = MACHINERY.iter().filter(|word| told.contains(**word)).collect();
        assert!(leaked.is_empty(), "{leaked:?} in {told}");
    }
    // What needs nothing of it is answered as ever.
    assert_eq!(bounded.client.query("{ viewer { role } }", json!({})).await["viewer"]["role"], "SUPERVISOR");
    bounded.server.stop().await;
}

#[tokio::test]
async fn a_command_that_takes_too_long_can_be_sent_again_and_is_done_once() {
    let bounded = Bounded::new(Limits { execution_time: Duration::from_secs(2), ..Limits::default() }).await;
    // Nobody gets past the counter of positions, so nothing can be committed.
    let mut holding = bounded.database.pool.begin().await.unwrap();
    sqlx::query("SELECT FROM event_log FOR UPDATE").execute(&mut *holding).await.unwrap();
    let call_id = Uuid::now_v7();
    let input = json!({ "callId": call_id, "commandId": Uuid::now_v7(), "direction": "INBOUND",
        "from": "+14155552671", "to": "+14155550100" });
    let refusal = bounded.client.command_refused("initiateCall", input.clone()).await;
    assert_eq!(refusal.code, "OPERATION_TIMEOUT");
    assert!(refusal.message.contains("command"), "it says what to do: {}", refusal.message);
    holding.rollback().await.unwrap();

    let Command::Accepted { version, .. } = bounded.client.command("initiateCall", input).await else {
        panic!("not accepted")
    };
    assert_eq!(version, 1);
    let stored: i64 = sqlx::query_scalar("SELECT count(*) FROM events WHERE stream_id = $1")
        .bind(call_id)
        .fetch_one(&bounded.database.pool)
        .await
        .unwrap();
    assert_eq!(stored, 1, "once, although it was sent twice");
    bounded.server.stop().await;
}
