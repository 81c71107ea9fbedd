//! Automatic persisted queries, as Apollo's clients send them.

use api::Limits;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tests::Refusal;
use tests::graphql::Pushed;

use super::{Bounded, posted};

const TYPE: &str = "query Type { __typename }";

fn sha256_hex(text: &str) -> String {
    Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn by_hash(hash: &str) -> Value {
    json!({ "persistedQuery": { "version": 1, "sha256Hash": hash } })
}

#[tokio::test]
async fn a_document_is_sent_once_and_then_by_its_hash() {
    let bounded = Bounded::new(Limits::default()).await;
    let client = &bounded.client;
    let hash = sha256_hex(TYPE);
    let (status, headers, answer) = posted(client, &json!({ "extensions": by_hash(&hash) })).await;
    assert_eq!((status, headers["cache-control"].to_str().unwrap()), (200, "private, no-cache"));
    assert_eq!(answer["errors"][0]["message"], "PersistedQueryNotFound");
    assert_eq!(Refusal::of(&answer).code, "PERSISTED_QUERY_NOT_FOUND");
    // With another document's hash nothing is kept.
    let wrong = json!({ "query": "{ __typename }", "extensions": by_hash(&hash) });
    let (status, _, answer) = posted(client, &wrong).await;
    assert_eq!((status, Refusal::of(&answer).code.as_str()), (400, "PERSISTED_QUERY_HASH_MISMATCH"));
    let (_, _, answer) = posted(client, &json!({ "extensions": by_hash(&hash) })).await;
    assert_eq!(Refusal::of(&answer).code, "PERSISTED_QUERY_NOT_FOUND");

    let (_, _, answer) = posted(client, &json!({ "query": TYPE, "extensions": by_hash(&hash) })).await;
    assert_eq!(answer, json!({ "data": { "__typename": "Query" } }));
    let (status, headers, answer) = posted(client, &json!({ "extensions": by_hash(&hash.to_uppercase()) })).await;
    assert_eq!((status, answer), (200, json!({ "data": { "__typename": "Query" } })));
    assert!(headers.get("cache-control").is_none());
    let extensions = by_hash(&hash).to_string();
    let response = client.get(&[("extensions", &extensions)]).send().await.unwrap();
    assert_eq!(response.json::<Value>().await.unwrap(), json!({ "data": { "__typename": "Query" } }));

    let mut socket = client.socket().await;
    let payload = json!({ "extensions": by_hash(&hash) });
    socket.say(&json!({ "type": "subscribe", "id": "1", "payload": payload })).await;
    assert_eq!(socket.next().await, json!({ "__typename": "Query" }));
    assert_eq!(socket.message().await, Pushed::Complete);
    let payload = json!({ "extensions": by_hash(&sha256_hex("something else")) });
    socket.say(&json!({ "type": "subscribe", "id": "1", "payload": payload })).await;
    match socket.message().await {
        Pushed::Error(errors) => assert_eq!(errors[0]["extensions"]["code"], "PERSISTED_QUERY_NOT_FOUND"),
        other => panic!("{other:?}"),
    }
    let stream = client.post().header("accept", "text/event-stream").json(&json!({ "extensions": by_hash(&hash) }));
    let told = stream.send().await.unwrap().text().await.unwrap();
    assert!(told.contains(r#"data: {"data":{"__typename":"Query"}}"#), "{told}");
    bounded.server.stop().await;
}

#[tokio::test]
async fn the_least_recently_used_is_forgotten() {
    let bounded = Bounded::new(Limits { documents: 2, ..Limits::default() }).await;
    let client = &bounded.client;
    let known = async |document: &str| {
        let (_, _, answer) = posted(client, &json!({ "extensions": by_hash(&sha256_hex(document)) })).await;
        answer["errors"].is_null()
    };
    // Also documents that were sent without a hash are kept.
    client.query("{ a: __typename }", json!({})).await;
    client.query("{ b: __typename }", json!({})).await;
    assert!(known("{ a: __typename }").await);
    client.query("{ c: __typename }", json!({})).await;
    assert!(!known("{ b: __typename }").await);
    assert!(known("{ a: __typename }").await && known("{ c: __typename }").await);
    // What is refused is not kept.
    client.refused("{ nothing }", json!({})).await;
    assert!(known("{ a: __typename }").await && known("{ c: __typename }").await);
    bounded.server.stop().await;
}
