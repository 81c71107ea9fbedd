//! Objects by global id, and lists in pages, as Relay wants them.

use domain::permission::Role;
use serde_json::{Value, json};
use tests::Client;
use uuid::Uuid;

use super::{BAD_INPUT, World, column};

const NODE: &str = "query ($id: ID!) { node(id: $id) { __typename id
    ... on Call { callId agent { id agentId } transcript(last: 1) { text } }
    ... on Agent { agentId name } ... on Queue { name calls { callId } } ... on User { userId email } } }";
const NODES: &str = "query ($ids: [ID!]!) { nodes(ids: $ids) { __typename id } }";

/// An object by its global id.
async fn node(client: &Client, id: &Value) -> Value {
    client.query(NODE, json!({ "id": id })).await["node"].take()
}

/// Ids of a call of Ann's, a call of Bob's, Ann, a queue, and Ann's account.
struct Known {
    ann_call: Value,
    bob_call: Value,
    agent: Value,
    queue: Value,
    user: Value,
}

async fn known(world: &World) -> Known {
    let own = world.connected_to(&world.ann).await;
    let foreign = world.connected_to(&world.bob).await;
    world.say(own, 0, "never mind").await;
    let at = world.say(own, 1_000, "the last words").await;
    let waits = world.call().await;
    let queued = world.supervisor.accepted("queueCall", json!({ "callId": waits, "queue": "sales" })).await;
    let boss = &world.supervisor;
    let seen = "query ($at: Position) { searchTranscripts(text: \"words\", atLeast: $at) { nodes { snippet } } }";
    boss.query(seen, json!({ "at": at })).await;
    let document = "query ($own: UUID!, $foreign: UUID!, $agent: UUID!, $at: Position) {
        own: call(callId: $own, atLeast: $at) { id callId } foreign: call(callId: $foreign) { id callId }
        agent(agentId: $agent, atLeast: $at) { id agentId } queues(atLeast: $at) { id name } }";
    let variables = json!({ "own": own, "foreign": foreign, "agent": world.ann.agent_id, "at": queued });
    let mut data = boss.query(document, variables).await;
    let user = world.ann.client.query("{ viewer { id } }", json!({})).await["viewer"]["id"].take();
    Known {
        ann_call: data["own"]["id"].take(),
        bob_call: data["foreign"]["id"].take(),
        agent: data["agent"]["id"].take(),
        queue: data["queues"][0]["id"].take(),
        user,
    }
}

#[tokio::test]
async fn every_object_is_found_by_its_id() {
    let world = World::new().await;
    let known = known(&world).await;
    let admin = world.server.signed_in(Role::Admin).await;
    let call = node(&admin, &known.ann_call).await;
    assert_eq!((&call["__typename"], &call["id"]), (&json!("Call"), &known.ann_call));
    assert_eq!(call["agent"], json!({ "id": known.agent, "agentId": world.ann.agent_id }));
    assert_eq!(call["transcript"], json!([{ "text": "the last words" }]));
    let agent = node(&admin, &known.agent).await;
    let ann = json!({ "__typename": "Agent", "id": known.agent, "agentId": world.ann.agent_id, "name": "Ann" });
    assert_eq!(agent, ann);
    let queue = node(&admin, &known.queue).await;
    assert_eq!((&queue["__typename"], &queue["id"], &queue["name"]), (&json!("Queue"), &known.queue, &json!("sales")));
    assert_eq!(queue["calls"].as_array().unwrap().len(), 1);
    let user = node(&admin, &known.user).await;
    assert_eq!((&user["__typename"], &user["userId"]), (&json!("User"), &json!(world.ann.user_id)));

    // Opaque, and fit for a URL.
    let ids = [&known.ann_call, &known.bob_call, &known.agent, &known.queue, &known.user];
    for id in ids {
        let text = id.as_str().unwrap();
        assert!(text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)), "{text}");
    }
    // In the order asked for, as often as asked for, and null where there is nothing.
    let asked = json!([known.user, "forged", known.queue, known.agent, known.user, known.ann_call, ""]);
    let found = admin.query(NODES, json!({ "ids": asked })).await["nodes"].take();
    let found: Vec<Value> = found.as_array().unwrap().iter().map(|node| node["id"].clone()).collect();
    let [user, queue, agent, call] = [&known.user, &known.queue, &known.agent, &known.ann_call].map(Clone::clone);
    assert_eq!(found, [user.clone(), Value::Null, queue, agent, user, call, Value::Null]);
    world.end().await;
}

#[tokio::test]
async fn what_is_not_there_or_not_visible_is_null() {
    let world = World::new().await;
    let known = known(&world).await;
    let ann = &world.ann.client;
    // As by the query of each type: own calls, every agent and queue, and of users oneself.
    for (id, visible) in [
        (&known.ann_call, true),
        (&known.bob_call, false),
        (&known.agent, true),
        (&known.queue, true),
        (&known.user, true),
    ] {
        assert_eq!(!node(ann, id).await.is_null(), visible, "{id}");
    }
    let boss = &world.supervisor;
    let bob = world.bob.client.query("{ viewer { id } }", json!({})).await["viewer"]["id"].take();
    assert!(node(ann, &bob).await.is_null());
    assert!(!node(boss, &bob).await.is_null());
    let all = json!([known.ann_call, known.bob_call, known.agent, bob, known.user]);
    let found = ann.query(NODES, json!({ "ids": all })).await["nodes"].take();
    let there: Vec<bool> = found.as_array().unwrap().iter().map(|node| !node.is_null()).collect();
    assert_eq!(there, [true, false, true, false, true]);

    // Of an agent, one's own only; nothing at all; and whoever lacks a right below the call is told so.
    let server = &world.server;
    let given = async |agent_id, permissions: &[&str]| {
        let user = server.user(Role::Agent, agent_id, permissions).await;
        let admin = server.signed_in(Role::Admin).await;
        let set = "mutation ($input: SetUserRoleInput!) { setUserRole(input: $input) { userId } }";
        admin.query(set, json!({ "input": { "userId": user.id, "role": "AGENT", "permissions": permissions } })).await;
        server.sign_in(&user).await
    };
    let stranger = given(Some(Uuid::now_v7()), &[]).await;
    assert!(node(&stranger, &known.ann_call).await.is_null());
    assert!(node(&stranger, &known.user).await.is_null());

    let nobody = server.anonymous();
    for id in [&known.ann_call, &json!("forged")] {
        assert_eq!(nobody.refused(NODE, json!({ "id": id })).await.code, "UNAUTHENTICATED");
        assert_eq!(nobody.refused(NODES, json!({ "ids": [id] })).await.code, "UNAUTHENTICATED");
    }
    // Another type's key, an unknown key, and no key at all.
    let unknown = ["", "AAAA", "!", "Q2FsbA", "Q2FsbDo", "Q2FsbDo0Mg", "Tm9ib2R5OjQy", "\u{0}", &"A".repeat(10_000)];
    for id in unknown.map(|id| json!(id)) {
        assert!(node(boss, &id).await.is_null(), "{id}");
    }
    let other = node(boss, &json!("Q2FsbDowMThmM2YzZi0wMDAwLTcwMDAtODAwMC0wMDAwMDAwMDAwMDA")).await;
    assert!(other.is_null(), "a call that never was");
    world.end().await;
}

#[tokio::test]
async fn only_so_many_are_asked_for_at_once() {
    let world = World::new().await;
    let known = known(&world).await;
    let ids = |count: usize| json!({ "ids": vec![known.agent.clone(); count] });
    let found = world.supervisor.query(NODES, ids(100)).await;
    assert_eq!(column(found["nodes"].as_array().unwrap(), "/id"), vec![known.agent.clone(); 100]);
    assert_eq!(world.supervisor.query(NODES, ids(0)).await["nodes"], json!([]));
    assert_eq!(world.supervisor.refused(NODES, ids(101)).await.words(), (BAD_INPUT, "TOO_MANY_IDS"));
    world.end().await;
}

#[tokio::test]
async fn users_and_histories_go_both_ways() {
    let world = World::new().await;
    let admin = world.server.signed_in(Role::Admin).await;
    let document = "query ($first: Int, $after: String, $last: Int, $before: String) {
        users(first: $first, after: $after, last: $last, before: $before) {
            edges { cursor node { userId } } pageInfo { hasNextPage hasPreviousPage startCursor endCursor } } }";
    let all = admin.query(document, json!({})).await["users"]["edges"].take();
    let all = column(all.as_array().unwrap(), "/node/userId");
    assert_eq!(all.len(), 4);
    let one = admin.query(document, json!({ "first": 3 })).await["users"].take();
    assert_eq!(column(one["edges"].as_array().unwrap(), "/node/userId"), all[..3]);
    assert_eq!(one["pageInfo"]["hasNextPage"], json!(true));
    let rest = admin.query(document, json!({ "first": 3, "after": one["pageInfo"]["endCursor"] })).await;
    assert_eq!(column(rest["users"]["edges"].as_array().unwrap(), "/node/userId"), all[3..]);
    assert_eq!(rest["users"]["pageInfo"]["hasNextPage"], json!(false));
    let back = admin.query(document, json!({ "last": 2, "before": one["pageInfo"]["endCursor"] })).await;
    assert_eq!(column(back["users"]["edges"].as_array().unwrap(), "/node/userId"), all[..2]);
    assert_eq!(back["users"]["pageInfo"]["hasPreviousPage"], json!(false));

    let (call, other) = (world.connected_to(&world.ann).await, world.call().await);
    let at = world.ann.client.accepted("holdCall", json!({ "callId": call })).await;
    let document = "query ($id: UUID!, $first: Int, $after: String, $last: Int, $before: String, $at: Position) {
        alone: callHistory(callId: $id, first: $first, after: $after, last: $last, before: $before) { ...Page }
        call(callId: $id, atLeast: $at) { history(first: $first, after: $after, last: $last, before: $before) { ...Page } } }
        fragment Page on StoredEventConnection { nodes { version type } pageInfo { hasNextPage hasPreviousPage startCursor endCursor } }";
    let page = async |mut variables: Value| {
        (variables["id"], variables["at"]) = (json!(call), json!(at));
        let mut data = admin.query(document, variables).await;
        let alone = data["alone"].take();
        assert_eq!(data["call"]["history"], alone);
        (column(alone["nodes"].as_array().unwrap(), "/version"), alone["pageInfo"].clone())
    };
    let (versions, _) = page(json!({})).await;
    assert_eq!(versions, [1, 2, 3, 4]);
    let (versions, info) = page(json!({ "last": 2 })).await;
    assert_eq!((versions, &info["hasPreviousPage"]), (vec![json!(3), json!(4)], &json!(true)));
    let (versions, info) = page(json!({ "last": 2, "before": info["startCursor"] })).await;
    assert_eq!((versions, &info["hasPreviousPage"]), (vec![json!(1), json!(2)], &json!(false)));
    let (versions, _) = page(json!({ "first": 9, "after": info["startCursor"] })).await;
    assert_eq!(versions, [2, 3, 4]);
    // A place in one call's history is none in another's.
    for (field, count) in [("after", "first"), ("before", "last")] {
        let document = format!(
            "query ($id: UUID!, $place: String) {{ call(callId: $id) {{ history({count}: 1, {field}: $place) {{ nodes {{ type }} }} }} }}"
        );
        let refusal = admin.refused(&document, json!({ "id": other, "place": info["startCursor"] })).await;
        assert_eq!(refusal.words(), (BAD_INPUT, "CURSOR_OF_OTHER_SCOPE"), "{field}");
    }
    world.end().await;
}

#[tokio::test]
async fn the_last_words_of_each_call() {
    let world = World::new().await;
    let boss = &world.supervisor;
    let (long, short) = (world.connected_to(&world.ann).await, world.connected_to(&world.bob).await);
    let mut corrected = 0;
    for n in 0..12 {
        corrected = world.say(long, n * 1_000, &format!("line {n}")).await;
    }
    world.say(short, 0, "only this").await;
    let correction = json!({ "callId": long, "supersedes": 12, "text": "line eleven", "model": "m" });
    let at = match boss.command("correctTranscriptSegment", correction).await {
        tests::Command::Accepted { position, .. } => position,
        refused => panic!("{refused:?} after {corrected}"),
    };
    boss.query(
        "query ($at: Position) { searchTranscripts(text: \"x\", atLeast: $at) { nodes { snippet } } }",
        json!({ "at": at }),
    )
    .await;
    let document = "query ($last: Int) { calls(first: 2) { nodes { callId transcript(last: $last) { text } whole: transcript { text } } } }";
    let data = boss.query(document, json!({ "last": 3 })).await;
    let calls = data["calls"]["nodes"].as_array().unwrap();
    let [short_call, long_call] = [&calls[0], &calls[1]];
    assert_eq!((&short_call["callId"], &long_call["callId"]), (&json!(short), &json!(long)));
    assert_eq!(column(long_call["transcript"].as_array().unwrap(), "/text"), ["line 9", "line 10", "line eleven"]);
    assert_eq!(long_call["whole"].as_array().unwrap().len(), 12);
    assert_eq!(short_call["transcript"], short_call["whole"]);
    for out_of_bounds in [0, 101, -1] {
        let refusal = boss.refused(document, json!({ "last": out_of_bounds })).await;
        assert_eq!(refusal.words(), (BAD_INPUT, "PAGE_SIZE"), "{out_of_bounds}");
    }
    boss.query(document, json!({ "last": 100 })).await;
    world.end().await;
}
