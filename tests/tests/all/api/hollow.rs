//! An object of which nothing is resolved is an empty object, never null (GraphQL specification, section 6.4.3).

use api::Limits;
use domain::permission::Role;
use serde_json::{Value, json};
use tests::{TestDatabase, TestServer};
use uuid::Uuid;

use super::{World, initiate};

const ACCEPTED_ONLY: &str = "mutation ($input: InitiateCallInput!) {
    initiateCall(input: $input) { ... on CommandAccepted { version } } }";

#[tokio::test]
async fn a_command_that_no_fragment_is_about_is_answered_by_an_empty_object() {
    let world = World::new().await;
    let call_id = Uuid::now_v7();
    let input = json!({ "input": initiate(call_id) });
    let data = world.supervisor.query(ACCEPTED_ONLY, input.clone()).await;
    assert_eq!(data, json!({ "initiateCall": { "version": 1 } }));
    // Refused now, for there is such a call.
    let data = world.supervisor.query(ACCEPTED_ONLY, input.clone()).await;
    assert_eq!(data, json!({ "initiateCall": {} }));
    let named = ACCEPTED_ONLY.replace("{ ... on", "{ kind: __typename ... on");
    assert_eq!(world.supervisor.query(&named, input).await, json!({ "initiateCall": { "kind": "CommandRefused" } }));
    world.end().await;
}

#[tokio::test]
async fn what_is_skipped_leaves_its_object_behind() {
    let database = TestDatabase::new().await;
    let server = TestServer::start(&database).await;
    let admin = server.signed_in(Role::Admin).await;
    let skipped = "query ($no: Boolean!) { viewer { role @include(if: $no) ...F @include(if: $no) } }
                   fragment F on User { email }";
    assert_eq!(admin.query(skipped, json!({ "no": false })).await, json!({ "viewer": {} }));
    assert_eq!(admin.query(skipped, json!({ "no": true })).await["viewer"]["role"], "ADMIN");
    assert_eq!(admin.query("{ viewer @skip(if: true) { role } }", json!({})).await, json!({}));
    let page = "{ calls(first: 1) { nodes { callId @skip(if: true) } pageInfo { hasNextPage @skip(if: true) } } }";
    assert_eq!(admin.query(page, json!({})).await, json!({ "calls": { "nodes": [], "pageInfo": {} } }));
    // Null stays null where there is nothing, in lists as well.
    let nodes = "{ node(id: \"x\") { ... on Call { callId } } nodes(ids: [\"x\"]) { ... on Call { callId } } }";
    assert_eq!(admin.query(nodes, json!({})).await, json!({ "node": null, "nodes": [null] }));
    let own = admin.query("{ viewer { id } }", json!({})).await["viewer"]["id"].take();
    let other = "query ($id: ID!) { node(id: $id) { ... on Call { callId } } nodes(ids: [$id, \"x\"]) { ... on Call { callId } } }";
    assert_eq!(admin.query(other, json!({ "id": own })).await, json!({ "node": {}, "nodes": [{}, null] }));
    // No client can write the name that the type is asked for by.
    let answer = admin.send("{ viewer { \u{0}: role } }", json!({})).await;
    assert_eq!(tests::Refusal::of(&answer).code, "GRAPHQL_PARSE_FAILED");
    server.stop().await;
}

#[tokio::test]
async fn it_costs_nothing() {
    let database = TestDatabase::new().await;
    // 1 for the list, and for each of 100 elements 1 and 1.
    let server = TestServer::start_with(&database, Limits { complexity: 201, ..Limits::default() }).await;
    let admin = server.signed_in(Role::Admin).await;
    admin.query("{ calls(first: 100) { nodes { ... { callId } } } }", json!({})).await;
    let more = admin.refused("{ calls(first: 100) { nodes { ... { callId state } } } }", json!({})).await;
    assert_eq!(more.words(), ("COMPLEXITY_LIMIT", "COST"));
    server.stop().await;
}

#[tokio::test]
async fn also_in_what_is_pushed_and_for_all_who_watch() {
    let world = World::new().await;
    let document = "subscription { dashboard { dashboard { offered @skip(if: true) } } }";
    let expected: Value = json!({ "dashboard": { "dashboard": {} } });
    let mut watching = Vec::new();
    for _ in 0..3 {
        watching.push(world.supervisor.subscribe(document, json!({})).await);
    }
    for subscription in &mut watching {
        assert_eq!(subscription.next().await, expected);
    }
    world.call().await;
    for subscription in &mut watching {
        assert_eq!(subscription.next().await, expected);
    }
    world.end().await;
}
