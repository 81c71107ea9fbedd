//! `graphql-transport-ws`: each test is a sentence of PROTOCOL.md of enisdenjo/graphql-ws, or one of its server's tests.

use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use super::wire::{EVENTS, Heard, VIEWER, World, complete, subscribe, viewer};

#[tokio::test]
async fn connection_init_is_acknowledged_with_and_without_a_token() {
    let world = World::new().await;
    for init in
        [world.init(), json!({ "type": "connection_init" }), json!({ "type": "connection_init", "payload": null })]
    {
        let mut wire = world.open().await;
        wire.say(init).await;
        wire.hears(json!({ "type": "connection_ack" })).await;
    }
    world.end().await;
}

#[tokio::test]
async fn a_second_connection_init_closes_4429_also_while_the_first_is_pending() {
    let world = World::new().await;
    let mut wire = world.ready().await;
    wire.say(world.init()).await;
    assert_eq!(wire.closed().await, 4429);
    let mut hasty = world.open().await;
    hasty.say(world.init()).await;
    hasty.say(world.init()).await;
    assert_eq!(hasty.closed().await, 4429);
    world.end().await;
}

#[tokio::test]
async fn subscribe_before_the_acknowledgement_closes_4401() {
    let world = World::new().await;
    let mut wire = world.open().await;
    wire.say(subscribe("1", VIEWER)).await;
    assert_eq!(wire.closed().await, 4401);
    world.end().await;
}

#[tokio::test]
async fn a_refused_token_closes_4403() {
    let world = World::new().await;
    for token in ["Bearer nonsense", "Basic abc", ""] {
        let mut wire = world.open().await;
        wire.say(json!({ "type": "connection_init", "payload": { "authorization": token } })).await;
        assert_eq!(wire.closed().await, 4403, "{token}");
    }
    world.end().await;
}

#[tokio::test]
async fn pings_are_answered_with_their_payload_at_any_time_and_pongs_are_ignored() {
    let world = World::new().await;
    let mut wire = world.open().await;
    wire.say(json!({ "type": "pong" })).await;
    wire.say(json!({ "type": "pong", "payload": { "unasked": 1 } })).await;
    wire.say(json!({ "type": "ping" })).await;
    wire.hears(json!({ "type": "pong" })).await;
    wire.hears_nothing_before_a_pong().await;
    wire.say(world.init()).await;
    wire.hears(json!({ "type": "connection_ack" })).await;
    wire.hears_nothing_before_a_pong().await;
    wire.send(Message::Ping("x".into())).await;
    wire.hears_nothing_before_a_pong().await;
    world.end().await;
}

#[tokio::test]
async fn a_query_is_next_then_complete() {
    let world = World::new().await;
    let mut wire = world.ready().await;
    let payload = json!({ "query": "query A($n: Int!) { calls(first: $n) { nodes { callId } } } query B { viewer { role } }",
        "operationName": "B", "variables": { "n": 1 }, "extensions": { "any": "thing" } });
    wire.say(json!({ "type": "subscribe", "id": "1", "payload": payload })).await;
    wire.hears(viewer("1")).await;
    wire.hears(complete("1")).await;
    world.end().await;
}

#[tokio::test]
async fn a_mutation_is_next_then_complete() {
    let world = World::new().await;
    let mut wire = world.ready().await;
    wire.say(subscribe("m", "mutation { renewToken { __typename } }")).await;
    let message = wire.message().await;
    assert_eq!((&message["type"], &message["id"]), (&json!("next"), &json!("m")));
    assert!(
        message["payload"]["errors"].is_null() && message["payload"]["data"]["renewToken"].is_object(),
        "{message}"
    );
    wire.hears(complete("m")).await;
    world.end().await;
}

#[tokio::test]
async fn a_subscription_is_next_until_the_client_completes_it_and_nothing_after() {
    let world = World::new().await;
    let mut wire = world.ready().await;
    wire.say(subscribe("s", EVENTS)).await;
    wire.hears_nothing_before_a_pong().await;
    for _ in 0..3 {
        let call_id = world.event().await;
        let event = json!({ "type": "call.initiated", "streamId": call_id });
        wire.hears(json!({ "type": "next", "id": "s", "payload": { "data": { "events": { "event": event } } } })).await;
    }
    wire.say(complete("s")).await;
    // The server must not answer with another `complete`.
    wire.hears_nothing_before_a_pong().await;
    world.event().await;
    wire.hears_nothing_before_a_pong().await;
    world.end().await;
}

#[tokio::test]
async fn a_query_that_is_completed_at_once_says_nothing_after_it() {
    let world = World::new().await;
    let mut wire = world.ready().await;
    for round in 0..20 {
        let id = format!("q{round}");
        wire.say(subscribe(&id, "{ calls(first: 1) { nodes { callId } } }")).await;
        wire.say(complete(&id)).await;
    }
    // Answers may have been on their way before their operation was completed, but none follows a later message.
    wire.say(json!({ "type": "ping", "payload": { "mark": true } })).await;
    while wire.message().await["type"] != "pong" {}
    wire.hears_nothing_before_a_pong().await;
    world.end().await;
}

#[tokio::test]
async fn what_is_not_executed_is_an_error_without_complete_and_the_socket_stays() {
    let world = World::new().await;
    let mut wire = world.ready().await;
    for (query, code) in [
        ("{", "GRAPHQL_PARSE_FAILED"),
        ("{ nothing }", "GRAPHQL_VALIDATION_FAILED"),
        ("subscription { transcript(callId: \"00000000-0000-0000-0000-000000000000\") { cursor } }", "NOT_FOUND"),
        ("query A { viewer { role } } query B { viewer { role } }", "OPERATION_RESOLUTION_FAILURE"),
    ] {
        wire.say(subscribe("1", query)).await;
        assert_eq!(wire.hears_error("1").await, code, "{query}");
        wire.hears_nothing_before_a_pong().await;
    }
    wire.say(subscribe("1", VIEWER)).await;
    wire.hears(viewer("1")).await;
    wire.hears(complete("1")).await;
    world.end().await;
}

#[tokio::test]
async fn an_id_in_use_closes_4409_also_while_its_operation_is_being_prepared() {
    let world = World::new().await;
    let mut wire = world.ready().await;
    wire.say(subscribe("1", EVENTS)).await;
    wire.hears_nothing_before_a_pong().await;
    wire.say(subscribe("1", VIEWER)).await;
    assert_eq!(wire.closed().await, 4409);
    let mut hasty = world.ready().await;
    hasty.say(subscribe("1", EVENTS)).await;
    hasty.say(subscribe("1", EVENTS)).await;
    assert_eq!(hasty.closed().await, 4409);
    world.end().await;
}

#[tokio::test]
async fn an_id_is_free_again_after_complete_from_either_side_and_after_an_error() {
    let world = World::new().await;
    let mut wire = world.ready().await;
    wire.say(subscribe("1", VIEWER)).await;
    wire.hears(viewer("1")).await;
    wire.hears(complete("1")).await;
    wire.say(subscribe("1", "{ nothing }")).await;
    wire.hears_error("1").await;
    wire.say(subscribe("1", EVENTS)).await;
    wire.say(complete("1")).await;
    wire.say(subscribe("1", VIEWER)).await;
    wire.hears(viewer("1")).await;
    wire.hears(complete("1")).await;
    world.end().await;
}

#[tokio::test]
async fn completing_an_unknown_id_is_ignored() {
    let world = World::new().await;
    let mut wire = world.ready().await;
    wire.say(complete("never")).await;
    wire.hears_nothing_before_a_pong().await;
    world.end().await;
}

#[tokio::test]
async fn what_is_no_message_closes_4400() {
    let world = World::new().await;
    let no_messages = [
        Message::text("{"),
        Message::text("[]"),
        Message::text("null"),
        Message::text("{}"),
        Message::text(r#"{"type":"start","id":"1","payload":{"query":"{ __typename }"}}"#),
        Message::text(r#"{"type":"subscribe","payload":{"query":"{ __typename }"}}"#),
        Message::text(r#"{"type":"subscribe","id":1,"payload":{"query":"{ __typename }"}}"#),
        Message::text(r#"{"type":"subscribe","id":"1"}"#),
        Message::text(r#"{"type":"subscribe","id":"1","payload":{"query":1}}"#),
        Message::text(r#"{"type":"complete"}"#),
        Message::binary(br#"{"type":"ping"}"#.to_vec()),
    ];
    for message in no_messages {
        let mut wire = world.ready().await;
        wire.send(message.clone()).await;
        assert_eq!(wire.closed().await, 4400, "{message:?}");
    }
    world.end().await;
}

#[tokio::test]
async fn another_subprotocol_or_none_is_not_served() {
    let world = World::new().await;
    for protocols in [&["graphql-ws"][..], &[]] {
        // A client refuses a server that chose none of what it offered; one that offered none is told.
        if let Ok(mut wire) = world.connect(protocols).await {
            assert_eq!(wire.closed().await, 4406, "{protocols:?}");
        }
    }
    let mut several = world.connect(&["other", super::wire::SUBPROTOCOL]).await.unwrap();
    several.say(world.init()).await;
    several.hears(json!({ "type": "connection_ack" })).await;
    world.end().await;
}

#[tokio::test]
async fn operations_of_one_socket_run_beside_each_other_whatever_their_ids() {
    let world = World::new().await;
    let mut wire = world.ready().await;
    let long = "i".repeat(1_000);
    let ids = ["a", "ключ 🔑", "\"quoted\\\"", " ", &long];
    for id in ids {
        wire.say(subscribe(id, EVENTS)).await;
    }
    wire.hears_nothing_before_a_pong().await;
    for _ in 0..2 {
        world.event().await;
        let mut heard: Vec<Value> = Vec::new();
        for _ in ids {
            heard.push(wire.message().await["id"].take());
        }
        let mut wanted = ids.map(Value::from).to_vec();
        heard.sort_by_key(Value::to_string);
        wanted.sort_by_key(Value::to_string);
        assert_eq!(heard, wanted);
    }
    world.end().await;
}

#[tokio::test]
async fn at_shutdown_sockets_close_1012_so_that_clients_come_back() {
    let world = World::new().await;
    let mut wire = world.ready().await;
    wire.say(subscribe("1", EVENTS)).await;
    wire.hears_nothing_before_a_pong().await;
    let (code, ()) = tokio::join!(wire.closed(), world.end());
    assert_eq!(code, 1012);
}

#[tokio::test]
async fn a_socket_that_goes_without_a_word_leaves_nothing_behind() {
    let limits = api::Limits { sockets_per_viewer: 1, ..api::Limits::default() };
    let world = World::with(limits).await;
    let mut wire = world.ready().await;
    wire.say(subscribe("1", EVENTS)).await;
    wire.hears_nothing_before_a_pong().await;
    drop(wire);
    // Its place is free as soon as the server has noticed.
    loop {
        let mut next = world.open().await;
        next.say(world.init()).await;
        match next.hear().await {
            Heard::Message(message) => break assert_eq!(message, json!({ "type": "connection_ack" })),
            Heard::Closed(code) => assert_eq!(code, 1013),
            other => panic!("{other:?}"),
        }
    }
    world.end().await;
}
