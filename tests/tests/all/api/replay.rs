//! A past call, played back.

use serde_json::{Value, json};
use tests::Client;
use tests::graphql::Pushed;
use uuid::Uuid;

use super::{World, column, history};

const REPLAY: &str = "subscription ($id: UUID!, $speed: Float!, $after: String) {
    replayCall(callId: $id, speed: $speed, after: $after) {
        cursor offsetMs event { eventId position category streamId version type occurredAt actor causationId } } }";

/// Everything up to the end, which must be said.
async fn play(client: &Client, call: Uuid, after: &Value) -> Vec<Value> {
    let variables = json!({ "id": call, "speed": 10_000.0, "after": after });
    let mut subscription = client.subscribe(REPLAY, variables).await;
    let mut played = Vec::new();
    loop {
        match subscription.message().await {
            Pushed::Next(data) => played.push(data),
            Pushed::Complete => return played,
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn plays_every_event_and_ends() {
    let world = World::new().await;
    let (boss, call) = (&world.supervisor, world.connected_to(&world.ann).await);
    for n in 0..3 {
        world.say(call, n * 100, "words").await;
    }
    let scores = "subscription ($id: UUID!) { sentiment(callId: $id) { cursor } }";
    boss.subscribe(scores, json!({ "id": call })).await.take(3).await;
    boss.accepted("endCall", json!({ "callId": call, "by": "AGENT", "reason": "COMPLETED" })).await;

    let expected = history(boss, call).await;
    let whole = play(boss, call, &Value::Null).await;
    assert_eq!(column(&whole, "/replayCall/event"), expected);
    let offsets: Vec<i64> = column(&whole, "/replayCall/offsetMs").iter().filter_map(Value::as_i64).collect();
    let instant =
        |event: &Value| event["occurredAt"].as_str().unwrap().parse::<chrono::DateTime<chrono::Utc>>().unwrap();
    let own = expected.iter().map(|event| (instant(event) - instant(&expected[0])).num_milliseconds());
    assert_eq!(offsets, own.collect::<Vec<i64>>());

    for cut in 0..whole.len() {
        let rest = play(boss, call, &whole[cut]["replayCall"]["cursor"]).await;
        assert_eq!(rest, whole[cut + 1..], "after {}", cut + 1);
    }
    world.end().await;
}

#[tokio::test]
async fn however_slow_it_goes_on() {
    let world = World::new().await;
    let (boss, call) = (&world.supervisor, world.connected_to(&world.ann).await);
    // A pause longer than any clock can hold is one of an hour, and ends with the client.
    let variables = json!({ "id": call, "speed": 1e-300 });
    let mut subscription = boss.subscribe(REPLAY, variables).await;
    let first = subscription.next().await;
    assert_eq!(first["replayCall"]["event"]["type"], "call.initiated");
    subscription.say(&json!({ "type": "complete", "id": "1" })).await;
    subscription.begin("{ logPosition }", json!({})).await;
    assert!(subscription.next().await["logPosition"].is_i64());
    assert_eq!(subscription.message().await, Pushed::Complete);
    world.end().await;
}
