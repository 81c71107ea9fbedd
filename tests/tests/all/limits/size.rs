//! The size of documents and bodies.

use api::Limits;
use serde_json::json;
use tests::Refusal;

use super::{Bounded, posted};

#[tokio::test]
async fn every_size_is_taken_at_its_limit_and_refused_one_past_it() {
    let limits =
        Limits { tokens: 40, depth: 3, aliases: 3, root_fields: 4, fields: 8, directives: 2, ..Limits::default() };
    let bounded = Bounded::new(limits).await;
    let names = |count: usize| "__typename ".repeat(count);
    let padded = |fields: usize| format!("{{ calls {{ nodes {{ {} }} }} }}", names(fields));
    // Nineteen tokens beside the states.
    let states = |count: usize| {
        let states = "ENDED, ".repeat(count);
        format!("{{ calls(filter: {{ states: [{states}] }}) {{ nodes {{ state }} }} }}")
    };
    for (at, past, limit) in [
        (format!("{{ {} }} ", names(4)), format!("{{ {} }}", names(5)), "ROOT_FIELDS"),
        (padded(6), padded(7), "FIELDS"),
        (
            "{ calls { nodes { state } } }".to_owned(),
            "{ calls { nodes { legs { state } } } }".to_owned(),
            "DEPTH",
        ),
        (
            "{ a: __typename b: __typename c: __typename }".to_owned(),
            "{ a: __typename b: __typename ...F ...F } fragment F on Query { c: __typename }".to_owned(),
            "ALIASES",
        ),
        (
            "{ __typename @include(if: true) @skip(if: false) }".to_owned(),
            "{ __typename ...F @include(if: true) @skip(if: false) @include(if: true) } fragment F on Query { __typename }".to_owned(),
            "DIRECTIVES",
        ),
        (states(21), states(22), "TOKENS"),
    ] {
        bounded.bounds(&at, &past, limit).await;
    }
    bounded.server.stop().await;
}

/// None of these may cost more than a moment, or the stack.
#[tokio::test]
async fn documents_that_are_made_to_hurt_are_refused() {
    let bounded = Bounded::new(Limits { body_bytes: 8 * 1024 * 1024, tokens: 4_000_000, ..Limits::default() }).await;
    let mut bomb = "{ ...F0 }".to_owned();
    for n in 0..60 {
        bomb.push_str(&format!(" fragment F{n} on Query {{ ...F{} ...F{} }}", n + 1, n + 1));
    }
    bomb.push_str(" fragment F60 on Query { __typename }");
    for (document, code) in [
        ("{".repeat(1_000_000), "COMPLEXITY_LIMIT"),
        ("{ a ".repeat(500_000), "COMPLEXITY_LIMIT"),
        (format!("{{ calls(filter: {}", "[".repeat(1_000_000)), "COMPLEXITY_LIMIT"),
        (format!("query ($a: {}", "[".repeat(1_000_000)), "COMPLEXITY_LIMIT"),
        (format!("{{ calls(filter: [\"\"\" x\" {}", "{x:".repeat(500_000)), "COMPLEXITY_LIMIT"),
        (bomb, "COMPLEXITY_LIMIT"),
        ("{ ...A } fragment A on Query { ...B } fragment B on Query { ...A }".to_owned(), "GRAPHQL_VALIDATION_FAILED"),
        ("subscription { dashboard { cursor } other: dashboard { cursor } }".to_owned(), "GRAPHQL_VALIDATION_FAILED"),
    ] {
        let refusal = bounded.client.refused(&document, json!({})).await;
        let start: String = document.chars().take(60).collect();
        assert_eq!(refusal.code, code, "{start}: {refusal:?}");
    }
    assert_eq!(bounded.client.query("{ __typename }", json!({})).await["__typename"], "Query");
    bounded.server.stop().await;
}

#[tokio::test]
async fn a_page_is_as_long_as_the_installation_allows() {
    let bounded = Bounded::new(Limits { page_size: 60, ..Limits::default() }).await;
    let call =
        json!({ "callId": uuid::Uuid::now_v7(), "direction": "INBOUND", "from": "+14155552671", "to": "+14155550100" });
    let at_least = bounded.client.accepted("initiateCall", call).await;
    for (document, reason) in [
        ("query ($n: Int!, $p: Position!) { calls(first: $n, atLeast: $p) { nodes { state } } }", "PAGE_SIZE"),
        ("query ($n: Int!, $p: Position!) { calls(last: $n, atLeast: $p) { nodes { state } } }", "PAGE_SIZE"),
        (
            "query ($n: Int!, $p: Position!) { calls(atLeast: $p) { nodes { transcript(last: $n) { text } } } }",
            "PAGE_SIZE",
        ),
        (
            "query ($n: Int!, $p: Position!) { calls(atLeast: $p) { nodes { history(first: $n) { nodes { type } } } } }",
            "PAGE_SIZE",
        ),
    ] {
        let data = bounded.client.query(document, json!({ "n": 60, "p": at_least })).await;
        assert!(data["calls"]["nodes"][0].is_object(), "{document}: {data}");
        let refusal = bounded.client.refused(document, json!({ "n": 61, "p": at_least })).await;
        assert_eq!(refusal.words(), ("BAD_USER_INPUT", reason), "{document}");
    }
    let nodes = |count: usize| json!({ "ids": vec!["unknown"; count] });
    let document = "query ($ids: [ID!]!) { nodes(ids: $ids) { id } }";
    assert_eq!(bounded.client.query(document, nodes(60)).await["nodes"].as_array().unwrap().len(), 60);
    let refusal = bounded.client.refused(document, nodes(61)).await;
    assert_eq!(refusal.words(), ("BAD_USER_INPUT", "TOO_MANY_IDS"));
    bounded.server.stop().await;
}

#[tokio::test]
async fn bodies_and_errors() {
    let bounded = Bounded::new(Limits { body_bytes: 1_000, errors: 3, ..Limits::default() }).await;
    let body = |bytes: usize| {
        let empty = r#"{"query":"{ __typename # }"}"#.len() + 2;
        format!("{{\"query\":\"{{ __typename #{}\\n }}\"}}", "x".repeat(bytes - empty))
    };
    let send = async |bytes: usize| {
        let body = body(bytes);
        assert_eq!(body.len(), bytes);
        let request = bounded.client.post().header("content-type", "application/json").body(body);
        request.send().await.unwrap().status().as_u16()
    };
    assert_eq!(send(1_000).await, 200);
    assert_eq!(send(1_001).await, 413);
    let errors = async |unknown: usize| {
        let fields: String = (0..unknown).map(|n| format!("x{n} ")).collect();
        let (status, _, answer) = posted(&bounded.client, &json!({ "query": format!("{{ {fields} }}") })).await;
        assert_eq!(status, 400);
        answer["errors"].as_array().unwrap().clone()
    };
    assert_eq!(errors(3).await.len(), 3);
    let capped = errors(10).await;
    assert_eq!(capped.len(), 3);
    assert_eq!(Refusal::of(&json!({ "errors": [capped[2]] })).code, "TOO_MANY_ERRORS");
    bounded.server.stop().await;
}
