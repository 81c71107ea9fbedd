//! GraphQL over HTTP where the audit of npm `graphql-http` does not look.

use serde_json::{Value, json};
use tests::Refusal;

use super::wire::World;

#[tokio::test]
async fn a_get_changes_nothing_however_the_mutation_is_written() {
    let world = World::new().await;
    let document = |name: &str| format!("mutation {name} {{ renewToken {{ __typename }} }}");
    let both = format!("query Q {{ __typename }} {}", document("M"));
    for parameters in [
        vec![("query", document(""))],
        // The only operation is meant also where the request does not name it.
        vec![("query", document("M"))],
        vec![("query", document("M")), ("operationName", "M".to_owned())],
        vec![("query", both.clone()), ("operationName", "M".to_owned())],
    ] {
        let parameters: Vec<(&str, &str)> = parameters.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let response = world.client.get(&parameters).send().await.unwrap();
        assert_eq!(response.status(), 405, "{parameters:?}");
        assert_eq!(response.headers()["allow"], "POST");
        let answer: Value = response.json().await.unwrap();
        assert_eq!(Refusal::of(&answer).code, "METHOD_NOT_ALLOWED");
        assert!(answer.get("data").is_none());
    }
    let query = world.client.get(&[("query", &both), ("operationName", "Q")]).send().await.unwrap();
    assert_eq!(query.json::<Value>().await.unwrap(), json!({ "data": { "__typename": "Query" } }));
    world.end().await;
}

#[tokio::test]
async fn a_subscription_needs_a_way_to_stream() {
    let world = World::new().await;
    let document = "subscription S { dashboard { cursor } }";
    let response = world.client.get(&[("query", document)]).send().await.unwrap();
    assert_eq!(response.status(), 405);
    let answer = world.client.send(document, json!({})).await;
    assert!(answer["errors"][0]["extensions"]["code"].is_string() && answer["data"].is_null(), "{answer}");
    world.end().await;
}
