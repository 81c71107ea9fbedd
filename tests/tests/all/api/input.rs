//! What can't be taken: each gets a stable code, changes nothing, and tells nothing of the inside.

use domain::permission::Role;
use serde_json::{Value, json};
use tests::{Client, Command, Refusal, TestDatabase, TestServer};
use uuid::Uuid;

use super::{BAD_INPUT, World, history, initiate, segment};

const CALLS: &str = "query ($first: Int, $after: String, $last: Int, $before: String, $filter: CallFilterInput) {
    calls(first: $first, after: $after, last: $last, before: $before, filter: $filter) {
        edges { cursor } pageInfo { hasNextPage } } }";
const BEYOND: &str = "COMPLEXITY_LIMIT";
const VALIDATION: (&str, &str) = ("GRAPHQL_VALIDATION_FAILED", "");

/// Words that have no place in what a client reads.
fn tells_nothing(refusal: &Refusal) {
    let message = refusal.message.to_lowercase();
    for inside in ["sql", "select ", "relation", "read.", "postgres", "database", "constraint", "panicked", ".rs"] {
        assert!(!message.contains(inside), "{refusal:?}");
    }
    assert_ne!(refusal.code, "INTERNAL_SERVER_ERROR", "{refusal:?}");
}

async fn refused(client: &Client, document: &str, variables: Value, words: (&str, &str)) {
    let refusal = client.refused(document, variables.clone()).await;
    tells_nothing(&refusal);
    assert_eq!(refusal.words(), words, "{document} {variables}: {refusal:?}");
}

async fn command_refused(client: &Client, command: &str, input: Value, words: (&str, &str)) {
    let refusal = client.command_refused(command, input.clone()).await;
    tells_nothing(&refusal);
    assert_eq!(refusal.words(), words, "{command} {input}: {refusal:?}");
}

fn changed(mut input: Value, change: Value) -> Value {
    input.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
    input
}

#[tokio::test]
async fn texts_and_numbers_out_of_bounds() {
    let world = World::new().await;
    let call = world.call().await;
    let before = history(&world.supervisor, call).await;
    let boss = &world.supervisor;
    let phone = (BAD_INPUT, "PHONE_NUMBER_INVALID");
    for number in ["", "12", "+", "call me", "+1415555267100000000", "+1 (415) \u{0}5552671", "٣٤٥"] {
        for field in ["from", "to"] {
            let input = changed(initiate(Uuid::now_v7()), json!({ field: number }));
            command_refused(boss, "initiateCall", input, phone).await;
        }
    }
    let transfer = json!({ "callId": call, "target": { "externalNumber": "nowhere" } });
    command_refused(boss, "transferBlind", transfer, phone).await;

    let (empty, long) = ((BAD_INPUT, "TEXT_EMPTY"), (BAD_INPUT, "TEXT_TOO_LONG"));
    let control = (BAD_INPUT, "TEXT_CONTROL_CHARACTER");
    let queue = |name: &str| json!({ "callId": call, "queue": name });
    for (name, words) in [
        ("", empty),
        ("  \t", empty),
        ("\u{0}", control),
        ("sa\nles", control),
        ("sales\u{7}", control),
        ("sales\u{85}x", control),
        (&"q".repeat(65), long),
    ] {
        command_refused(boss, "queueCall", queue(name), words).await;
    }
    for (text, words) in [(&*"x".repeat(8_001), long), ("", empty), ("nul\u{0}", control), ("bell\u{7}", control)] {
        command_refused(boss, "addTranscriptSegment", segment(call, 0, text), words).await;
    }
    let name = changed(initiate(Uuid::now_v7()), json!({ "customerName": "Eve\u{1b}[2J" }));
    command_refused(boss, "initiateCall", name, control).await;
    let numbers: Vec<(&str, Value)> = vec![
        ("queueCall", changed(queue("sales"), json!({ "priority": 32_768 }))),
        ("queueCall", changed(queue("sales"), json!({ "priority": 1.5 }))),
        ("queueCall", changed(queue("sales"), json!({ "priority": "1" }))),
        ("holdCall", json!({ "callId": call, "leg": -1 })),
        ("holdCall", json!({ "callId": call, "leg": 4_294_967_296_u64 })),
        ("holdCall", json!({ "callId": call, "leg": 1e300 })),
        ("holdCall", json!({ "callId": call, "expectedVersion": 18_446_744_073_709_551_615_u64 })),
        ("holdCall", json!({ "callId": call, "commandId": "not an id" })),
        ("holdCall", json!({ "callId": call, "commandId": 7 })),
        ("registerAgent", json!({ "name": "A", "capacity": 256 })),
        ("changePresence", json!({ "presence": "SLEEPING" })),
        ("addTranscriptSegment", changed(segment(call, 0, "x"), json!({ "beginMs": 4_294_967_296_u64 }))),
    ];
    for (command, input) in numbers {
        let refusal = boss.command_refused(command, input.clone()).await;
        tells_nothing(&refusal);
        let known = [BAD_INPUT, VALIDATION.0].contains(&refusal.code.as_str());
        assert!(known, "{command} {input}: {refusal:?}");
    }
    let negative = json!({ "callId": call, "expectedVersion": -1 });
    command_refused(boss, "holdCall", negative, (BAD_INPUT, "VERSION_NEGATIVE")).await;
    let nameless = changed(initiate(call), json!({ "callId": null, "commandId": Uuid::now_v7() }));
    command_refused(boss, "initiateCall", nameless, (BAD_INPUT, "CALL_ID_MISSING")).await;
    command_refused(boss, "answerCall", json!({ "callId": call }), (BAD_INPUT, "AGENT_MISSING")).await;
    assert_eq!(history(boss, call).await, before);
    // The bounds themselves are taken, and what is longest in bytes, too.
    world.say(call, 0, &"ž".repeat(8_000)).await;
    boss.accepted("queueCall", queue(&"ž".repeat(64))).await;
    world.end().await;
}

#[tokio::test]
async fn rules_answer_with_their_names() {
    let world = World::new().await;
    let (boss, call) = (&world.supervisor, world.call().await);
    let rule = |rule: &str| Command::Refused(rule.to_owned());
    for (command, input, expected) in [
        ("queueCall", json!({ "callId": Uuid::now_v7(), "queue": "sales" }), "CALL_UNKNOWN"),
        ("endCall", json!({ "callId": Uuid::now_v7(), "by": "AGENT", "reason": "OTHER" }), "CALL_UNKNOWN"),
        ("addTranscriptSegment", segment(Uuid::now_v7(), 0, "x"), "CALL_UNKNOWN"),
        ("initiateCall", initiate(call), "CALL_ALREADY_INITIATED"),
        ("holdCall", json!({ "callId": call }), "NO_LEG_CONNECTED"),
        ("holdCall", json!({ "callId": call, "leg": 3 }), "LEG_NOT_CONNECTED"),
        ("abandonCall", json!({ "callId": call }), "NOT_WAITING"),
        ("offerCall", json!({ "callId": call, "agentId": Uuid::now_v7() }), "AGENT_UNKNOWN"),
        (
            "offerCall",
            json!({ "callId": call, "agentId": world.ann.agent_id, "ringTimeoutMs": 0 }),
            "RING_TIMEOUT_OUT_OF_RANGE",
        ),
        ("signInAgent", json!({ "agentId": world.ann.agent_id }), "ALREADY_SIGNED_IN"),
        ("registerAgent", json!({ "name": "A", "capacity": 0 }), "CAPACITY_OUT_OF_RANGE"),
        (
            "scoreSentiment",
            json!({ "callId": call, "segment": 1, "score": 0.5, "model": "m", "modelVersion": "1" }),
            "SEGMENT_UNKNOWN",
        ),
        (
            "correctTranscriptSegment",
            json!({ "callId": call, "supersedes": 1, "text": "x", "model": "m" }),
            "SEGMENT_UNKNOWN",
        ),
        ("addTranscriptSegment", changed(segment(call, 900, "x"), json!({ "endMs": 1 })), "SEGMENT_TIMES_REVERSED"),
        (
            "addTranscriptSegment",
            changed(segment(call, 0, "x"), json!({ "confidence": 1.01 })),
            "CONFIDENCE_OUT_OF_RANGE",
        ),
    ] {
        assert_eq!(boss.command(command, input).await, rule(expected), "{command}");
    }
    let stale = json!({ "callId": call, "queue": "sales", "expectedVersion": 7 });
    assert_eq!(boss.command("queueCall", stale).await, rule("VERSION_CONFLICT"));
    let exact = json!({ "callId": call, "queue": "sales", "expectedVersion": 1 });
    boss.accepted("queueCall", exact.clone()).await;
    assert_eq!(boss.command("queueCall", exact).await, rule("VERSION_CONFLICT"));
    assert_eq!(history(boss, call).await.len(), 2);
    world.end().await;
}

#[tokio::test]
async fn what_is_not_there() {
    let world = World::new().await;
    let (boss, id) = (&world.supervisor, json!({ "id": Uuid::now_v7() }));
    let call = boss.query("query ($id: UUID!) { call(callId: $id) { state } }", id.clone()).await;
    assert_eq!(call, json!({ "call": null }));
    let agent = boss.query("query ($id: UUID!) { agent(agentId: $id) { name } }", id.clone()).await;
    assert_eq!(agent, json!({ "agent": null }));
    let long_ago = json!({ "id": world.call().await, "at": "2001-01-01T00:00:00Z" });
    let then = "query ($id: UUID!, $at: DateTime!) { call(callId: $id, asOf: $at) { state } }";
    assert_eq!(boss.query(then, long_ago).await, json!({ "call": null }));
    let history = "query ($id: UUID!) { callHistory(callId: $id) { nodes { type } } }";
    refused(boss, history, id.clone(), ("NOT_FOUND", "")).await;
    for field in ["call", "transcript", "sentiment", "replayCall"] {
        let document = format!("subscription ($id: UUID!) {{ {field}(callId: $id) {{ cursor }} }}");
        let refusal = boss.subscription_refused(&document, id.clone()).await;
        assert_eq!(refusal.words(), ("NOT_FOUND", ""), "{field}");
    }
    world.end().await;
}

#[tokio::test]
async fn pages_and_cursors() {
    let world = World::new().await;
    let boss = &world.supervisor;
    let position = boss.accepted("initiateCall", initiate(Uuid::now_v7())).await;
    let at_least = "query ($at: Position) { calls(atLeast: $at) { edges { cursor } } }";
    let calls = boss.query(at_least, json!({ "at": position })).await;
    let call_cursor = calls["calls"]["edges"][0]["cursor"].as_str().unwrap().to_owned();
    for count in [0, -1, 101, i32::MAX] {
        for field in ["first", "last"] {
            refused(boss, CALLS, json!({ field: count }), (BAD_INPUT, "PAGE_SIZE")).await;
        }
    }
    for count in [1, 100] {
        for field in ["first", "last"] {
            let page = boss.query(CALLS, json!({ field: count })).await;
            assert_eq!(page["calls"]["edges"].as_array().unwrap().len(), 1);
        }
    }
    for ambiguous in [
        json!({ "first": 1, "last": 1 }),
        json!({ "first": 1, "before": call_cursor }),
        json!({ "before": call_cursor }),
        json!({ "last": 1, "after": call_cursor }),
    ] {
        refused(boss, CALLS, ambiguous, (BAD_INPUT, "PAGE_AMBIGUOUS")).await;
    }
    let mut forged = call_cursor.clone().into_bytes();
    let last = forged.len() - 3;
    forged[last] = if forged[last] == b'A' { b'B' } else { b'A' };
    let forged = String::from_utf8(forged).unwrap();
    for cursor in ["", "x", "AAAA", "41", "' OR 1=1 --", &forged, &"A".repeat(100_000), "\u{0}"] {
        refused(boss, CALLS, json!({ "after": cursor }), (BAD_INPUT, "CURSOR_INVALID")).await;
    }
    let agents = boss.query("{ agents { edges { cursor } } }", json!({})).await;
    let agent_cursor = agents["agents"]["edges"][0]["cursor"].clone();
    refused(boss, CALLS, json!({ "after": agent_cursor }), (BAD_INPUT, "CURSOR_OF_OTHER_SCOPE")).await;

    // Of another call, by the same field; by another field of the same call.
    let (one, two) = (world.call().await, world.call().await);
    let document =
        "query ($id: UUID!, $after: String) { callHistory(callId: $id, after: $after) { edges { cursor } } }";
    let edges = boss.query(document, json!({ "id": one })).await["callHistory"]["edges"].take();
    let of_one = edges[0]["cursor"].clone();
    let scope = (BAD_INPUT, "CURSOR_OF_OTHER_SCOPE");
    refused(boss, document, json!({ "id": two, "after": of_one }), scope).await;
    let subscription = |field: &str| {
        format!("subscription ($id: UUID!, $after: String) {{ {field}(callId: $id, after: $after) {{ cursor }} }}")
    };
    let pushed = boss.subscribe(&subscription("call"), json!({ "id": one })).await.next().await;
    let cursor = pushed["call"]["cursor"].clone();
    for (field, id) in [("call", two), ("transcript", one), ("sentiment", one), ("replayCall", one)] {
        let refusal = boss.subscription_refused(&subscription(field), json!({ "id": id, "after": cursor })).await;
        assert_eq!(refusal.words(), scope, "{field}");
    }
    let events = "subscription ($after: String, $types: [String!]) { events(after: $after, types: $types) { cursor } }";
    let all = "subscription { events(fromStart: true) { cursor } }";
    let pushed = boss.subscribe(all, json!({})).await.next().await;
    let cursor = &pushed["events"]["cursor"];
    let narrowed = json!({ "after": cursor, "types": ["call.queued"] });
    assert_eq!(boss.subscription_refused(events, narrowed).await.words(), scope);
    let unknown = boss.subscription_refused(events, json!({ "types": ["call.queued", "call.eaten"] })).await;
    assert_eq!(unknown.words(), (BAD_INPUT, "EVENT_TYPE_UNKNOWN"));

    let database = TestDatabase::new().await;
    let elsewhere = TestServer::start(&database).await;
    let other = elsewhere.signed_in(Role::Supervisor).await;
    let refusal = other.subscription_refused(events, json!({ "after": cursor })).await;
    assert_eq!(refusal.words(), (BAD_INPUT, "CURSOR_OF_OTHER_LOG"));
    refused(&other, CALLS, json!({ "after": call_cursor }), (BAD_INPUT, "CURSOR_OF_OTHER_LOG")).await;
    for speed in ["0", "-1", "10001", "1e300", "0.0"] {
        let document = format!("subscription ($id: UUID!) {{ replayCall(callId: $id, speed: {speed}) {{ cursor }} }}");
        let refusal = boss.subscription_refused(&document, json!({ "id": one })).await;
        assert_eq!(refusal.words(), (BAD_INPUT, "SPEED_OUT_OF_RANGE"), "{speed}");
    }
    elsewhere.stop().await;
    world.end().await;
}

/// What PostgreSQL would refuse is refused before, or finds nothing.
#[tokio::test]
async fn filters_with_strange_values() {
    let world = World::new().await;
    let (boss, call) = (&world.supervisor, world.call().await);
    let filter = |filter: Value| json!({ "filter": filter });
    for strange in ["%", "_", "\\", "'", "\";--", "\u{feff}", "a\u{300}", &"x".repeat(10_000)] {
        let page = boss.query(CALLS, filter(json!({ "text": strange }))).await;
        assert_eq!(page["calls"]["edges"], json!([]), "{strange}");
    }
    let nul = (BAD_INPUT, "TEXT_CONTROL_CHARACTER");
    for field in ["text", "queue", "team"] {
        refused(boss, CALLS, filter(json!({ field: "a\u{0}b" })), nul).await;
    }
    for document in [
        "query ($text: String!) { searchTranscripts(text: $text) { nodes { snippet } } }",
        "query ($text: String!) { agents(team: $text) { nodes { name } } }",
        "query ($text: String!) { agents(capability: $text) { nodes { name } } }",
        "query ($text: String!) { dashboard(queue: $text) { waiting } }",
    ] {
        refused(boss, document, json!({ "text": "a\u{0}b" }), nul).await;
    }
    for field in ["agentBoard(team: $text)", "dashboard(queue: $text)"] {
        let document = format!("subscription ($text: String!) {{ {field} {{ cursor }} }}");
        let refusal = boss.subscription_refused(&document, json!({ "text": "a\u{0}b" })).await;
        assert_eq!(refusal.words(), nul, "{field}");
    }
    let search = "query ($text: String!) { searchTranscripts(text: $text) { nodes { snippet } } }";
    for strange in ["'", "\"", "((", "!!", "a & | b", "-", ":*", "or or or", "\u{1f600}"] {
        assert_eq!(boss.query(search, json!({ "text": strange })).await["searchTranscripts"]["nodes"], json!([]));
    }
    for (text, words) in [("", "SEARCH_TEXT_LENGTH"), (&*"x".repeat(201), "SEARCH_TEXT_LENGTH")] {
        refused(boss, search, json!({ "text": text }), (BAD_INPUT, words)).await;
    }

    // Instants that a calendar has and a database has not.
    let instants =
        ["+262142-12-31T23:59:59Z", "-262000-01-01T00:00:00Z", "-4800-01-01T00:00:00Z", "9999-12-31T23:59:59Z"];
    for instant in instants {
        let answer = boss.send(CALLS, filter(json!({ "initiatedFrom": instant }))).await;
        if !answer["errors"].is_null() {
            let refusal = Refusal::of(&answer);
            tells_nothing(&refusal);
            assert_eq!(refusal.code, BAD_INPUT, "{instant}");
        }
        let document = "query ($id: UUID!, $at: DateTime!) { agent(agentId: $id, asOf: $at) { name } call(callId: $id, asOf: $at) { state } }";
        let answer = boss.send(document, json!({ "id": call, "at": instant })).await;
        if !answer["errors"].is_null() {
            let refusal = Refusal::of(&answer);
            tells_nothing(&refusal);
            assert_eq!(refusal.code, BAD_INPUT, "{instant}");
        }
    }
    let at_least = "query ($at: Position) { calls(first: 1, atLeast: $at) { pageInfo { hasNextPage } } }";
    for no_position in [json!(-1), json!(1.5), json!("x"), json!("9223372036854775808"), json!(true), json!([1])] {
        refused(boss, at_least, json!({ "at": no_position }), (BAD_INPUT, "")).await;
    }
    // Ahead of the log: said after a while, and not for ever.
    let ahead = json!({ "at": 9_007_199_254_740_991_i64 });
    refused(boss, at_least, ahead, ("UNAVAILABLE", "PROJECTION_BEHIND")).await;
    let window = "query ($id: UUID!, $from: DateTime!, $before: DateTime!) {
        agentIntervals(agentId: $id, dimension: PRESENCE, from: $from, before: $before) { state } }";
    let backwards = json!({ "id": call, "from": "2026-01-02T00:00:00Z", "before": "2026-01-01T00:00:00Z" });
    refused(boss, window, backwards, (BAD_INPUT, "WINDOW_EMPTY")).await;
    let users = "query ($first: Int!) { users(first: $first) { nodes { userId } } }";
    for first in [0, 101] {
        refused(boss, users, json!({ "first": first }), (BAD_INPUT, "PAGE_SIZE")).await;
    }
    world.end().await;
}

#[tokio::test]
async fn documents_and_bodies() {
    let database = TestDatabase::new().await;
    let server = TestServer::start(&database).await;
    let client = server.signed_in(Role::Supervisor).await;
    let answer = async |request: reqwest::RequestBuilder| {
        let response = request.send().await.unwrap();
        let status = response.status().as_u16();
        let body: Value = serde_json::from_str(&response.text().await.unwrap()).expect("JSON, whatever is wrong");
        let refusal = Refusal::of(&body);
        tells_nothing(&refusal);
        (status, refusal.code)
    };
    let is = |status: u16, code: &str| (status, code.to_owned());
    let json_body = |body: &str| client.post().header("content-type", "application/json").body(body.to_owned());
    let huge = json!({ "query": format!("{{ __typename #{} \n }}", "x".repeat(256 * 1024)) }).to_string();
    assert_eq!(answer(json_body(&huge)).await, is(413, "PAYLOAD_TOO_LARGE"));
    for content_type in
        ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/xml"]
    {
        let request = client.post().header("content-type", content_type).body(r#"{"query":"{__typename}"}"#);
        assert_eq!(answer(request).await, is(415, "UNSUPPORTED_MEDIA_TYPE"), "{content_type}");
    }
    let untyped = client.post().body(r#"{"query":"{__typename}"}"#);
    assert_eq!(answer(untyped).await, is(415, "UNSUPPORTED_MEDIA_TYPE"));
    for body in ["", "{", "nonsense", "[]", "null", "\"{ __typename }\"", r#"{"variables":{}}"#, r#"{"query":1}"#] {
        assert_eq!(answer(json_body(body)).await, is(400, "BAD_REQUEST"), "{body}");
    }
    let nested = format!(r#"{{"query":"{{__typename}}","variables":{}1{}}}"#, "[".repeat(20_000), "]".repeat(20_000));
    assert_eq!(answer(json_body(&nested)).await, is(400, "BAD_REQUEST"));
    for parameters in [
        &[][..],
        &[("query", "{ __typename }"), ("variables", "{")],
        &[("query", "{ __typename }"), ("variables", "[]")],
        &[("query", "{ __typename }"), ("extensions", "1")],
    ] {
        assert_eq!(answer(client.get(parameters)).await, is(400, "BAD_REQUEST"), "{parameters:?}");
    }
    let mutation = client.get(&[("query", "mutation { renewToken { accessToken } }")]);
    assert_eq!(answer(mutation).await, is(405, "METHOD_NOT_ALLOWED"));
    let accept = client.post().header("accept", "text/html").json(&json!({ "query": "{ __typename }" }));
    assert_eq!(answer(accept).await, is(406, "NOT_ACCEPTABLE"));

    let deep = |levels: usize| {
        format!("{{ calls {{ {} state {} }} }}", "nodes { history { ".repeat(levels), "} }".repeat(levels))
    };
    for (document, code) in [
        ("{", "GRAPHQL_PARSE_FAILED"),
        ("", "GRAPHQL_PARSE_FAILED"),
        ("{ calls(first: ) { nodes { state } } }", "GRAPHQL_PARSE_FAILED"),
        ("query A { __typename } garbage", "GRAPHQL_PARSE_FAILED"),
        ("{ nothing }", VALIDATION.0),
        ("{ calls { nodes { nothing } } }", VALIDATION.0),
        ("{ calls }", VALIDATION.0),
        ("{ calls(nothing: 1) { nodes { state } } }", VALIDATION.0),
        ("{ calls(first: \"many\") { nodes { state } } }", VALIDATION.0),
        ("{ call { state } }", VALIDATION.0),
        ("query A { __typename } query B { __typename }", "OPERATION_RESOLUTION_FAILURE"),
        ("{ ...F } fragment F on Query { ...F }", VALIDATION.0),
        ("mutation { queueCall(input: {}) { __typename } }", VALIDATION.0),
        (&deep(40), BEYOND),
        (&deep(8), BEYOND),
        (&"{".repeat(50_000), BEYOND),
        (&format!("{{ __typename {} }}", "@include(if: true) ".repeat(500)), BEYOND),
    ] {
        let answer = client.send(document, json!({})).await;
        let refusal = Refusal::of(&answer);
        tells_nothing(&refusal);
        let start: String = document.chars().take(80).collect();
        assert_eq!(refusal.code, code, "{start}: {refusal:?}");
        assert!(answer.get("data").is_none(), "{start}: nothing was executed");
    }
    let complex = format!(
        "{{ {} }}",
        (0..100)
            .map(|n| format!("c{n}: calls(first: 100) {{ nodes {{ state legs {{ leg talkMs }} }} }} "))
            .collect::<String>()
    );
    refused(&client, &complex, json!({}), (BEYOND, "ROOT_FIELDS")).await;
    let missing = "query ($id: UUID!) { call(callId: $id) { state } }";
    refused(&client, missing, json!({}), (BAD_INPUT, "")).await;
    refused(&client, missing, json!({ "id": null }), (BAD_INPUT, "")).await;
    // Before the first event, every read model has reached the beginning.
    let begin =
        "{ calls(atLeast: 0) { nodes { state } } queues(atLeast: \"0\") { name } dashboard(atLeast: 0) { waiting } }";
    assert_eq!(client.query(begin, json!({})).await["dashboard"]["waiting"], 0);
    // It still serves.
    assert_eq!(client.query("{ calls { nodes { state } } }", json!({})).await["calls"]["nodes"], json!([]));
    server.stop().await;
}
