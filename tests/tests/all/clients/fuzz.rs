//! Schemathesis against the whole schema: whatever is asked, the answer is data of the promised shape or an error with one of
//! our codes, and never an internal one. What it checks is in `tests/clients/fuzz/hooks.py`.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use api::Limits;
use domain::permission::Role;
use serde_json::{Value, json};
use tests::script::clients;
use tests::{Client, Script, TestDatabase, TestServer};
use uuid::Uuid;

/// Documents for each field of the roots.
const EXAMPLES: usize = 15;
const SEED: &str = "20261123";
const ENDS_WITHIN: Duration = Duration::from_secs(300);

fn python() -> PathBuf {
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let home = std::env::var_os("HOME").map(PathBuf::from).unwrap();
    cache.unwrap_or_else(|| home.join(".cache")).join("voice/python/bin")
}

/// A call, an agent and a user that are there, so that not everything is about what is not.
async fn known(server: &TestServer, admin: &Client) -> Vec<String> {
    let (call_id, agent_id) = (Uuid::now_v7(), Uuid::now_v7());
    let user = server.user(Role::Agent, Some(agent_id), &[]).await;
    admin.accepted("registerAgent", json!({ "agentId": agent_id, "name": "Ann", "team": "red" })).await;
    let numbers = json!({ "callId": call_id, "direction": "INBOUND", "from": "+14155552671", "to": "+14155550100" });
    admin.accepted("initiateCall", numbers).await;
    let said =
        json!({ "callId": call_id, "speaker": "CUSTOMER", "beginMs": 0, "endMs": 500, "text": "great", "model": "m" });
    let position = admin.accepted("addTranscriptSegment", said).await;
    assert!(position >= 3);
    [call_id, agent_id, user.id].map(|id| id.to_string()).to_vec()
}

/// Fields of the query and the mutation type.
async fn operations(admin: &Client) -> BTreeSet<String> {
    let document = "{ __schema { queryType { name fields { name } } mutationType { name fields { name } } } }";
    let data = admin.query(document, json!({})).await;
    let of = |root: &str| {
        let root = data["__schema"][root].clone();
        let name = root["name"].as_str().unwrap().to_owned();
        let fields = root["fields"].as_array().unwrap().clone();
        fields.into_iter().map(move |field| format!("{name}.{}", field["name"].as_str().unwrap())).collect::<Vec<_>>()
    };
    of("queryType").into_iter().chain(of("mutationType")).collect()
}

#[tokio::test]
async fn no_document_of_the_schema_gets_an_answer_that_was_not_promised() {
    let database = TestDatabase::new().await;
    // What is tested are the answers, not how many of them one viewer may have.
    let limits = Limits { points_per_minute: u32::MAX, points_burst: u32::MAX, ..Limits::default() };
    let server = TestServer::start_with(&database, limits).await;
    let admin = server.signed_in(Role::Admin).await;
    let ids = known(&server, &admin).await.join(",");
    let directory = tempfile::tempdir().unwrap();
    let (schema, tally) = (directory.path().join("schema.graphql"), directory.path().join("tally.jsonl"));
    std::fs::write(&schema, api::schema_sdl()).unwrap();

    let mut command = Command::new(python().join("st"));
    command.arg("run").arg(&schema).args(["--url", &format!("http://{}/graphql", server.address)]);
    command.args(["--header", &format!("Authorization: Bearer {}", admin.token().unwrap())]);
    command.args(["--phases", "fuzzing", "--mode", "all", "--seed", SEED, "--checks", "answers_as_promised"]);
    command.args(["--max-examples", &EXAMPLES.to_string(), "--no-color", "--generation-database", "none"]);
    let hooks = clients().join("fuzz/hooks.py");
    let environment = [
        ("SCHEMATHESIS_HOOKS", hooks.to_str().unwrap()),
        // Each run stands for itself and leaves nothing behind.
        ("PYTHONDONTWRITEBYTECODE", "1"),
        ("VOICE_FUZZ_IDS", &ids),
        ("VOICE_FUZZ_SCHEMA", schema.to_str().unwrap()),
        ("VOICE_FUZZ_TALLY", tally.to_str().unwrap()),
    ];
    Script::spawn("schemathesis".to_owned(), command, &environment).succeeded(ENDS_WITHIN).await;

    let cases: Vec<Value> =
        std::fs::read_to_string(&tally).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let asked: BTreeSet<String> = cases.iter().map(|case| case["operation"].as_str().unwrap().to_owned()).collect();
    assert_eq!(asked, operations(&admin).await, "every field of the roots was asked for");
    assert!(cases.len() >= asked.len() * EXAMPLES / 2, "{} cases", cases.len());
    let answered: BTreeSet<&str> =
        cases.iter().filter(|case| case["data"] == true).map(|case| case["operation"].as_str().unwrap()).collect();
    assert!(answered.len() * 2 > asked.len(), "too many were only refused: answered are {answered:?}");
    server.stop().await;
}
