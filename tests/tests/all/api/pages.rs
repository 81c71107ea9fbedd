//! Lists page by page: cursors hold while the list grows, and filters choose.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use tests::Client;
use uuid::Uuid;

use super::{World, column, initiate};

const CALLS: &str =
    "query ($first: Int, $after: String, $last: Int, $before: String, $filter: CallFilterInput, $at: Position) {
    calls(first: $first, after: $after, last: $last, before: $before, filter: $filter, atLeast: $at) {
        edges { cursor node { callId initiatedAt } }
        pageInfo { hasNextPage hasPreviousPage startCursor endCursor } } }";
const COUNT: usize = 25;

/// A page: ids in the order shown, and what is said about its ends.
async fn page(client: &Client, variables: Value) -> (Vec<Value>, Value) {
    let mut connection = client.query(CALLS, variables).await["calls"].take();
    let edges = connection["edges"].as_array().unwrap().clone();
    let info = connection["pageInfo"].take();
    if let (Some(first), Some(last)) = (edges.first(), edges.last()) {
        assert_eq!((&info["startCursor"], &info["endCursor"]), (&first["cursor"], &last["cursor"]));
    }
    (column(&edges, "/node/callId"), info)
}

/// Calls in the order in which they came in, each with what tells it apart.
async fn calls(world: &World) -> (Vec<Value>, i64) {
    let (mut ids, mut position) = (Vec::new(), 0);
    for n in 0..COUNT {
        let mut input = initiate(Uuid::now_v7());
        input["customerName"] = json!(if n % 5 == 0 { "Zoë 100%_\\ Exact" } else { "Eve Example" });
        input["direction"] = json!(if n % 3 == 0 { "OUTBOUND" } else { "INBOUND" });
        ids.push(input["callId"].clone());
        position = world.supervisor.accepted("initiateCall", input).await;
    }
    (ids, position)
}

#[tokio::test]
async fn forward_and_backward_while_calls_come_in() {
    let world = World::new().await;
    let boss = &world.supervisor;
    let (mut newest_first, mut position) = calls(&world).await;
    newest_first.reverse();
    let (mut forward, mut after) = (Vec::new(), Value::Null);
    for (number, length) in [7, 7, 7, 4].into_iter().enumerate() {
        let (ids, info) = page(boss, json!({ "first": 7, "after": after, "at": position })).await;
        assert_eq!(ids.len(), length);
        assert_eq!(info["hasNextPage"], json!(number < 3));
        assert_eq!(info["hasPreviousPage"], json!(number > 0));
        after = info["endCursor"].clone();
        forward.extend(ids);
        // Newer calls come in at the other end and move nothing.
        position = boss.accepted("initiateCall", initiate(Uuid::now_v7())).await;
    }
    assert_eq!(forward, newest_first);
    let (nothing, info) = page(boss, json!({ "first": 7, "after": after })).await;
    assert_eq!((nothing, &info["hasNextPage"], &info["endCursor"]), (vec![], &json!(false), &Value::Null));

    let (all, _) = page(boss, json!({ "first": 100, "at": position })).await;
    assert_eq!((all.len(), &all[4..]), (COUNT + 4, &newest_first[..]));
    let (mut backward, mut before) = (Vec::new(), Value::Null);
    loop {
        let (ids, info) = page(boss, json!({ "last": 6, "before": before })).await;
        assert_eq!(info["hasNextPage"], json!(!before.is_null()));
        before = info["startCursor"].clone();
        backward.splice(0..0, ids);
        if info["hasPreviousPage"] == json!(false) {
            break;
        }
    }
    assert_eq!(backward, all);

    // A cursor made by one direction serves the other, and a page of one is a page.
    let (middle, info) = page(boss, json!({ "first": 1, "after": after_of(boss, 9).await })).await;
    assert_eq!(middle, [all[10].clone()]);
    let (newer, _) = page(boss, json!({ "last": 3, "before": info["startCursor"] })).await;
    assert_eq!(newer, all[7..10]);
    world.end().await;
}

/// The cursor of the call at an index of the list.
async fn after_of(client: &Client, index: usize) -> Value {
    let (_, info) = page(client, json!({ "first": index + 1 })).await;
    info["endCursor"].clone()
}

#[tokio::test]
async fn filters_choose_and_pages_keep_to_them() {
    let world = World::new().await;
    let boss = &world.supervisor;
    let (ids, _) = calls(&world).await;
    let choose = async |filter: Value| {
        let mut found = Vec::new();
        let mut after = Value::Null;
        loop {
            let (ids, info) = page(boss, json!({ "first": 4, "after": after, "filter": filter })).await;
            found.extend(ids);
            if info["hasNextPage"] == json!(false) {
                found.reverse();
                return found;
            }
            after = info["endCursor"].clone();
        }
    };
    for (n, id) in ids.iter().enumerate().take(12) {
        let queue = if n < 6 { "sales" } else { "support" };
        boss.accepted("queueCall", json!({ "callId": id, "queue": queue })).await;
    }
    for id in &ids[..3] {
        boss.accepted("abandonCall", json!({ "callId": id })).await;
    }
    boss.accepted("offerCall", json!({ "callId": ids[4], "agentId": world.ann.agent_id })).await;
    boss.accepted("offerCall", json!({ "callId": ids[7], "agentId": world.bob.agent_id })).await;
    world.bob.client.accepted("answerCall", json!({ "callId": ids[7] })).await;
    let position = world.bob.client.accepted("holdCall", json!({ "callId": ids[7] })).await;
    page(boss, json!({ "at": position })).await;

    let of = |indices: &[usize]| indices.iter().map(|index| ids[*index].clone()).collect::<Vec<Value>>();
    let every = |step: usize| (0..COUNT).step_by(step).collect::<Vec<usize>>();
    assert_eq!(choose(json!({ "states": ["ABANDONED"] })).await, of(&[0, 1, 2]));
    assert_eq!(choose(json!({ "states": ["WAITING"] })).await, of(&[3, 5, 6, 8, 9, 10, 11]));
    assert_eq!(choose(json!({ "states": ["OFFERED", "ON_HOLD"] })).await, of(&[4, 7]));
    assert_eq!(choose(json!({ "states": ["ENDED"] })).await, of(&[]));
    assert_eq!(choose(json!({ "states": ["WAITING", "ABANDONED"], "queue": "sales" })).await, of(&[0, 1, 2, 3, 5]));
    assert_eq!(choose(json!({ "agentId": world.bob.agent_id })).await, of(&[7]));
    assert_eq!(choose(json!({ "team": "red" })).await, of(&[4]));
    assert_eq!(choose(json!({ "team": "nobody" })).await, of(&[]));
    assert_eq!(choose(json!({ "direction": "OUTBOUND" })).await, of(&every(3)));
    for text in ["zoë", "100%", "%_\\", "EXACT"] {
        assert_eq!(choose(json!({ "text": text })).await, of(&every(5)), "{text}");
    }
    assert_eq!(choose(json!({ "text": "4155552671" })).await.len(), COUNT);
    let both = of(&(0..COUNT).step_by(15).collect::<Vec<usize>>());
    assert_eq!(choose(json!({ "text": "zoë", "direction": "OUTBOUND" })).await, both);

    let data = boss.query(CALLS, json!({ "first": 100 })).await;
    let edges = data["calls"]["edges"].as_array().unwrap();
    let begun =
        |index: usize| edges.iter().find(|e| e["node"]["callId"] == ids[index]).unwrap()["node"]["initiatedAt"].clone();
    let window = json!({ "initiatedFrom": begun(5), "initiatedBefore": begun(9) });
    assert_eq!(choose(window).await, of(&[5, 6, 7, 8]));
    world.end().await;
}

#[tokio::test]
async fn agents_by_name_and_history_by_position() {
    let world = World::new().await;
    let boss = &world.supervisor;
    let mut position = 0;
    for n in 0..9 {
        // Two of each name, so that the id has to tell them apart.
        let name = format!("Agent {}", n / 2);
        let skills = json!([{ "name": if n % 2 == 0 { "dutch" } else { "french" }, "level": 3 }]);
        let input = json!({ "name": name, "team": "green", "capabilities": skills });
        position = boss.accepted("registerAgent", input).await;
    }
    let document = "query ($first: Int, $after: String, $last: Int, $before: String, $team: String, $skill: String, $at: Position) {
        agents(first: $first, after: $after, last: $last, before: $before, team: $team, capability: $skill, atLeast: $at) {
            nodes { agentId name } pageInfo { hasNextPage hasPreviousPage startCursor endCursor } } }";
    let page = async |variables: Value| {
        let mut connection = boss.query(document, variables).await["agents"].take();
        (connection["nodes"].as_array().unwrap().clone(), connection["pageInfo"].take())
    };
    let (all, _) = page(json!({ "at": position })).await;
    let names = column(&all, "/name");
    assert_eq!(names.len(), 11);
    assert!(names.is_sorted_by_key(|name| name.as_str().unwrap().to_owned()), "{names:?}");
    assert_eq!(column(&all, "/agentId").iter().map(ToString::to_string).collect::<BTreeSet<_>>().len(), 11);
    for direction in ["forward", "backward"] {
        let (mut seen, mut cursor) = (Vec::new(), Value::Null);
        loop {
            let (nodes, info) = if direction == "forward" {
                page(json!({ "first": 3, "after": cursor })).await
            } else {
                page(json!({ "last": 3, "before": cursor })).await
            };
            let (more, end) = if direction == "forward" {
                seen.extend(nodes);
                (&info["hasNextPage"], &info["endCursor"])
            } else {
                seen.splice(0..0, nodes);
                (&info["hasPreviousPage"], &info["startCursor"])
            };
            if *more == json!(false) {
                break;
            }
            cursor = end.clone();
        }
        assert_eq!(seen, all, "{direction}");
    }
    assert_eq!(page(json!({ "team": "green" })).await.0.len(), 9);
    assert_eq!(page(json!({ "team": "green", "skill": "dutch" })).await.0.len(), 5);
    assert_eq!(column(&page(json!({ "team": "red" })).await.0, "/name"), ["Ann"]);

    let call = world.call().await;
    for n in 0..6 {
        position = boss.accepted("queueCall", json!({ "callId": call, "queue": format!("q{n}") })).await;
    }
    let document = "query ($id: UUID!, $after: String, $at: Position) { call(callId: $id, atLeast: $at) {
        history(first: 3, after: $after) { nodes { version } pageInfo { hasNextPage endCursor } } } }";
    let (mut versions, mut after) = (Vec::new(), Value::Null);
    loop {
        let data = boss.query(document, json!({ "id": call, "after": after, "at": position })).await;
        let history = &data["call"]["history"];
        versions.extend(column(history["nodes"].as_array().unwrap(), "/version"));
        if history["pageInfo"]["hasNextPage"] == json!(false) {
            break;
        }
        after = history["pageInfo"]["endCursor"].clone();
    }
    assert_eq!(versions, (1..=7).map(|version| json!(version)).collect::<Vec<Value>>());
    world.end().await;
}

#[tokio::test]
async fn what_belongs_to_listed_calls_is_as_when_asked_alone() {
    let world = World::new().await;
    let boss = &world.supervisor;
    let mut ids = Vec::new();
    for (n, text) in ["great!", "terrible!", "so so"].into_iter().enumerate() {
        let call = world.connected_to(&world.ann).await;
        let other = world.call().await;
        for m in 0..=n {
            world.say(call, m * 1_000, text).await;
        }
        let scores =
            boss.subscribe("subscription ($id: UUID!) { sentiment(callId: $id) { cursor } }", json!({ "id": call }));
        scores.await.take(n + 1).await;
        world.ann.client.accepted("endCall", json!({ "callId": call, "by": "AGENT", "reason": "COMPLETED" })).await;
        world.ann.client.accepted("completeWrapUp", json!({ "callId": call, "disposition": "done" })).await;
        ids.extend([call, other]);
    }
    let fields = "fragment All on Call { callId agent { name } said: transcript { sequence text }
        sentiment { segment score } sentimentSummary { speaker turns mean } history(first: 2) { nodes { type } } }";
    let one = format!("query ($id: UUID!) {{ call(callId: $id) {{ ...All }} }} {fields}");
    let mut alone = Vec::new();
    for id in ids.iter().rev() {
        alone.push(boss.query(&one, json!({ "id": id })).await["call"].take());
    }
    let turns = column(&alone, "/sentimentSummary").iter().map(|of| of[0]["turns"].as_i64()).collect::<Vec<_>>();
    assert_eq!(turns, [None, Some(3), None, Some(2), None, Some(1)]);
    let by_nodes = boss.query(&format!("{{ calls {{ nodes {{ ...All }} }} }} {fields}"), json!({})).await;
    assert_eq!(by_nodes["calls"]["nodes"], json!(alone));
    let by_edges =
        boss.query(&format!("{{ c: calls {{ edges {{ n: node {{ ...All }} }} }} }} {fields}"), json!({})).await;
    assert_eq!(column(by_edges["c"]["edges"].as_array().unwrap(), "/n"), alone);
    // Two ways at once, each with what the other does not ask for.
    let both = "{ calls { edges { node { callId agent { name } } } nodes { callId transcript { sequence text } } } }";
    let both = boss.query(both, json!({})).await;
    let transcripts = column(both["calls"]["nodes"].as_array().unwrap(), "/transcript");
    assert_eq!(transcripts, column(&alone, "/said"));
    let agents = column(both["calls"]["edges"].as_array().unwrap(), "/node/agent");
    assert_eq!(agents, column(&alone, "/agent"));
    world.end().await;
}
