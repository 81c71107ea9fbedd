//! Only the documents of a manifest are executed, on every transport.

use api::{Limits, Policy, TrustedDocuments};
use domain::permission::Role;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tests::Refusal;
use tests::graphql::Pushed;

use super::{GRAPHQL, JSON, World, told};

const WHO: &str = "query Who { viewer { role } }";
const WATCH: &str = "subscription Watch { dashboard { cursor } }";
/// As test clients send it.
const SIGN_IN: &str = "mutation ($input: LoginInput!) { login(input: $input) { accessToken } }";
const OTHER: &str = "{ __typename }";

fn sha256(text: &str) -> String {
    Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn apq(hash: &str) -> Value {
    json!({ "persistedQuery": { "version": 1, "sha256Hash": hash } })
}

/// As GraphQL Code Generator writes it, beside a document under an id of another kind.
fn policy() -> Policy {
    let manifest = json!({ sha256(WHO): WHO, "watch-1": WATCH, "sign-in": SIGN_IN }).to_string();
    Policy { trusted: Some(TrustedDocuments::read(&manifest, &Limits::default()).unwrap()), ..Policy::default() }
}

#[tokio::test]
async fn a_trusted_document_is_meant_by_every_name_it_has() {
    let world = World::new(policy()).await;
    let hash = sha256(WHO);
    let expected = json!({ "data": { "viewer": { "role": "SUPERVISOR" } } });
    for request in [
        json!({ "query": WHO }),
        json!({ "documentId": hash }),
        json!({ "documentId": format!("sha256:{hash}") }),
        json!({ "documentId": format!("sha256:{hash}"), "query": WHO, "operationName": "Who" }),
        json!({ "extensions": apq(&hash) }),
        json!({ "extensions": apq(&hash), "query": WHO }),
    ] {
        assert_eq!(world.posted(GRAPHQL, &request).await, (200, expected.clone()), "{request}");
    }
    let by_get = world.client.get(&[("documentId", &format!("sha256:{hash}"))]).send().await.unwrap();
    assert_eq!(told(by_get).await, (200, expected));
    // By an id of the manifest, as an event stream.
    let stream = world.client.post().header("accept", "text/event-stream").json(&json!({ "documentId": "watch-1" }));
    let mut stream = stream.send().await.unwrap();
    let first = String::from_utf8(stream.chunk().await.unwrap().unwrap().to_vec()).unwrap();
    assert!(first.contains("\"cursor\""), "{first}");
    drop(stream);
    let mut socket = world.client.socket().await;
    let payload = json!({ "documentId": "watch-1" });
    socket.say(&json!({ "type": "subscribe", "id": "1", "payload": payload })).await;
    assert!(socket.next().await["dashboard"]["cursor"].is_string());
    world.server.stop().await;
}

#[tokio::test]
async fn nothing_else_is_executed_except_for_administrators() {
    let world = World::new(policy()).await;
    let refused = async |request: Value, status: u16, code: &str| {
        let (got, answer) = world.posted(GRAPHQL, &request).await;
        assert_eq!((got, Refusal::of(&answer).code.as_str()), (status, code), "{request}");
        assert!(answer.get("data").is_none());
    };
    refused(json!({ "query": OTHER }), 403, "DOCUMENT_NOT_TRUSTED").await;
    refused(json!({ "query": format!("{WHO} ") }), 403, "DOCUMENT_NOT_TRUSTED").await;
    refused(json!({ "query": "{ nothing" }), 403, "DOCUMENT_NOT_TRUSTED").await;
    refused(json!({ "query": OTHER, "extensions": apq(&sha256(OTHER)) }), 403, "DOCUMENT_NOT_TRUSTED").await;
    refused(json!({ "query": OTHER, "documentId": sha256(WHO) }), 400, "PERSISTED_QUERY_HASH_MISMATCH").await;
    refused(json!({ "query": WHO, "documentId": "watch-1" }), 400, "PERSISTED_QUERY_HASH_MISMATCH").await;
    refused(json!({ "documentId": 1 }), 400, "BAD_REQUEST").await;

    let administrator = world.server.signed_in(Role::Admin).await;
    assert_eq!(administrator.query(OTHER, json!({})).await["__typename"], "Query");
    // What an administrator had executed is not trusted thereby.
    let (_, answer) = world.posted(JSON, &json!({ "documentId": sha256(OTHER) })).await;
    assert_eq!(Refusal::of(&answer).code, "PERSISTED_QUERY_NOT_FOUND");
    let (_, answer) = world.posted(JSON, &json!([{ "query": OTHER }, { "query": WHO }])).await;
    assert_eq!(answer[0]["errors"][0]["extensions"]["code"], "DOCUMENT_NOT_TRUSTED");
    assert_eq!(answer[1]["data"]["viewer"]["role"], "SUPERVISOR");

    let mut socket = world.client.socket().await;
    socket.begin("subscription { dashboard { cursor } }", json!({})).await;
    match socket.message().await {
        Pushed::Error(errors) => assert_eq!(errors[0]["extensions"]["code"], "DOCUMENT_NOT_TRUSTED"),
        other => panic!("{other:?}"),
    }
    // The product's own document needs no trust.
    let feed = format!("http://{}/events/dashboard", world.server.address);
    let feed = reqwest::Client::new().get(feed).bearer_auth(world.client.token().unwrap()).send().await.unwrap();
    assert_eq!(feed.status(), 200);
    drop(feed);
    world.server.stop().await;
}
