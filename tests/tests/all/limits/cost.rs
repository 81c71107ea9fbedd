//! Points and time.

use std::time::Duration;

use api::Limits;
use domain::permission::Role;
use serde_json::json;
use tests::Refusal;
use tests::graphql::Pushed;

use super::{Bounded, posted};

/// Costs 1 for each field.
const THREE: &str = "{ a: viewer { email name } }";
const FOUR: &str = "{ a: viewer { email name role } }";

#[tokio::test]
async fn an_operation_costs_no_more_than_allowed() {
    let bounded = Bounded::new(Limits { complexity: 3, ..Limits::default() }).await;
    bounded.bounds(THREE, FOUR, "COST").await;
    // Of several operations, the one that is meant counts.
    let both =
        json!({ "query": "query A { viewer { email name } } query B { viewer { name email } }", "operationName": "A" });
    let (status, _, answer) = posted(&bounded.client, &both).await;
    assert_eq!((status, answer["errors"].is_null()), (200, true), "{answer}");
    bounded.server.stop().await;
}

#[tokio::test]
async fn each_viewer_has_points_of_its_own() {
    let limits = Limits { points_per_minute: 1, points_burst: 20, complexity: 15, ..Limits::default() };
    let bounded = Bounded::new(limits).await;
    // The sign-in was paid by the address.
    let client = &bounded.client;
    for _ in 0..5 {
        client.query(FOUR, json!({})).await;
    }
    let (status, headers, answer) = posted(client, &json!({ "query": "{ __typename }" })).await;
    assert_eq!(status, 429, "{answer}");
    assert_eq!(Refusal::of(&answer).code, "RATE_LIMITED");
    let retry_after: u64 = headers["retry-after"].to_str().unwrap().parse().unwrap();
    let retry_after_ms = answer["errors"][0]["extensions"]["retryAfterMs"].as_u64().unwrap();
    assert!((1..=61).contains(&retry_after), "{retry_after}");
    assert!(retry_after_ms <= 60_001 && retry_after_ms.div_ceil(1_000) <= retry_after, "{retry_after_ms}");
    // As application/json, and by the other way in.
    assert_eq!(client.refused("{ __typename }", json!({})).await.code, "RATE_LIMITED");
    let mut socket = client.subscribe("subscription { dashboard { cursor } }", json!({})).await;
    match socket.message().await {
        Pushed::Error(errors) => assert_eq!(Refusal::of(&json!({ "errors": errors })).code, "RATE_LIMITED"),
        other => panic!("{other:?}"),
    }
    // What can't even be read costs, too; and somebody else has lost nothing.
    let other = bounded.server.signed_in(Role::Supervisor).await;
    for _ in 0..20 {
        assert_eq!(other.refused("{", json!({})).await.code, "GRAPHQL_PARSE_FAILED");
    }
    assert_eq!(other.refused("{", json!({})).await.code, "RATE_LIMITED");
    bounded.server.stop().await;
}

#[tokio::test]
async fn who_takes_too_long_is_told() {
    let bounded = Bounded::new(Limits { execution_time: Duration::from_secs(2), ..Limits::default() }).await;
    // It waits for a place that the log has not reached.
    let waits = json!({ "query": "{ calls(atLeast: 9007199254740991) { nodes { state } } }" });
    let (status, _, answer) = posted(&bounded.client, &waits).await;
    assert_eq!((status, Refusal::of(&answer).code.as_str()), (504, "OPERATION_TIMEOUT"));
    assert!(answer.get("data").is_none());
    assert_eq!(bounded.client.query("{ __typename }", json!({})).await["__typename"], "Query");
    bounded.server.stop().await;
}
