//! Each client library: query, command, subscription; interrupted, and going on without a gap.

use domain::permission::Role;
use serde_json::json;

use super::World;
use super::interrupted::{Expected, comes_back};

/// A client of WebSockets is sent away by a close code, one of event streams by a status when it comes back.
async fn of(script: &str, sign_ins: u64, socket: bool) {
    let sent_away = if socket { json!({ "closed": 4403 }) } else { json!({ "refused": 401 }) };
    comes_back(World::new(Role::Supervisor).await, script, Expected { sign_ins, sent_away }).await;
}

#[tokio::test]
async fn graphql_ws() {
    of("graphql-ws.mjs", 2, true).await;
}

#[tokio::test]
async fn graphql_sse() {
    of("graphql-sse.mjs", 2, false).await;
}

#[tokio::test]
async fn apollo_over_http_and_websocket() {
    of("apollo.mjs", 4, true).await;
}

#[tokio::test]
async fn urql_over_http_and_websocket() {
    of("urql-ws.mjs", 4, true).await;
}

#[tokio::test]
async fn urql_over_fetch_alone() {
    of("urql-sse.mjs", 2, false).await;
}
