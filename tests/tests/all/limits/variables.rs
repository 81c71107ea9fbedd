//! Variables are settled before anything is executed.

use api::Limits;
use serde_json::json;
use tests::Refusal;
use uuid::Uuid;

use super::{Bounded, posted};

const BOTH: &str = "mutation ($first: InitiateCallInput!, $second: LegInput!) {
    initiateCall(input: $first) { __typename } holdCall(input: $second) { __typename } }";

#[tokio::test]
async fn a_wrong_variable_is_found_before_the_first_mutation_is_done() {
    let bounded = Bounded::new(Limits::default()).await;
    let call_id = Uuid::now_v7();
    let first = json!({ "callId": call_id, "direction": "INBOUND", "from": "+14155552671", "to": "+14155550100" });
    for second in
        [json!(null), json!({}), json!({ "callId": call_id, "nothing": 1 }), json!({ "callId": call_id, "leg": "x" })]
    {
        let body = json!({ "query": BOTH, "variables": { "first": first, "second": second } });
        let (status, _, answer) = posted(&bounded.client, &body).await;
        assert_eq!((status, Refusal::of(&answer).code.as_str()), (400, "BAD_USER_INPUT"), "{second}: {answer}");
        assert!(answer.get("data").is_none(), "{second}");
    }
    let sideways = json!({ "callId": call_id, "direction": "SIDEWAYS", "from": "+14155552671", "to": "+14155550100" });
    let body = json!({ "query": BOTH, "variables": { "first": sideways, "second": { "callId": call_id } } });
    let (status, _, answer) = posted(&bounded.client, &body).await;
    assert_eq!((status, Refusal::of(&answer).code.as_str()), (400, "BAD_USER_INPUT"), "{answer}");
    let missing = json!({ "query": BOTH, "variables": { "first": first } });
    assert_eq!(posted(&bounded.client, &missing).await.0, 400);
    // None of them has done anything, so the call can still come in.
    bounded.client.accepted("initiateCall", first).await;
    bounded.server.stop().await;
}

#[tokio::test]
async fn a_scalar_that_is_none_is_found_before_anything_is_done() {
    let bounded = Bounded::new(Limits::default()).await;
    let call_id = Uuid::now_v7();
    let first = json!({ "callId": call_id, "direction": "INBOUND", "from": "+14155552671", "to": "+14155550100" });
    let document = "mutation ($first: InitiateCallInput!, $other: UUID!) {
        initiateCall(input: $first) { __typename } holdCall(input: { callId: $other }) { __typename } }";
    for wrong in [json!("not a UUID"), json!(7), json!([call_id]), json!({})] {
        let body = json!({ "query": document, "variables": { "first": first, "other": wrong } });
        let (status, _, answer) = posted(&bounded.client, &body).await;
        assert_eq!((status, Refusal::of(&answer).code.as_str()), (400, "BAD_USER_INPUT"), "{wrong}: {answer}");
        assert!(answer.get("data").is_none(), "{wrong}");
    }
    for (document, variables) in [
        (
            "query ($at: DateTime) { calls(filter: { initiatedFrom: $at }) { nodes { state } } }",
            json!({ "at": "yesterday" }),
        ),
        ("query ($at: DateTime) { calls(filter: { initiatedFrom: $at }) { nodes { state } } }", json!({ "at": 1 })),
        ("query ($p: Position) { calls(atLeast: $p) { nodes { state } } }", json!({ "p": -1 })),
        ("query ($p: Position) { calls(atLeast: $p) { nodes { state } } }", json!({ "p": 1.5 })),
    ] {
        let (status, _, answer) = posted(&bounded.client, &json!({ "query": document, "variables": variables })).await;
        assert_eq!((status, Refusal::of(&answer).code.as_str()), (400, "BAD_USER_INPUT"), "{variables}: {answer}");
        assert!(answer.get("data").is_none(), "{variables}");
    }
    // Written into the document, it is the document that is not valid.
    let literal = json!({ "query": "mutation { holdCall(input: { callId: \"x\" }) { __typename } }" });
    let (status, _, answer) = posted(&bounded.client, &literal).await;
    assert_eq!((status, Refusal::of(&answer).code.as_str()), (400, "GRAPHQL_VALIDATION_FAILED"), "{answer}");
    bounded.client.accepted("initiateCall", first).await;
    bounded.server.stop().await;
}

#[tokio::test]
async fn what_is_left_out_takes_its_default() {
    let bounded = Bounded::new(Limits::default()).await;
    let client = &bounded.client;
    // Its own default, also in a directive, which the executor would not look at.
    let skip = "query ($skip: Boolean! = true) { __typename viewer @skip(if: $skip) { email } }";
    assert!(client.query(skip, json!({})).await.get("viewer").is_none());
    assert!(client.query(skip, json!({ "skip": false })).await["viewer"]["email"].is_string());
    // The input field's, which null would not take.
    let register = "mutation ($name: String!, $capacity: Int, $team: String) {
        registerAgent(input: { name: $name, team: $team, capacity: $capacity }) { __typename } }";
    let registered = client.query(register, json!({ "name": "Ann" })).await;
    assert_eq!(registered["registerAgent"]["__typename"], "CommandAccepted");
    assert_eq!(client.refused(register, json!({ "name": "Ann", "capacity": null })).await.code, "BAD_USER_INPUT");
    bounded.server.stop().await;
}
