//! How often PostgreSQL is asked depends on the document, not on how much there is.

use api::Limits;
use domain::permission::Role;
use serde_json::{Value, json};
use tests::{Client, Statements, TestDatabase, TestServer};
use uuid::Uuid;

use super::{column, initiate, segment, worker};

/// Everything that belongs to a call.
const CALL: &str = "fragment Everything on Call { id callId state legs { leg agentId }
    agent { id name contacts { callId } capabilities { name } }
    transcript { text } lately: transcript(last: 1) { text } latest: transcript(last: 1) { sequence }
    sentiment { score emotions { name } } sentimentSummary { mean } history(first: 2) { nodes { type } }
    ending: history(last: 2) { nodes { type } } }";
/// Rows of each list; and a tenth of them.
const MANY: usize = 100;
const FEW: usize = 10;

/// A system that is asked through connections that are counted.
struct Counted {
    server: TestServer,
    statements: Statements,
    boss: Client,
    _database: TestDatabase,
}

impl Counted {
    async fn new() -> Self {
        let database = TestDatabase::new().await;
        let (readers, statements) = Statements::of(&database).await;
        // Everything at once is more than a client may ask for.
        let limits = Limits { complexity: 1_000_000, ..Limits::default() };
        let server = TestServer::start_reading_by(&database, readers, limits).await;
        let boss = server.signed_in(Role::Admin).await;
        Self { server, statements, boss, _database: database }
    }

    /// The statements for an operation with few rows and with many; the answers have as many as were asked for.
    async fn compare(&mut self, document: &str, few: &Value, many: &Value, list: &str) -> Vec<String> {
        let mut counted = Vec::new();
        for (variables, rows) in [(few, FEW), (many, MANY)] {
            let boss = &self.boss;
            let (data, statements) = self.statements.during(boss.query(document, variables.clone())).await;
            let found = data.pointer(list).and_then(Value::as_array).unwrap_or_else(|| panic!("{list} in {data}"));
            assert_eq!(found.iter().filter(|row| !row.is_null()).count(), rows, "{document}");
            counted.push(statements);
        }
        let (few, many) = (counted.remove(0), counted.remove(0));
        assert_eq!(few.len(), many.len(), "{document}: {few:#?} and {many:#?}");
        many
    }
}

/// Calls that an agent has, each with something said; their ids.
async fn calls(boss: &Client, agents: &[Uuid]) -> Vec<Value> {
    let (mut ids, mut position) = (Vec::new(), 0);
    for agent_id in agents {
        let call_id = Uuid::now_v7();
        boss.accepted("initiateCall", initiate(call_id)).await;
        boss.accepted("offerCall", json!({ "callId": call_id, "agentId": agent_id })).await;
        boss.accepted("answerCall", json!({ "callId": call_id, "agentId": agent_id })).await;
        boss.accepted("addTranscriptSegment", segment(call_id, 0, "this is great")).await;
        position = boss.accepted("addTranscriptSegment", segment(call_id, 1_000, "and so is that")).await;
        ids.push(json!(call_id));
    }
    let seen = "query ($at: Position) { calls(first: 1, atLeast: $at) { nodes { callId } } searchTranscripts(text: \"x\", atLeast: $at) { nodes { snippet } } }";
    boss.query(seen, json!({ "at": position })).await;
    ids
}

#[tokio::test]
async fn lists_ask_as_often_for_many_rows_as_for_few() {
    let mut world = Counted::new().await;
    let mut agents = Vec::new();
    for n in 0..MANY {
        agents.push(worker(&world.server, &world.boss, &format!("Agent {n}"), "red").await.agent_id);
    }
    calls(&world.boss, &agents).await;
    let (few, many) = (json!({ "first": FEW }), json!({ "first": MANY }));

    let document = format!("query ($first: Int) {{ calls(first: $first) {{ nodes {{ ...Everything }} }} }} {CALL}");
    let statements = world.compare(&document, &few, &many, "/calls/nodes").await;
    let asked = |what: &str| statements.iter().filter(|statement| statement.contains(what)).count();
    // Who asks; a snapshot; the calls; their legs; their agents; transcripts whole and cut; scores; the two ends of histories; the end.
    assert_eq!(statements.len(), 11, "{statements:#?}");
    assert_eq!((asked("FROM read.transcripts"), asked("FROM read.sentiment t"), asked("FROM events")), (2, 1, 2));
    let by_edges = document.replace("nodes { ...Everything }", "edges { cursor node { ...Everything } }");
    assert_eq!(world.compare(&by_edges, &few, &many, "/calls/edges").await.len(), 11);
    // Two ways to the nodes, which ask for different things, share what they read.
    let both = "query ($first: Int) { calls(first: $first) {
        edges { node { transcript { text } agent { name } } } nodes { transcript { sequence } sentiment { score } } } }";
    let found = world.compare(both, &few, &many, "/calls/nodes").await;
    assert_eq!(found.len(), 7, "legs are read for who shows them: {found:#?}");
    assert!(!found.iter().any(|sql| sql.contains("t.confidence") || sql.contains("agent_contacts")), "{found:#?}");

    let document =
        "query ($first: Int) { agents(first: $first) { nodes { id contacts { callId } capabilities { name } } } }";
    let found = world.compare(document, &few, &many, "/agents/nodes").await;
    assert_eq!(found.len(), 4, "{found:#?}");
    let document = "query ($first: Int) { users(first: $first) { nodes { id email permissions } } }";
    assert_eq!(world.compare(document, &few, &many, "/users/nodes").await.len(), 2);
    let document = "query ($first: Int) { searchTranscripts(text: \"great\", first: $first) { nodes { snippet } } }";
    assert_eq!(world.compare(document, &few, &many, "/searchTranscripts/nodes").await.len(), 4);

    let (ids, all) = ("query ($ids: [ID!]!) { nodes(ids: $ids) { __typename id ...Everything } }", 100);
    let known = world.boss.query("{ calls(first: 100) { nodes { id } } }", json!({})).await;
    let known = column(known["calls"]["nodes"].as_array().unwrap(), "/id");
    assert_eq!(known.len(), all);
    let (few, many) = (json!({ "ids": known[..FEW] }), json!({ "ids": known }));
    let found = world.compare(&format!("{ids} {CALL}"), &few, &many, "/nodes").await;
    assert_eq!(found.len(), 11, "{found:#?}");
    world.server.stop().await;
}

#[tokio::test]
async fn queues_and_mixed_nodes_too() {
    let mut world = Counted::new().await;
    let queues = "query ($at: Position) { queues(atLeast: $at) { id name calls { callId } } }";
    let (mut answers, mut ids) = (Vec::new(), Vec::new());
    for n in 1..=MANY {
        let call_id = Uuid::now_v7();
        world.boss.accepted("initiateCall", initiate(call_id)).await;
        let queued = json!({ "callId": call_id, "queue": format!("queue {n}") });
        let position = world.boss.accepted("queueCall", queued).await;
        if n == FEW || n == MANY {
            let asked = world.boss.query(queues, json!({ "at": position }));
            let (data, statements) = world.statements.during(asked).await;
            ids = column(data["queues"].as_array().unwrap(), "/id");
            assert_eq!(ids.len(), n);
            answers.push(statements.len());
        }
    }
    // Who asks; a snapshot; the queues; who waits in them; the end.
    assert_eq!(answers, [5, 5]);
    let users = world.boss.query("{ viewer { id } }", json!({})).await["viewer"]["id"].take();
    let calls = world.boss.query("{ calls(first: 40) { nodes { id } } }", json!({})).await;
    let calls = column(calls["calls"]["nodes"].as_array().unwrap(), "/id");
    let mixed = |count: usize| {
        let ids = [std::slice::from_ref(&users), &calls[..count], &ids[..count]].concat();
        json!({ "ids": ids })
    };
    let document = "query ($ids: [ID!]!) { nodes(ids: $ids) { id ... on Queue { calls { place } } ... on Call { transcript(last: 5) { text } } } }";
    let mut counts = Vec::new();
    for count in [3, 40] {
        let (data, statements) = world.statements.during(world.boss.query(document, mixed(count))).await;
        assert_eq!(column(data["nodes"].as_array().unwrap(), "/id"), mixed(count)["ids"].as_array().unwrap()[..]);
        counts.push(statements.len());
    }
    // Who asks; a snapshot; queues; who waits; calls; their legs; the users; transcripts; the end.
    assert_eq!(counts, [9, 9]);
    world.server.stop().await;
}
