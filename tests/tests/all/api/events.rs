//! The log as it is pushed: all of it, of one call, or of some types; under writers, and over sockets that are cut.

use futures_util::future::join_all;
use serde_json::{Value, json};
use tests::Client;
use uuid::Uuid;

use super::{World, column, history, initiate, segment};

const EVENTS: &str = "subscription ($id: UUID, $types: [String!], $after: String, $start: Boolean) {
    events(subjectId: $id, types: $types, after: $after, fromStart: $start) {
        cursor event { eventId position category streamId version type occurredAt actor causationId } } }";
/// Events of each call that `write` makes: initiated, queued, three segments and their scores, abandoned.
const EVENTS_A_CALL: usize = 9;

/// A call from begin to end.
async fn write(client: &Client) -> Uuid {
    let call = Uuid::now_v7();
    client.accepted("initiateCall", initiate(call)).await;
    client.accepted("queueCall", json!({ "callId": call, "queue": "sales" })).await;
    for n in 0..3 {
        client.accepted("addTranscriptSegment", segment(call, n * 1_000, "words")).await;
    }
    client.accepted("abandonCall", json!({ "callId": call })).await;
    call
}

/// Reads `count` events over sockets that are cut after each of `cuts` events.
async fn read_with_cuts(client: &Client, wanted: &Value, cuts: &[usize], count: usize) -> Vec<Value> {
    let (mut read, mut variables) = (Vec::new(), wanted.clone());
    variables["start"] = json!(true);
    for cut in cuts.iter().copied().cycle() {
        let mut subscription = client.subscribe(EVENTS, variables.clone()).await;
        let taken = subscription.take(cut.min(count - read.len())).await;
        drop(subscription);
        if let Some(last) = taken.last() {
            variables["after"] = last["events"]["cursor"].clone();
        }
        read.extend(taken);
        if read.len() == count {
            break;
        }
    }
    column(&read, "/events/event")
}

#[tokio::test]
async fn everything_once_and_in_order_while_others_write() {
    const CALLS: usize = 12;
    let world = World::new().await;
    let boss = &world.supervisor;
    let last = boss.accepted("initiateCall", initiate(Uuid::now_v7())).await;
    let before = usize::try_from(last).unwrap();
    let count = before + CALLS * EVENTS_A_CALL;
    let writers = join_all((0..CALLS).map(|_| write(boss)));
    let (all, uncut) = (json!({}), [count]);
    let queued = json!({ "types": ["call.queued", "call.abandoned"] });
    let (calls, read, read_well, of_types) = tokio::join!(
        writers,
        read_with_cuts(boss, &all, &[1, 0, 13, 2, 7], count),
        read_with_cuts(boss, &all, &uncut, count),
        read_with_cuts(boss, &queued, &[3, 1, 0], CALLS * 2),
    );
    let positions: Vec<i64> = column(&read, "/position").iter().filter_map(Value::as_i64).collect();
    assert_eq!(positions, (1..=i64::try_from(count).unwrap()).collect::<Vec<i64>>());
    assert_eq!(read, read_well);
    let chosen = read.iter().filter(|e| e["type"] == "call.queued" || e["type"] == "call.abandoned");
    assert_eq!(of_types, chosen.cloned().collect::<Vec<Value>>());
    for call in calls {
        let expected: Vec<Value> = read.iter().filter(|event| event["streamId"] == json!(call)).cloned().collect();
        assert_eq!(expected.len(), EVENTS_A_CALL);
        assert_eq!(history(boss, call).await, expected);
        let of_call = read_with_cuts(boss, &json!({ "id": call }), &[2, 0, 1], EVENTS_A_CALL).await;
        assert_eq!(of_call, expected);
    }
    world.end().await;
}

#[tokio::test]
async fn one_call_is_followed_while_it_lives_and_others_write() {
    let world = World::new().await;
    let (boss, call) = (&world.supervisor, world.call().await);
    let live = async {
        for n in 0..40 {
            boss.accepted("queueCall", json!({ "callId": call, "queue": format!("queue {n}") })).await;
        }
    };
    let noise = join_all((0..8).map(|_| write(boss)));
    let wanted = json!({ "id": call });
    let ((), _, followed) = tokio::join!(live, noise, read_with_cuts(boss, &wanted, &[1, 4, 0, 2], 41));
    assert_eq!(followed, history(boss, call).await);
    world.end().await;
}

#[tokio::test]
async fn cut_at_every_point() {
    let world = World::new().await;
    let boss = &world.supervisor;
    let call = write(boss).await;
    for wanted in [json!({ "id": call }), json!({ "id": call, "types": ["transcript.segment_added", "call.queued"] })] {
        let count = if wanted["types"].is_null() { EVENTS_A_CALL } else { 4 };
        let mut start = wanted.clone();
        start["start"] = json!(true);
        let whole = boss.subscribe(EVENTS, start.clone()).await.take(count).await;
        for cut in 0..count {
            let before = boss.subscribe(EVENTS, start.clone()).await.take(cut + 1).await;
            let mut variables = wanted.clone();
            variables["after"] = before[cut]["events"]["cursor"].clone();
            let rest = boss.subscribe(EVENTS, variables).await.take(count - cut - 1).await;
            assert_eq!(before.into_iter().chain(rest).collect::<Vec<Value>>(), whole, "cut after {}", cut + 1);
        }
    }
    world.end().await;
}

#[tokio::test]
async fn from_the_head_only_what_is_new() {
    let world = World::new().await;
    let boss = &world.supervisor;
    let call = write(boss).await;
    let last = boss.subscribe(EVENTS, json!({ "id": call, "start": true })).await.take(EVENTS_A_CALL).await;
    let after = &last[EVENTS_A_CALL - 1]["events"]["cursor"];
    let mut resumed = boss.subscribe(EVENTS, json!({ "id": call, "after": after })).await;
    write(boss).await;
    let position = world.say(call, 9_000, "late").await;
    assert_eq!(resumed.next().await["events"]["event"]["position"], json!(position));

    // Without a cursor: from whenever it began, without a hole from then on.
    let mut live = boss.subscribe(EVENTS, json!({ "types": ["call.initiated"] })).await;
    let next = live.next();
    let calls = async {
        let mut calls = Vec::new();
        for _ in 0..30 {
            calls.push(json!(world.call().await));
        }
        calls
    };
    let (first, calls) = tokio::join!(next, calls);
    let first = first["events"]["event"]["streamId"].clone();
    let begin = calls.iter().position(|call| *call == first).expect("one of those that came in after it began");
    let rest = live.take(calls.len() - begin - 1).await;
    assert_eq!(column(&rest, "/events/event/streamId"), calls[begin + 1..]);
    // Of an agent, by the agent's id.
    let of_agent = json!({ "id": world.ann.agent_id, "start": true });
    let events = boss.subscribe(EVENTS, of_agent).await.take(2).await;
    assert_eq!(column(&events, "/events/event/type"), ["agent.registered", "agent.signed_in"]);
    world.end().await;
}
