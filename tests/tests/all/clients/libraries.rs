//! Each client library: query, command, subscription; interrupted, and going on without a gap.

use domain::permission::Role;
use serde_json::json;
use tests::Script;
use tests::script::installed;

use super::interrupted::{Expected, comes_back};
use super::{RELAY_COMPILER_WITHIN, World};

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

/// Its client has no way of coming back by itself; what the transport says reaches it as such, and not as a broken line.
#[tokio::test]
async fn apollo_over_multipart_http() {
    let sent_away = json!({ "transport": "UNAUTHENTICATED" });
    let world = World::new(Role::Supervisor).await;
    comes_back(world, "apollo-multipart.mjs", Expected { sign_ins: 2, sent_away }).await;
}

#[tokio::test]
async fn urql_over_http_and_websocket() {
    of("urql-ws.mjs", 4, true).await;
}

#[tokio::test]
async fn urql_over_fetch_alone() {
    of("urql-sse.mjs", 2, false).await;
}

/// Relay's compiler takes the whole schema, by Relay's own rules, and makes the artefacts that its runtime executes.
#[tokio::test]
async fn relay_over_http_and_websocket() {
    let directory = tempfile::tempdir().unwrap();
    let (schema, artefacts) = (directory.path().join("schema.graphql"), directory.path().join("artefacts"));
    std::fs::write(&schema, api::schema_sdl()).unwrap();
    std::fs::create_dir(&artefacts).unwrap();
    let config = json!({
        "src": tests::script::clients().join("relay"), "schema": schema, "artifactDirectory": artefacts,
        "language": "javascript", "excludes": []
    });
    let named = directory.path().join("relay.config.json");
    std::fs::write(&named, config.to_string()).unwrap();
    let compiler = Script::start(&installed("relay-compiler"), &[named], &[]);
    compiler.succeeded(RELAY_COMPILER_WITHIN).await;
    let mut world = World::new(Role::Supervisor).await;
    world.environment.push(("VOICE_ARTEFACTS", artefacts.display().to_string()));
    let sent_away = json!({ "closed": 4403 });
    comes_back(world, "relay.mjs", Expected { sign_ins: 4, sent_away }).await;
}
