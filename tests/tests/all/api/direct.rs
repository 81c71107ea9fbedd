//! What is written past the executor is what the executor answers.

use api::Limits;
use serde_json::{Value, json};
use tests::Client;

use super::{World, initiate, segment};

/// Fields of a call that the executor resolves in any case, and those that would lead back to calls.
const LEFT_OUT: [&str; 3] = ["history", "sentimentSummary", "calls"];

/// A selection of everything that an object has.
async fn everything(client: &Client, name: &str) -> String {
    let document = "query ($name: String!) { __type(name: $name) { fields { name
        type { kind name ofType { kind name ofType { kind name ofType { kind name } } } } } } }";
    let shape = client.query(document, json!({ "name": name })).await;
    let mut selection = String::from("__typename");
    for field in shape["__type"]["fields"].as_array().unwrap() {
        let field_name = field["name"].as_str().unwrap();
        if LEFT_OUT.contains(&field_name) {
            continue;
        }
        let mut inner = &field["type"];
        while !inner["ofType"].is_null() {
            inner = &inner["ofType"];
        }
        selection.push(' ');
        selection.push_str(field_name);
        if inner["kind"] == "OBJECT" {
            let below = Box::pin(everything(client, inner["name"].as_str().unwrap())).await;
            selection.push_str(&format!(" {{ {below} }}"));
        }
    }
    selection
}

/// The text of an answer.
async fn answer(client: &Client, document: &str) -> String {
    client.post().json(&json!({ "query": document })).send().await.unwrap().text().await.unwrap()
}

/// Asks a field of the root, as it is and in two places, which the executor merges; both answers are the same text.
async fn same(client: &Client, field: &str, selection: &str, again: &str) -> Value {
    let plain = answer(client, &format!("{{ {field} {{ {selection} }} }}")).await;
    let merged = answer(client, &format!("{{ {field} {{ {selection} }} {field} {{ {again} }} }}")).await;
    assert_eq!(plain, merged, "{field} {{ {selection} }}");
    serde_json::from_str(&plain).unwrap()
}

/// A call that Ann has and in which something was said, another that waits, and one that Bob declined.
async fn calls(world: &World) -> Value {
    let supervisor = &world.supervisor;
    let ids: Vec<uuid::Uuid> = (0..3).map(|_| uuid::Uuid::now_v7()).collect();
    for id in &ids {
        supervisor.accepted("initiateCall", initiate(*id)).await;
        supervisor.accepted("queueCall", json!({ "callId": id, "queue": "sales \"gold\"" })).await;
    }
    supervisor.accepted("offerCall", json!({ "callId": ids[0], "agentId": world.ann.agent_id })).await;
    supervisor.accepted("answerCall", json!({ "callId": ids[0], "agentId": world.ann.agent_id })).await;
    supervisor.accepted("offerCall", json!({ "callId": ids[1], "agentId": world.bob.agent_id })).await;
    let declined = json!({ "callId": ids[1], "agentId": world.bob.agent_id, "reason": "busy \\" });
    supervisor.accepted("declineOffer", declined).await;
    supervisor.accepted("addTranscriptSegment", segment(ids[0], 0, "this is \"great\"\n\u{2028} é \\")).await;
    let at = supervisor.accepted("addTranscriptSegment", segment(ids[0], 1_000, "and so is that")).await;
    let seen = "query ($at: Position!) { calls(atLeast: $at) { nodes { sentiment { segment } } }
                  agents(atLeast: $at) { nodes { name } }
                  searchTranscripts(text: \"x\", atLeast: $at) { nodes { snippet } } }";
    loop {
        let data = supervisor.query(seen, json!({ "at": at })).await;
        let scores = |call: &Value| call["sentiment"].as_array().unwrap().len();
        if data["calls"]["nodes"].as_array().unwrap().iter().map(scores).sum::<usize>() == 2 {
            return json!(ids);
        }
    }
}

#[tokio::test]
async fn pages_and_calls_are_written_as_the_executor_would() {
    let world = World::with(Limits { complexity: 1_000_000, ..Limits::default() }).await;
    let ids = calls(&world).await;
    let boss = &world.supervisor;
    let call = everything(boss, "Call").await;
    assert!(
        call.contains("transcript { __typename callId") && call.contains("capabilities { __typename name"),
        "{call}"
    );
    let page =
        format!("pageInfo {{ hasNextPage startCursor }} edges {{ cursor node {{ {call} }} }} nodes {{ {call} }}");
    let found = same(boss, "calls(first: 2)", &page, "pageInfo { hasNextPage }").await;
    let node = &found["data"]["calls"]["edges"][0]["node"];
    assert_eq!(found["data"]["calls"]["nodes"][0], *node, "{found}");
    same(boss, "calls(last: 2)", &page, "nodes { state }").await;
    let found = same(boss, &format!("call(callId: {})", ids[0]), &call, "legs { leg }").await;
    let (said, contacts) = (&found["data"]["call"]["transcript"], &found["data"]["call"]["agent"]["contacts"]);
    assert_eq!(said[0]["text"], "this is \"great\"\n\u{2028} é \\", "{found}");
    assert_eq!((said.as_array().unwrap().len(), contacts.as_array().unwrap().len()), (2, 1), "{found}");
    let agents = everything(boss, "Agent").await;
    same(boss, "agents(first: 1)", &format!("pageInfo {{ endCursor }} nodes {{ {agents} }}"), "nodes { name }").await;

    // Names of the client's own, fragments, fields twice, and what comes out empty.
    let selection = "b: nodes { x: state y: state state state ...F ... on Node { id } ... @skip(if: true) { callId }
            said: transcript(last: 1) { z: text ... on TranscriptSegment { text speaker } } transcript { __typename sequence }
            a: agent { ... { name } name t: __typename } agent { capabilities { name } }
            lately: sentiment(last: 1) { emotions { share name } score label } }
        edges { node { callId @include(if: false) } }";
    let fragment = "fragment F on Call { from to version }";
    let plain = answer(boss, &format!("{{ calls {{ {selection} __typename }} }} {fragment}")).await;
    let merged = format!("{{ calls {{ {selection} __typename }} calls {{ __typename }} }} {fragment}");
    assert_eq!(plain, answer(boss, &merged).await);
    assert!(plain.contains(r#""edges":[{"node":{}}"#), "{plain}");
    world.end().await;
}

#[tokio::test]
async fn what_may_not_be_seen_is_told_as_the_executor_tells_it() {
    let world = World::new().await;
    calls(&world).await;
    for client in [&world.ann.client, &world.bob.client, &world.supervisor] {
        for selection in [
            "nodes { callId agent { name } }",
            "nodes { callId agent { agentId } transcript(last: 2) { text } sentiment { score } legs { leg } }",
            "edges { node { callId transcript(last: 0) { text } } }",
            "edges { node { callId transcript(last: 1) { text model } state } }",
        ] {
            let again = if selection.starts_with("nodes") { "nodes { callId }" } else { "edges { node { callId } }" };
            same(client, "calls", selection, again).await;
        }
    }
    world.end().await;
}
