//! A whole call by two agents: after each step every view shows it at once, and later it can be seen as it was then.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use tests::Client;
use uuid::Uuid;

use super::{Worker, World, column, history, initiate, segment};

const FLOOR: &str = "query ($call: UUID!, $ann: UUID!, $bob: UUID!, $at: Position!) {
    call(callId: $call, atLeast: $at) { state position customerMuted wrapUpOpen agentId }
    ann: agent(agentId: $ann, atLeast: $at) { activity contacts { callId } }
    bob: agent(agentId: $bob, atLeast: $at) { activity contacts { callId } }
    queues(atLeast: $at) { name waiting calls { callId place offers } }
    dashboard(atLeast: $at) { waiting inProgress agents { activity agents } } }";
const THEN: &str = "query ($call: UUID!, $ann: UUID!, $bob: UUID!, $at: DateTime!) {
    call(callId: $call, asOf: $at) { state customerMuted wrapUpOpen agentId }
    ann: agent(agentId: $ann, asOf: $at) { activity }
    bob: agent(agentId: $bob, asOf: $at) { activity } }";

/// What is to be seen after a step.
struct Step {
    command: &'static str,
    by: Who,
    input: Value,
    /// State of the call; activities of Ann and Bob; callers who wait; calls with an agent.
    seen: (&'static str, &'static str, &'static str, i64, i64),
}

#[derive(Clone, Copy, PartialEq)]
enum Who {
    Supervisor,
    Ann,
    Bob,
}

#[rustfmt::skip]
fn steps(ann: Uuid, bob: Uuid) -> Vec<Step> {
    use Who::{Ann, Bob, Supervisor};
    const FREE: &str = "AVAILABLE";
    const BUSY: &str = "ON_CONTACT";
    const WRAP: &str = "AFTER_CONTACT_WORK";
    let step = |by, command, input, seen| Step { command, by, input, seen };
    vec![
        step(Supervisor, "queueCall", json!({ "queue": "sales" }), ("WAITING", FREE, FREE, 1, 0)),
        step(Supervisor, "offerCall", json!({ "agentId": ann }), ("OFFERED", "RINGING", FREE, 1, 0)),
        step(Ann, "declineOffer", json!({ "reason": "busy" }), ("WAITING", FREE, FREE, 1, 0)),
        step(Supervisor, "offerCall", json!({ "agentId": bob }), ("OFFERED", FREE, "RINGING", 1, 0)),
        step(Bob, "answerCall", json!({}), ("CONNECTED", FREE, BUSY, 0, 1)),
        step(Bob, "holdCall", json!({}), ("ON_HOLD", FREE, BUSY, 0, 1)),
        step(Bob, "resumeCall", json!({}), ("CONNECTED", FREE, BUSY, 0, 1)),
        step(Bob, "muteParty", json!({ "party": "CUSTOMER" }), ("CONNECTED", FREE, BUSY, 0, 1)),
        step(Bob, "unmuteParty", json!({ "party": "CUSTOMER" }), ("CONNECTED", FREE, BUSY, 0, 1)),
        step(Bob, "startConsult", json!({ "agentId": ann }), ("ON_HOLD", "RINGING", BUSY, 0, 1)),
        step(Ann, "answerCall", json!({}), ("ON_HOLD", BUSY, BUSY, 0, 1)),
        step(Bob, "transferConsult", json!({}), ("CONNECTED", BUSY, WRAP, 0, 1)),
        step(Bob, "completeWrapUp", json!({ "leg": 2, "disposition": "passed on" }), ("CONNECTED", BUSY, FREE, 0, 1)),
        step(Ann, "endCall", json!({ "by": "CUSTOMER", "reason": "COMPLETED" }), ("ENDED", WRAP, FREE, 0, 0)),
        step(Ann, "completeWrapUp", json!({ "disposition": "sold", "notes": "two\nlines" }), ("ENDED", FREE, FREE, 0, 0)),
    ]
}

fn instant(value: &Value) -> DateTime<Utc> {
    value.as_str().and_then(|text| text.parse().ok()).unwrap_or_else(|| panic!("no instant: {value}"))
}

fn ms(from: &Value, to: &Value) -> i64 {
    (instant(to) - instant(from)).num_milliseconds()
}

#[tokio::test]
async fn two_agents_handle_a_call() {
    let world = World::new().await;
    let World { supervisor, ann, bob, .. } = &world;
    let call = Uuid::now_v7();
    let ids = json!({ "call": call, "ann": ann.agent_id, "bob": bob.agent_id });
    let mut given = vec![(json!(Uuid::now_v7()), Who::Supervisor)];
    let mut first = initiate(call);
    first["commandId"] = given[0].0.clone();
    first["customerName"] = json!("Eve Example");
    let mut positions = vec![supervisor.accepted("initiateCall", first).await];
    let steps = steps(ann.agent_id, bob.agent_id);
    for Step { command, by, input, seen } in &steps {
        let mut input = input.clone();
        input["callId"] = json!(call);
        input["commandId"] = json!(Uuid::now_v7());
        given.push((input["commandId"].clone(), *by));
        let client = match by {
            Who::Supervisor => supervisor,
            Who::Ann => &ann.client,
            Who::Bob => &bob.client,
        };
        let position = client.accepted(command, input).await;
        positions.push(position);
        let mut variables = ids.clone();
        variables["at"] = json!(position);
        let floor = supervisor.query(FLOOR, variables).await;
        assert_eq!(floor["call"]["position"], json!(position), "{command}");
        let found = (
            floor["call"]["state"].as_str().unwrap(),
            floor["ann"]["activity"].as_str().unwrap(),
            floor["bob"]["activity"].as_str().unwrap(),
            floor["queues"][0]["waiting"].as_i64().unwrap(),
            floor["dashboard"]["inProgress"].as_i64().unwrap(),
        );
        assert_eq!(found, *seen, "{command}: {floor}");
        agrees_with_itself(&floor, call);
    }

    wait_for_scores(&world, call).await;
    numbers_add_up(supervisor, call, *positions.last().unwrap()).await;
    let events = history(supervisor, call).await;
    history_is_whole(&world, &events, &given);
    as_it_was(&world, &ids, &events, &steps, &given).await;
    world.end().await;
}

/// Views of one moment that are kept by different read models say the same.
fn agrees_with_itself(floor: &Value, call: Uuid) {
    assert_eq!(floor["dashboard"]["waiting"], floor["queues"][0]["waiting"]);
    let waiting = floor["queues"][0]["calls"].as_array().unwrap();
    assert_eq!(floor["queues"][0]["waiting"], json!(waiting.len()));
    assert!(waiting.iter().all(|waiting| waiting["callId"] == json!(call) && waiting["place"] == 1));
    let mut counted: Vec<(String, i64)> = Vec::new();
    for agent in [&floor["ann"], &floor["bob"]] {
        let activity = agent["activity"].as_str().unwrap().to_owned();
        let busy = !agent["contacts"].as_array().unwrap().is_empty();
        assert_eq!(busy, activity != "AVAILABLE");
        match counted.iter_mut().find(|(known, _)| *known == activity) {
            Some((_, count)) => *count += 1,
            None => counted.push((activity, 1)),
        }
    }
    for (activity, count) in counted {
        let tiles = floor["dashboard"]["agents"].as_array().unwrap();
        let tile = tiles.iter().find(|tile| tile["activity"] == json!(activity)).unwrap();
        assert_eq!(tile["agents"], json!(count), "{activity}: {floor}");
    }
}

/// Two sentences are spoken after the fact, and scored.
async fn wait_for_scores(world: &World, call: Uuid) {
    for (begin_ms, text) in [(0, "I love this, great!"), (900, "This is terrible.")] {
        world.supervisor.accepted("addTranscriptSegment", segment(call, begin_ms, text)).await;
    }
    let document = "subscription ($id: UUID!) { sentiment(callId: $id) { score { segment label score model } } }";
    let scores = world.supervisor.subscribe(document, json!({ "id": call })).await.take(2).await;
    assert_eq!(column(&scores, "/sentiment/score/label"), ["POSITIVE", "NEGATIVE"]);
    assert_eq!(column(&scores, "/sentiment/score/segment"), [1, 2]);
}

async fn numbers_add_up(supervisor: &Client, id: Uuid, position: i64) {
    let document = "query ($id: UUID!, $at: Position!) {
        call(callId: $id, atLeast: $at) { state customerName waitMs waitTotalMs talkMs holdMs wrapUpMs transfers version
            firstQueuedAt answeredAt endedAt endedBy endReason disposition wrapUpOpen recording sentimentSummary { turns }
            legs { leg agentId kind state outcome consultedBy queue enqueuedAt offeredAt answeredAt tookOverAt endedAt
                declineReason ringMs talkMs holdMs holdCount consultMs wrapUpMs disposition notes } }
        dashboard(atLeast: $at) { offered answered answeredInThreshold abandoned flowOuts handled serviceLevel
            averageSpeedOfAnswerMs longestWaitAnsweredMs averageHandleTimeMs abandonmentRate } }";
    let data = supervisor.query(document, json!({ "id": id, "at": position })).await;
    let (call, day) = (&data["call"], &data["dashboard"]);
    let legs = call["legs"].as_array().unwrap();
    assert_eq!(column(legs, "/outcome"), ["DECLINED", "TRANSFERRED_CONSULT", "COMPLETED"]);
    assert_eq!(column(legs, "/kind"), ["PRIMARY", "PRIMARY", "CONSULT"]);
    assert_eq!(column(legs, "/state"), ["CLOSED", "CLOSED", "CLOSED"]);
    assert_eq!(column(legs, "/queue"), [json!("sales"), json!("sales"), Value::Null]);
    assert_eq!(column(legs, "/consultedBy"), [Value::Null, Value::Null, json!(2)]);
    assert_eq!(legs[0]["declineReason"], "busy");
    assert_eq!(legs[1]["holdCount"], 2);
    assert_eq!((&legs[2]["notes"], &call["disposition"]), (&json!("two\nlines"), &json!("sold")));
    let sum = |field: &str| legs.iter().map(|leg| leg[field].as_i64().unwrap()).sum::<i64>();
    for field in ["talkMs", "holdMs", "wrapUpMs"] {
        assert_eq!(call[field].as_i64().unwrap(), sum(field), "{field}");
    }
    assert_eq!(legs[0]["ringMs"].as_i64().unwrap(), ms(&legs[0]["offeredAt"], &legs[0]["endedAt"]));
    assert_eq!(legs[2]["consultMs"].as_i64().unwrap(), ms(&legs[2]["answeredAt"], &legs[2]["tookOverAt"]));
    assert_eq!(legs[2]["talkMs"].as_i64().unwrap(), ms(&legs[2]["tookOverAt"], &legs[2]["endedAt"]));
    // The decline did not begin the wait anew.
    assert_eq!(call["waitMs"].as_i64().unwrap(), ms(&call["firstQueuedAt"], &call["answeredAt"]));
    assert_eq!((&call["waitMs"], &call["transfers"]), (&call["waitTotalMs"], &json!(1)));
    assert_eq!((&call["endedBy"], &call["endReason"]), (&json!("CUSTOMER"), &json!("COMPLETED")));
    assert_eq!((&call["wrapUpOpen"], &call["customerName"]), (&json!(false), &json!("Eve Example")));
    assert_eq!(call["sentimentSummary"], json!([{ "turns": 2 }]));

    let whole = ["offered", "answered", "answeredInThreshold", "abandoned", "flowOuts", "handled"];
    assert_eq!(whole.map(|field| day[field].as_i64().unwrap()), [1, 1, 1, 0, 0, 2]);
    assert_eq!((&day["serviceLevel"], &day["abandonmentRate"]), (&json!(1.0), &json!(0.0)));
    assert_eq!(day["longestWaitAnsweredMs"], call["waitMs"]);
    let close = |found: &Value, expected: f64| (found.as_f64().unwrap() - expected).abs() < 1e-6;
    #[allow(clippy::cast_precision_loss, reason = "milliseconds of a test")]
    let handle_ms = ["talkMs", "holdMs", "consultMs", "wrapUpMs"].map(sum).iter().sum::<i64>() as f64;
    assert!(close(&day["averageHandleTimeMs"], handle_ms / 2.0), "{day} {legs:?}");
    assert!(close(&day["averageSpeedOfAnswerMs"], call["waitMs"].as_f64().unwrap()), "{day}");
}

/// Every event of all three streams, in order, each with who gave the command and which one it was.
fn history_is_whole(world: &World, events: &[Value], given: &[(Value, Who)]) {
    let positions: Vec<i64> = column(events, "/position").iter().filter_map(Value::as_i64).collect();
    assert!(positions.is_sorted_by(|a, b| a < b), "{positions:?}");
    for (category, count) in [("call", 19), ("transcript", 2), ("sentiment", 2)] {
        let of: Vec<&Value> = events.iter().filter(|event| event["category"] == category).collect();
        let versions: Vec<i64> = of.iter().filter_map(|event| event["version"].as_i64()).collect();
        assert_eq!(versions, (1..=count).collect::<Vec<i64>>(), "{category}");
    }
    let mut causes: Vec<&Value> =
        events.iter().filter(|e| e["category"] == "call").map(|e| &e["causationId"]).collect();
    causes.dedup();
    assert_eq!(causes, given.iter().map(|(id, _)| id).collect::<Vec<_>>());
    let user = |worker: &Worker| json!(format!("user:{}", worker.user_id));
    for event in events.iter().filter(|event| event["category"] == "call") {
        let (_, by) = given.iter().find(|(id, _)| *id == event["causationId"]).unwrap();
        match by {
            Who::Ann => assert_eq!(event["actor"], user(&world.ann), "{event}"),
            Who::Bob => assert_eq!(event["actor"], user(&world.bob), "{event}"),
            Who::Supervisor => {
                let actor = event["actor"].as_str().unwrap();
                assert!(actor.starts_with("user:") && ![user(&world.ann), user(&world.bob)].contains(&json!(actor)));
            }
        }
    }
    let segments = events.iter().filter(|event| event["type"] == "transcript.segment_added");
    let scored = events.iter().filter(|event| event["category"] == "sentiment");
    for (segment, score) in segments.zip(scored) {
        assert_eq!((&score["actor"], &score["causationId"]), (&json!("system:sentiment"), &segment["eventId"]));
    }
}

/// At the instant of each step, the past looks as the present did.
async fn as_it_was(world: &World, ids: &Value, events: &[Value], steps: &[Step], given: &[(Value, Who)]) {
    let mut instants = Vec::new();
    for (command_id, _) in given {
        let event = events.iter().find(|event| event["causationId"] == *command_id).unwrap();
        instants.push(instant(&event["occurredAt"]));
    }
    let then = async |at: DateTime<Utc>| {
        let mut variables = ids.clone();
        variables["at"] = json!(at);
        world.supervisor.query(THEN, variables).await
    };
    for (step, at) in steps.iter().zip(&instants[1..]) {
        let seen = then(*at).await;
        let found = (&seen["call"]["state"], &seen["ann"]["activity"], &seen["bob"]["activity"]);
        let (state, ann, bob, ..) = step.seen;
        assert_eq!(found, (&json!(state), &json!(ann), &json!(bob)), "{} at {at}", step.command);
        assert_eq!(seen["call"]["customerMuted"], json!(step.command == "muteParty"), "{}", step.command);
    }
    // Between two steps it is as after the first of them.
    let between = instants[5] - chrono::TimeDelta::microseconds(1);
    assert_eq!(then(between).await["call"]["state"], "OFFERED");
    let before = then(instants[0] - chrono::TimeDelta::microseconds(1)).await;
    assert_eq!(before["call"], Value::Null);
    assert_eq!(before["ann"]["activity"], "AVAILABLE");
}
