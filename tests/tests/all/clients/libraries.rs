//! Each client library: query, command, subscription; interrupted, and going on without a gap.

use std::path::Path;

use api::{Limits, Policy, TrustedDocuments};
use domain::permission::Role;
use serde_json::{Map, Value, json};
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
async fn compiled_for_relay(directory: &Path, persist: Option<&Path>) -> String {
    let (schema, artefacts) = (directory.join("schema.graphql"), directory.join("artefacts"));
    std::fs::write(&schema, api::schema_sdl()).unwrap();
    std::fs::create_dir(&artefacts).unwrap();
    let mut config = json!({
        "src": tests::script::clients().join("relay"), "schema": schema, "artifactDirectory": artefacts,
        "language": "javascript", "excludes": []
    });
    if let Some(manifest) = persist {
        std::fs::write(manifest, "{}").unwrap();
        config["persistConfig"] = json!({ "file": manifest, "algorithm": "SHA256" });
    }
    let named = directory.join("relay.config.json");
    std::fs::write(&named, config.to_string()).unwrap();
    let compiler = Script::start(&installed("relay-compiler"), &[named], &[]);
    compiler.succeeded(RELAY_COMPILER_WITHIN).await;
    artefacts.display().to_string()
}

async fn of_relay(mut world: World, artefacts: String) {
    world.environment.push(("VOICE_ARTEFACTS", artefacts));
    let sent_away = json!({ "closed": 4403 });
    comes_back(world, "relay.mjs", Expected { sign_ins: 4, sent_away }).await;
}

#[tokio::test]
async fn relay_over_http_and_websocket() {
    let directory = tempfile::tempdir().unwrap();
    let artefacts = compiled_for_relay(directory.path(), None).await;
    of_relay(World::new(Role::Supervisor).await, artefacts).await;
}

/// In production: the compiler's manifest names all that is executed, and the runtime sends ids alone.
#[tokio::test]
async fn relay_by_the_ids_of_trusted_documents() {
    let directory = tempfile::tempdir().unwrap();
    let manifest = directory.path().join("persisted.json");
    let artefacts = compiled_for_relay(directory.path(), Some(&manifest)).await;
    let mut documents: Map<String, Value> = serde_json::from_str(&std::fs::read_to_string(manifest).unwrap()).unwrap();
    assert_eq!(documents.len(), 4, "{documents:?}");
    // The same as in session.mjs, for those who sign in.
    let sign_in = "mutation ($input: LoginInput!) { login(input: $input) { accessToken } }";
    documents.insert("sign-in".to_owned(), sign_in.into());
    let trusted = TrustedDocuments::read(&Value::Object(documents).to_string(), &Limits::default()).unwrap();
    let policy = Policy { trusted: Some(trusted), ..Policy::default() };
    of_relay(World::under(policy, Role::Supervisor).await, artefacts).await;
}
