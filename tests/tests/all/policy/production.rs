//! In production the schema does not tell of itself.

use api::Policy;
use serde_json::json;
use tests::Refusal;
use tests::graphql::Pushed;

use super::{GRAPHQL, World};

#[tokio::test]
async fn neither_introspection_nor_suggestions_nor_graphiql() {
    let world = World::new(Policy { production: true, ..Policy::default() }).await;
    for document in [
        "{ __schema { types { name } } }",
        "{ __typename ...F } fragment F on Query { __type(name: \"Call\") { name } }",
        "{ ... on Query { s: __schema { queryType { name } } } }",
        "mutation { __typename ... on Query { __schema { queryType { name } } } }",
    ] {
        let (status, answer) = world.posted(GRAPHQL, &json!({ "query": document })).await;
        assert_eq!((status, Refusal::of(&answer).code.as_str()), (403, "INTROSPECTION_DISABLED"), "{document}");
        assert!(answer.get("data").is_none(), "{document}");
    }
    let mut socket = world.client.socket().await;
    socket.begin("{ __schema { queryType { name } } }", json!({})).await;
    match socket.message().await {
        Pushed::Error(errors) => assert_eq!(errors[0]["extensions"]["code"], "INTROSPECTION_DISABLED"),
        other => panic!("{other:?}"),
    }
    assert_eq!(world.client.query("{ __typename viewer { __typename } }", json!({})).await["__typename"], "Query");

    for (document, variables) in [
        ("{ viewr { email } }", json!({})),
        ("{ viewer { emial } }", json!({})),
        ("query ($i: InitiateCallInptu!) { viewer { email } }", json!({})),
        ("{ calls(frist: 1) { nodes { callId } } }", json!({})),
        ("{ calls(filter: { sates: [ENDED] }) { nodes { callId } } }", json!({})),
        (
            "query ($f: CallFilterInput) { calls(filter: $f) { nodes { callId } } }",
            json!({ "f": { "sates": ["ENDED"] } }),
        ),
        (
            "query ($f: CallFilterInput) { calls(filter: $f) { nodes { callId } } }",
            json!({ "f": { "states": ["EDED"] } }),
        ),
    ] {
        let answer = world.client.send(document, variables).await;
        assert!(answer["errors"][0]["message"].is_string(), "{document}: {answer}");
        assert!(!answer.to_string().contains("Did you mean"), "{document}: {answer}");
    }
    let page = reqwest::get(format!("http://{}/graphiql", world.server.address)).await.unwrap();
    assert_eq!(page.status(), 404);
    world.server.stop().await;
}

#[tokio::test]
async fn in_development_all_of_it_is_there() {
    let world = World::new(Policy::default()).await;
    let schema = world.client.query("{ __schema { queryType { name } } }", json!({})).await;
    assert_eq!(schema["__schema"]["queryType"]["name"], "Query");
    let answer = world.client.send("{ viewr { email } }", json!({})).await;
    assert!(answer.to_string().contains("Did you mean"), "{answer}");
    let page = reqwest::get(format!("http://{}/graphiql", world.server.address)).await.unwrap();
    assert_eq!(page.status(), 200);
    assert!(page.text().await.unwrap().contains("GraphiQL"));
    world.server.stop().await;
}
