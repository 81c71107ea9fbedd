//! GraphQL over server-sent events: each test is a sentence of PROTOCOL.md of enisdenjo/graphql-sse, distinct connections
//! mode, or what clients of event streams rely on beside it.

use std::time::Duration;

use api::Limits;
use reqwest::StatusCode;
use serde_json::{Value, json};

use super::http_stream::Streamed;
use super::wire::{EVENTS, VIEWER, World};

const EVENT_STREAM: &str = "text/event-stream";

async fn post(world: &World, query: &str) -> Streamed {
    let body = json!({ "query": query });
    Streamed::of(world.client.post().header("accept", EVENT_STREAM).json(&body)).await
}

async fn get(world: &World, query: &str) -> Streamed {
    Streamed::of(world.client.get(&[("query", query)]).header("accept", EVENT_STREAM)).await
}

/// Asserts that the next event is a result, and gives it.
async fn next(stream: &mut Streamed) -> Value {
    let event = stream.event().await.expect("an event");
    assert_eq!(event.name, "next", "{event:?}");
    event.json()
}

/// Asserts that nothing follows but the end that was announced.
async fn completes(mut stream: Streamed) {
    let event = stream.event().await.expect("an event");
    // Without a `data` line, a browser's `EventSource` would not report the event.
    assert_eq!((event.name.as_str(), event.data.trim(), event.has_data), ("complete", "", true));
    assert_eq!(stream.event().await, None);
}

/// A subscription that watches: what happens from now on is pushed.
async fn watching(world: &World) -> Streamed {
    let query = "subscription { events(types: [\"call.initiated\"], fromStart: true) { event { type streamId } } }";
    let mut stream = post(world, query).await;
    let call_id = world.event().await;
    assert_eq!(next(&mut stream).await["data"]["events"]["event"]["streamId"], call_id);
    stream
}

#[tokio::test]
async fn the_content_type_is_always_that_of_event_streams_and_nobody_on_the_way_may_collect_them() {
    let world = World::new().await;
    for query in [VIEWER, EVENTS, "{ nothing }", "{"] {
        for stream in [post(&world, query).await, get(&world, query).await] {
            assert_eq!(stream.status(), StatusCode::OK, "{query}");
            assert_eq!(stream.header("content-type"), EVENT_STREAM, "{query}");
            assert_eq!(stream.header("cache-control"), "no-cache", "{query}");
            assert_eq!(stream.header("x-accel-buffering"), "no", "{query}");
        }
    }
    world.end().await;
}

#[tokio::test]
async fn a_query_is_next_then_complete_by_post_and_by_get() {
    let world = World::new().await;
    for mut stream in [post(&world, VIEWER).await, get(&world, VIEWER).await] {
        assert_eq!(next(&mut stream).await, json!({ "data": { "viewer": { "role": "SUPERVISOR" } } }));
        completes(stream).await;
    }
    world.end().await;
}

#[tokio::test]
async fn a_mutation_is_next_then_complete_by_post_and_refused_by_get() {
    let world = World::new().await;
    let renew = "mutation { renewToken { __typename } }";
    let mut stream = post(&world, renew).await;
    assert!(next(&mut stream).await["data"]["renewToken"].is_object());
    completes(stream).await;
    let refused = get(&world, renew).await;
    assert_eq!((refused.status(), refused.header("allow")), (StatusCode::METHOD_NOT_ALLOWED, "POST"));
    world.end().await;
}

#[tokio::test]
async fn operation_name_variables_and_extensions_count() {
    let world = World::new().await;
    let document = "query A { viewer { userId } } query B($n: Int!) { calls(first: $n) { nodes { callId } } }";
    let parameters = [
        ("query", document),
        ("operationName", "B"),
        ("variables", r#"{"n":1}"#),
        ("extensions", r#"{"any":"thing"}"#),
    ];
    let mut stream = Streamed::of(world.client.get(&parameters).header("accept", EVENT_STREAM)).await;
    assert_eq!(next(&mut stream).await, json!({ "data": { "calls": { "nodes": [] } } }));
    completes(stream).await;
    world.end().await;
}

#[tokio::test]
async fn what_is_wrong_before_execution_is_next_with_errors_then_complete() {
    let world = World::new().await;
    for (query, code) in [
        ("{", "GRAPHQL_PARSE_FAILED"),
        ("{ nothing }", "GRAPHQL_VALIDATION_FAILED"),
        ("query A { viewer { role } } query B { viewer { role } }", "OPERATION_RESOLUTION_FAILURE"),
        ("subscription { dashboard(after: \"x\") { cursor } }", "BAD_USER_INPUT"),
    ] {
        for mut stream in [post(&world, query).await, get(&world, query).await] {
            let answer = next(&mut stream).await;
            assert_eq!(answer["errors"][0]["extensions"]["code"], code, "{query}: {answer}");
            assert!(answer.get("data").is_none(), "{query}: nothing was executed");
            completes(stream).await;
        }
    }
    world.end().await;
}

#[tokio::test]
async fn what_is_no_request_at_all_is_told_by_the_status() {
    let world = World::new().await;
    let no_query = world.client.post().header("accept", EVENT_STREAM).json(&json!({ "variables": {} }));
    assert_eq!(Streamed::of(no_query).await.status(), StatusCode::BAD_REQUEST);
    let stranger = world.server.with_token("nonsense").post().header("accept", EVENT_STREAM);
    let refused = Streamed::of(stranger.json(&json!({ "query": VIEWER }))).await;
    assert_eq!(refused.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(refused.whole().await["errors"][0]["extensions"]["code"], "UNAUTHENTICATED");
    world.end().await;
}

#[tokio::test]
async fn a_subscription_is_next_for_each_payload_by_post_and_by_get() {
    let world = World::new().await;
    let query = "subscription { events(types: [\"call.initiated\"], fromStart: true) { event { type streamId } } }";
    let mut streams = [post(&world, query).await, get(&world, query).await];
    for _ in 0..3 {
        let call_id = world.event().await;
        for stream in &mut streams {
            let event = json!({ "type": "call.initiated", "streamId": call_id });
            assert_eq!(next(stream).await, json!({ "data": { "events": { "event": event } } }));
        }
    }
    drop(streams);
    world.end().await;
}

#[tokio::test]
async fn a_subscription_whose_source_ends_is_complete() {
    let world = World::new().await;
    let call_id = world.event().await;
    let query = format!("subscription {{ replayCall(callId: \"{call_id}\", speed: 100) {{ event {{ type }} }} }}");
    let mut stream = post(&world, &query).await;
    let mut event = stream.event().await.unwrap();
    assert_eq!(event.json()["data"]["replayCall"]["event"]["type"], "call.initiated", "{event:?}");
    while event.name == "next" {
        event = stream.event().await.unwrap();
    }
    assert_eq!((event.name.as_str(), stream.event().await), ("complete", None));
    world.end().await;
}

#[tokio::test]
async fn in_silence_comments_are_sent_that_mean_nothing() {
    let world = World::with(Limits { heartbeat_every: Duration::from_millis(20), ..Limits::default() }).await;
    let mut stream = watching(&world).await;
    for _ in 0..3 {
        let block = stream.block().await.unwrap();
        assert!(block.comments == 1 && !block.has_data && block.name.is_empty(), "{block:?}");
    }
    let call_id = world.event().await;
    assert_eq!(next(&mut stream).await["data"]["events"]["event"]["streamId"], call_id);
    drop(stream);
    world.end().await;
}

#[tokio::test]
async fn a_token_that_is_revoked_ends_the_stream_without_complete_and_who_comes_back_is_told() {
    let world = World::with(Limits { recheck_every: Duration::from_millis(20), ..Limits::default() }).await;
    let mut stream = watching(&world).await;
    world.server.users.set_role(world.user.id, world.user.role, &[]).await.unwrap();
    assert_eq!(stream.event().await, None);
    let refused = post(&world, EVENTS).await;
    assert_eq!(refused.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(refused.whole().await["errors"][0]["extensions"]["code"], "UNAUTHENTICATED");
    world.end().await;
}

#[tokio::test]
async fn at_shutdown_the_stream_ends_without_complete_so_that_the_client_comes_back() {
    let world = World::new().await;
    let mut stream = watching(&world).await;
    let (last, ()) = tokio::join!(stream.event(), world.end());
    assert_eq!(last, None);
}
