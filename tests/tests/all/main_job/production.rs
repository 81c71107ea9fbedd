//! The program as it is run where strangers can reach it: its own importer works, and they learn and reach nothing.

use domain::permission::Role;
use serde_json::{Value, json};
use tests::{Client, Refusal};

use super::{World, conversations, stored};
use crate::view::until;

const TRUSTED: &str = "query Mine { viewer { role } }";

#[tokio::test]
async fn trusted_documents_limits_and_codes_are_set_on_the_command_line() {
    let world = World::new().await;
    let manifest = world.path("persisted-documents.json");
    std::fs::write(&manifest, json!({ "mine": TRUSTED }).to_string()).unwrap();
    conversations::short(&world.path("conversations"));
    let said: usize = conversations::sentences(world.path("conversations").as_ref()).iter().map(Vec::len).sum();
    let said = i64::try_from(said).unwrap();
    let path = world.path("conversations");
    let voice = world
        .served(
            &["--production", "--import", &path, "--speed", "40", "--gap-s", "2", "--limit", "batch=2,aliases=1"],
            &[
                ("VOICE_TRUSTED_DOCUMENTS", &manifest),
                ("VOICE_STATUS_CODES", "draft"),
                ("VOICE_ALLOWED_ORIGINS", "https://desk.example.com"),
            ],
        )
        .await;
    // The importer is no administrator: each of its documents is trusted, or this would never come.
    until("everything was said", async || stored::segments(&world.database.pool).await == said).await;
    assert!(voice.output().iter().all(|line| !line.contains("/graphiql")), "{:?}", voice.output());
    assert!(!voice.log().contains("the import failed"), "{}", voice.log());

    let address = voice.address().await;
    let administrator = world.client().await;
    let role = async |client: &Client, body: Value| -> (u16, Value) {
        let response = client.post().json(&body).send().await.unwrap();
        (response.status().as_u16(), response.json().await.unwrap())
    };
    let expected = json!({ "data": { "viewer": { "role": Role::Admin.as_str() } } });
    assert_eq!(role(&administrator, json!({ "documentId": "mine" })).await, (200, expected));
    let nobody = Client::new(address, None);
    let (status, answer) = role(&nobody, json!({ "query": "{ __typename }" })).await;
    assert_eq!((status, Refusal::of(&answer).code.as_str()), (403, "DOCUMENT_NOT_TRUSTED"));
    let (status, answer) = role(&administrator, json!({ "query": "{ __schema { types { name } } }" })).await;
    assert_eq!((status, Refusal::of(&answer).code.as_str()), (403, "INTROSPECTION_DISABLED"));
    let (status, answer) = role(&administrator, json!({ "query": "{ a: __typename b: __typename }" })).await;
    assert_eq!((status, Refusal::of(&answer).words()), (422, ("COMPLEXITY_LIMIT", "ALIASES")));
    let (status, answer) = role(&administrator, json!([{}, {}, {}])).await;
    assert_eq!((status, Refusal::of(&answer).words()), (400, ("COMPLEXITY_LIMIT", "BATCH")));
    let page = reqwest::Client::new().get(format!("http://{address}/health/live"));
    assert_eq!(page.send().await.unwrap().status(), 200);
    assert!(voice.terminate().await.success());
}
