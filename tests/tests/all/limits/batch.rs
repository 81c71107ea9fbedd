//! Several operations in one request.

use api::Limits;
use serde_json::{Value, json};
use tests::Refusal;

use super::{Bounded, posted};

fn operations(count: usize) -> Value {
    let one = |n: usize| json!({ "query": "query ($n: Int!) { calls(first: $n) { nodes { callId } } }", "variables": { "n": n + 1 } });
    (0..count).map(one).collect()
}

#[tokio::test]
async fn a_list_is_taken_at_its_limit_and_refused_one_past_it() {
    let bounded = Bounded::new(Limits { batch: 3, ..Limits::default() }).await;
    let (status, _, answer) = posted(&bounded.client, &operations(3)).await;
    let page = json!({ "data": { "calls": { "nodes": [] } } });
    assert_eq!((status, answer), (200, json!([page, page, page])));
    let (status, _, answer) = posted(&bounded.client, &operations(4)).await;
    assert_eq!((status, Refusal::of(&answer).words()), (400, ("COMPLEXITY_LIMIT", "BATCH")));
    for wrong in [json!([]), json!([1]), json!([{ "query": "{ __typename }" }, []])] {
        let (status, _, answer) = posted(&bounded.client, &wrong).await;
        assert_eq!((status, Refusal::of(&answer).code.as_str()), (400, "BAD_REQUEST"), "{wrong}");
    }
    let events = bounded.client.post().header("accept", "text/event-stream").json(&operations(1));
    assert_eq!(events.send().await.unwrap().status(), 400);
    bounded.server.stop().await;
}

#[tokio::test]
async fn each_operation_has_its_own_answer_and_its_own_points() {
    let bounded = Bounded::new(Limits { points_burst: 100_000, points_per_minute: 60, ..Limits::default() }).await;
    let batch = json!([
        { "query": "{ a: __typename }" },
        { "query": "{ nothing }" },
        { "variables": {} },
        { "query": "subscription { dashboard { cursor } }" },
        { "query": "query A { b: __typename } query B { c: __typename }", "operationName": "B" },
        // More than half of what there is.
        { "query": format!("{{ calls(first: 100) {{ nodes {{ {} }} }} }}", "transcript { sequence text } ".repeat(2)) },
    ]);
    let (status, _, answer) = posted(&bounded.client, &batch).await;
    assert_eq!(status, 200);
    let code = |n: usize| answer[n]["errors"][0]["extensions"]["code"].as_str();
    assert_eq!(answer[0], json!({ "data": { "a": "Query" } }));
    assert_eq!(code(1), Some("GRAPHQL_VALIDATION_FAILED"));
    assert_eq!(code(2), Some("BAD_REQUEST"));
    assert_eq!(code(3), Some("BAD_REQUEST"));
    assert_eq!(answer[4], json!({ "data": { "c": "Query" } }));
    assert_eq!(answer.as_array().unwrap().len(), batch.as_array().unwrap().len());

    // A list is no way around the points of a viewer.
    let expensive =
        json!({ "query": "{ calls(first: 100) { nodes { transcript { sequence text speaker model } } } }" });
    let many = Value::Array(vec![expensive; 10]);
    let (_, _, answer) = posted(&bounded.client, &many).await;
    let limited = answer.as_array().unwrap().iter().filter(|a| a["errors"][0]["extensions"]["code"] == "RATE_LIMITED");
    assert!(limited.count() > 5, "{answer}");
    bounded.server.stop().await;
}
