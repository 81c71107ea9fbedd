//! What operations cost: lists by their length, and the limit fits what is useful.

use api::Limits;
use domain::permission::Role;
use serde_json::{Value, json};
use tests::{Client, TestDatabase, TestServer};

/// Per call 1 for `nodes`, 1, 1 + 1, 1 + 10 * 2; for the list 1.
const CALLS: &str = "query ($first: Int, $last: Int) { calls(first: $first) { nodes { callId agent { name } transcript(last: $last) { text sequence } } } }";

#[tokio::test]
async fn a_list_costs_as_many_elements_as_the_document_asks_for() {
    let database = TestDatabase::new().await;
    let limits = Limits { complexity: 1 + 100 * 25, ..Limits::default() };
    let server = TestServer::start_with(&database, limits).await;
    let boss = server.signed_in(Role::Supervisor).await;
    let refused = ("COMPLEXITY_LIMIT", "COST");
    boss.query(CALLS, json!({ "first": 100, "last": 10 })).await;
    assert_eq!(boss.refused(CALLS, json!({ "first": 100, "last": 11 })).await.words(), refused);
    // The same in the document itself.
    let spelled = |first: usize, last: usize| {
        let document = CALLS.replace("query ($first: Int, $last: Int)", "").replace("$first", &first.to_string());
        document.replace("$last", &last.to_string())
    };
    boss.query(&spelled(100, 10), json!({})).await;
    assert_eq!(boss.refused(&spelled(100, 11), json!({})).await.words(), refused);
    // One field more is one point an element more.
    let more = spelled(100, 10).replace("callId", "callId state");
    assert_eq!(boss.refused(&more, json!({})).await.words(), refused);
    boss.query(&more.replace("first: 100", "first: 96"), json!({})).await;
    // Without arguments, 20 calls with their whole transcripts, which count as 100 lines: 1 + 20 * 205.
    assert_eq!(boss.refused(CALLS, json!({})).await.words(), refused);
    boss.query(CALLS, json!({ "first": 12 })).await;
    assert_eq!(boss.refused(CALLS, json!({ "first": 13 })).await.words(), refused);
    server.stop().await;
}

/// Every field of a type that stands for itself, and what is asked for below the others.
async fn fields(client: &Client, kind: &str, below: &[(&str, &str)]) -> String {
    let document = "query ($name: String!) { __type(name: $name) { fields { name type { kind ofType { kind ofType { kind } } } } } }";
    let data = client.query(document, json!({ "name": kind })).await;
    let plain = |field: &Value| {
        let ty = &field["type"];
        [&ty["kind"], &ty["ofType"]["kind"]]
            .iter()
            .any(|kind| ["SCALAR", "ENUM"].contains(&kind.as_str().unwrap_or("")))
    };
    let all = data["__type"]["fields"].as_array().unwrap();
    let mut text: String =
        all.iter().filter(|field| plain(field)).map(|field| format!("{} ", field["name"].as_str().unwrap())).collect();
    for (field, selection) in below {
        text += &format!("{field} {{ {selection} }} ");
    }
    text
}

#[tokio::test]
async fn the_heaviest_useful_document_passes_and_ten_of_it_do_not() {
    let database = TestDatabase::new().await;
    let server = TestServer::start(&database).await;
    let boss = server.signed_in(Role::Supervisor).await;
    let agent_below = [("contacts", "callId leg state stateSince consult"), ("capabilities", "name level")];
    let (leg, line) = (fields(&boss, "Leg", &[]).await, fields(&boss, "TranscriptSegment", &[]).await);
    let agent = fields(&boss, "Agent", &agent_below).await;
    let below = [("legs", &*leg), ("agent", &*agent), ("transcript(last: 10)", &*line)];
    let call = fields(&boss, "Call", &below).await;
    assert!(call.split_whitespace().count() > 90, "{call}");
    let calls = "calls(first: 100) { edges { cursor node { ...All } } pageInfo { hasNextPage endCursor } }";
    let heaviest = format!("{{ {calls} }} fragment All on Call {{ {call} }}");
    boss.query(&heaviest, json!({})).await;
    let ten: String = (0..10).map(|n| format!("c{n}: {calls} ")).collect();
    let refusal = boss.refused(&format!("{{ {ten} }} fragment All on Call {{ {call} }}"), json!({})).await;
    assert_eq!(refusal.words(), ("COMPLEXITY_LIMIT", "COST"));
    // Nor does the same with ten times the lines.
    let longer = heaviest.replace("transcript(last: 10)", "transcript(last: 100)");
    assert_eq!(boss.refused(&longer, json!({})).await.words(), ("COMPLEXITY_LIMIT", "COST"));
    // The bound that users read is the one that is held.
    let data = boss.query("{ __type(name: \"Query\") { description } }", json!({})).await;
    let description = data["__type"]["description"].as_str().unwrap().replace(',', "");
    assert!(description.contains(&format!("more than {} points", Limits::default().complexity)), "{description}");
    server.stop().await;
}

/// What an analyst reads: a page of calls with all that was said in them, who said it and in which mood.
#[tokio::test]
async fn a_hundred_calls_with_their_whole_transcripts_pass_and_twice_as_many_do_not() {
    let database = TestDatabase::new().await;
    let server = TestServer::start(&database).await;
    let boss = server.signed_in(Role::Supervisor).await;
    let page = "calls(first: 100) { edges { node { callId state agent { name } legs { outcome state }
        transcript { speaker beginMs endMs text } sentiment { score } } } }";
    boss.query(&format!("{{ {page} }}"), json!({})).await;
    let twice = boss.refused(&format!("{{ a: {page} b: {page} }}"), json!({})).await;
    assert_eq!(twice.words(), ("COMPLEXITY_LIMIT", "COST"));
    server.stop().await;
}
