//! What README tells people to write, run as it stands.

use std::path::{Path, PathBuf};
use std::process::Command;

use domain::permission::Role;
use serde_json::{Value, json};
use tests::Script;
use tests::script::{clients, installed};
use uuid::Uuid;

use super::World;

/// The block that follows a mark.
fn snippet(client: &str) -> String {
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md");
    let readme = std::fs::read_to_string(readme).unwrap();
    let mark = format!("<!-- client: {client} -->\n");
    let (_, marked) = readme.split_once(&mark).unwrap_or_else(|| panic!("README has no {mark}"));
    let (_, block) = marked.split_once('\n').unwrap();
    block.split_once("\n```").unwrap().0.to_owned()
}

/// Snippets beside the packages that they import.
fn written(directory: &Path, client: &str) -> PathBuf {
    std::fs::create_dir_all(directory).unwrap();
    let path = directory.join(format!("{client}.mjs"));
    std::fs::write(&path, snippet(client)).unwrap();
    path
}

/// Runs a command that watches events, until it has told of one.
async fn tells(name: &str, command: Command, is_event: impl Fn(&Value) -> bool) {
    let world = World::new(Role::Supervisor).await;
    let client = world.server.sign_in(&world.user).await;
    let url = format!("http://{}/graphql", world.server.address);
    let environment = [("VOICE_URL", url.as_str()), ("VOICE_TOKEN", client.token().unwrap())];
    let script = Script::spawn(name.to_owned(), command, &environment);
    // It watches from some moment on: there is something to see until it has seen it.
    let appending = async {
        loop {
            let numbers = json!({ "callId": Uuid::now_v7(), "direction": "INBOUND", "from": "+14155552671", "to": "+14155550100" });
            world.other.accepted("initiateCall", numbers).await;
        }
    };
    tokio::select! {
        () = script.wait_for("an event", |lines| lines.iter().any(&is_event).then_some(())) => {}
        () = appending => {}
    }
    drop(script);
    world.end().await;
}

async fn runs(client: &str) {
    let directory = clients().join(".snippets").join(client);
    written(&directory, "socket");
    let mut command = Command::new(installed("node"));
    command.arg(written(&directory, client));
    let is_event = |line: &Value| line["type"] == "call.initiated" && line["position"].is_i64();
    tells(client, command, is_event).await;
    std::fs::remove_dir_all(directory).unwrap();
}

#[tokio::test]
async fn graphql_ws() {
    runs("graphql-ws").await;
}

#[tokio::test]
async fn apollo() {
    runs("apollo").await;
}

#[tokio::test]
async fn urql() {
    runs("urql").await;
}

#[tokio::test]
async fn relay() {
    runs("relay").await;
}

#[tokio::test]
async fn graphql_sse() {
    runs("graphql-sse").await;
}

#[tokio::test]
async fn curl() {
    let mut command = Command::new("sh");
    // The lines of data, of everything that it shows.
    command.arg("-c").arg(format!("{} | sed -un 's/^data: //p'", snippet("curl")));
    let is_event = |line: &Value| line["data"]["events"]["event"]["type"] == "call.initiated";
    tells("curl", command, is_event).await;
}
