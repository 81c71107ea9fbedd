//! Subscriptions as multipart answers: each test is a sentence of Apollo's protocol
//! (https://www.apollographql.com/docs/graphos/routing/operations/subscriptions/multipart-protocol).

use std::time::Duration;

use api::Limits;
use reqwest::StatusCode;
use serde_json::{Value, json};

use super::http_stream::Streamed;
use super::wire::{VIEWER, World};

/// As the protocol has it.
const QUOTED: &str = "multipart/mixed;boundary=\"graphql\";subscriptionSpec=\"1.0\"";
/// As Apollo Client 4 sends it.
const APOLLO: &str = "multipart/mixed;boundary=graphql;subscriptionSpec=1.0,application/graphql-response+json,\
                      application/json;q=0.9";
const FROM_START: &str =
    "subscription { events(types: [\"call.initiated\"], fromStart: true) { event { type streamId } } }";
const BOUNDARY: &str = "\r\n--graphql";

async fn post(world: &World, accept: &str, query: &str) -> Streamed {
    Streamed::of(world.client.post().header("accept", accept).json(&json!({ "query": query }))).await
}

/// An answer whose first boundary has come.
async fn begun(world: &World, accept: &str, query: &str) -> Streamed {
    let mut stream = post(world, accept, query).await;
    assert_eq!(stream.upto(BOUNDARY).await.as_deref(), Some(""), "nothing stands before the first boundary");
    stream
}

/// The next part, signs of life among them; `None`: the last boundary was read, and nothing stands behind it.
async fn part(stream: &mut Streamed) -> Option<Value> {
    match stream.upto("\r\n").await.expect("no last boundary").as_str() {
        "" => {}
        "--" => {
            assert_eq!(stream.upto("\r\n").await, None);
            return None;
        }
        other => panic!("behind a boundary: {other:?}"),
    }
    assert_eq!(stream.upto("\r\n\r\n").await.as_deref(), Some("content-type: application/json"));
    // The boundary behind a part comes with it: without that, a client would wait for the next one.
    Some(serde_json::from_str(&stream.upto(BOUNDARY).await.expect("a boundary")).unwrap())
}

/// The next part that says something.
async fn next(stream: &mut Streamed) -> Option<Value> {
    loop {
        match part(stream).await {
            Some(Value::Object(nothing)) if nothing.is_empty() => {}
            part => return part,
        }
    }
}

async fn said(stream: &mut Streamed) -> Value {
    next(stream).await.expect("it has ended")
}

async fn ends(mut stream: Streamed) {
    assert_eq!(next(&mut stream).await, None);
}

async fn watching(world: &World) -> Streamed {
    let mut stream = begun(world, APOLLO, FROM_START).await;
    let call_id = world.event().await;
    assert_eq!(said(&mut stream).await["payload"]["data"]["events"]["event"]["streamId"], call_id);
    stream
}

#[tokio::test]
async fn a_subscription_is_answered_in_parts_whichever_way_they_are_asked_for() {
    let world = World::new().await;
    let call_id = world.event().await;
    let event = json!({ "type": "call.initiated", "streamId": call_id });
    for accept in [
        QUOTED,
        APOLLO,
        "multipart/mixed;subscriptionSpec=1.0, application/json",
        "application/json, multipart/mixed; subscriptionSpec=\"1.0\"",
    ] {
        let mut stream = begun(&world, accept, FROM_START).await;
        assert_eq!(stream.status(), StatusCode::OK, "{accept}");
        assert_eq!(stream.header("content-type"), QUOTED, "{accept}");
        assert_eq!(stream.header("cache-control"), "no-cache");
        assert_eq!(stream.header("x-accel-buffering"), "no");
        assert_eq!(stream.header("transfer-encoding"), "chunked");
        assert_eq!(said(&mut stream).await, json!({ "payload": { "data": { "events": { "event": event } } } }));
    }
    world.end().await;
}

#[tokio::test]
async fn the_first_boundary_comes_at_once_and_every_payload_with_the_boundary_behind_it() {
    let world = World::new().await;
    let mut stream = begun(&world, QUOTED, FROM_START).await;
    assert_eq!(part(&mut stream).await, Some(json!({})));
    for _ in 0..3 {
        let call_id = world.event().await;
        let payload = part(&mut stream).await.unwrap();
        assert_eq!(payload["payload"]["data"]["events"]["event"]["streamId"], call_id);
        assert_eq!(stream.rest(), "");
    }
    drop(stream);
    world.end().await;
}

#[tokio::test]
async fn in_silence_empty_parts_are_sent() {
    let world = World::with(Limits { heartbeat_every: Duration::from_millis(20), ..Limits::default() }).await;
    let mut stream = watching(&world).await;
    for _ in 0..3 {
        assert_eq!(part(&mut stream).await, Some(json!({})));
    }
    let call_id = world.event().await;
    assert_eq!(said(&mut stream).await["payload"]["data"]["events"]["event"]["streamId"], call_id);
    drop(stream);
    world.end().await;
}

#[tokio::test]
async fn a_subscription_whose_source_ends_is_ended_by_the_last_boundary() {
    let world = World::new().await;
    let call_id = world.event().await;
    let query = format!("subscription {{ replayCall(callId: \"{call_id}\", speed: 100) {{ event {{ type }} }} }}");
    let mut stream = begun(&world, APOLLO, &query).await;
    let first = said(&mut stream).await;
    assert_eq!(first["payload"]["data"]["replayCall"]["event"]["type"], "call.initiated", "{first}");
    while next(&mut stream).await.is_some() {}
    world.end().await;
}

#[tokio::test]
async fn errors_of_the_operation_stand_in_the_payload() {
    let world = World::new().await;
    for (query, code) in [
        ("subscription { dashboard(after: \"x\") { cursor } }", "BAD_USER_INPUT"),
        ("subscription { transcript(callId: \"00000000-0000-0000-0000-000000000000\") { cursor } }", "NOT_FOUND"),
    ] {
        let mut stream = begun(&world, APOLLO, query).await;
        let answer = said(&mut stream).await;
        assert_eq!(answer["payload"]["errors"][0]["extensions"]["code"], code, "{query}: {answer}");
        assert!(answer.get("errors").is_none(), "{query}: {answer}");
        ends(stream).await;
    }
    world.end().await;
}

#[tokio::test]
async fn a_token_that_is_revoked_is_an_error_of_the_transport_then_the_end() {
    let world = World::with(Limits { recheck_every: Duration::from_millis(20), ..Limits::default() }).await;
    let mut stream = watching(&world).await;
    world.server.users.set_role(world.user.id, world.user.role, &[]).await.unwrap();
    let last = said(&mut stream).await;
    assert_eq!((&last["payload"], &last["errors"][0]["extensions"]["code"]), (&Value::Null, &json!("UNAUTHENTICATED")));
    ends(stream).await;
    world.end().await;
}

#[tokio::test]
async fn at_shutdown_there_is_an_error_of_the_transport_that_says_when_to_come_back() {
    let world = World::new().await;
    let mut stream = watching(&world).await;
    let (last, ()) = tokio::join!(
        async {
            let last = said(&mut stream).await;
            ends(stream).await;
            last
        },
        world.end()
    );
    assert_eq!(last["payload"], Value::Null);
    let extensions = &last["errors"][0]["extensions"];
    assert_eq!((&extensions["code"], &extensions["reason"]), (&json!("UNAVAILABLE"), &json!("SHUTTING_DOWN")));
    assert!(extensions["retryAfterMs"].is_u64());
}

#[tokio::test]
async fn a_client_that_takes_too_slowly_is_told_by_the_transport_and_goes_on_from_its_cursor() {
    const SEGMENTS: usize = 400;
    let world = World::with(Limits { queue_bytes: 16 * 1024, ..Limits::default() }).await;
    let watch = |after: &Value| {
        let query = "subscription ($after: String) {
            events(types: [\"transcript.segment_added\"], after: $after) { cursor event { position payload } } }";
        json!({ "query": query, "variables": { "after": after } })
    };
    let request = |after: &Value| world.client.post().header("accept", APOLLO).json(&watch(after));
    let call_id = world.event().await;
    let say = async |n: usize, text: &str| {
        let segment = json!({ "callId": call_id, "speaker": "CUSTOMER", "beginMs": n * 1_000, "endMs": n * 1_000 + 500,
            "text": text, "model": "m" });
        world.client.accepted("addTranscriptSegment", segment).await
    };
    let mut slow = Streamed::of(request(&Value::Null)).await;
    slow.upto(BOUNDARY).await;
    // Until it is seen to watch, nothing tells that it does.
    let mut n = 0;
    let mut positions = vec![say(n, "first").await];
    let first = said(&mut slow).await;
    let event = |part: &Value| part["payload"]["data"]["events"].clone();
    assert_eq!(event(&first)["event"]["position"], positions[0]);
    let text = "a ".repeat(2_000);
    for _ in 0..SEGMENTS {
        n += 1;
        positions.push(say(n, &format!("{n} {text}")).await);
    }
    let (mut read, mut cursor) = (vec![positions[0]], event(&first)["cursor"].clone());
    let refusal = loop {
        let part = said(&mut slow).await;
        if part["payload"].is_null() {
            break part;
        }
        read.push(event(&part)["event"]["position"].as_i64().unwrap());
        cursor = event(&part)["cursor"].clone();
    };
    assert_eq!(refusal["errors"][0]["extensions"]["code"], "SLOW_CONSUMER");
    ends(slow).await;
    let mut again = Streamed::of(request(&cursor)).await;
    again.upto(BOUNDARY).await;
    while read.len() < positions.len() {
        read.push(event(&said(&mut again).await)["event"]["position"].as_i64().unwrap());
    }
    assert_eq!(read, positions, "nothing is lost and nothing comes twice");
    drop(again);
    world.end().await;
}

#[tokio::test]
async fn everything_but_a_subscription_is_answered_as_json() {
    let world = World::new().await;
    let renew = "mutation { renewToken { __typename } }";
    for (accept, media) in [(QUOTED, "application/json"), (APOLLO, "application/graphql-response+json")] {
        for (query, status) in [(VIEWER, StatusCode::OK), (renew, StatusCode::OK)] {
            let answer = post(&world, accept, query).await;
            assert_eq!(answer.status(), status, "{accept} {query}");
            assert_eq!(answer.header("content-type").split(';').next(), Some(media), "{accept} {query}");
            assert!(answer.whole().await["data"].is_object(), "{accept} {query}");
        }
        let wrong = post(&world, accept, "subscription { nothing }").await;
        let status = if accept == QUOTED { StatusCode::OK } else { StatusCode::BAD_REQUEST };
        assert_eq!(wrong.status(), status, "{accept}");
        assert_eq!(wrong.whole().await["errors"][0]["extensions"]["code"], "GRAPHQL_VALIDATION_FAILED");
    }
    world.end().await;
}

#[tokio::test]
async fn parts_of_another_specification_are_not_taken_for_subscriptions() {
    let world = World::new().await;
    for (accept, status) in [
        ("multipart/mixed;deferSpec=20220824, application/json", StatusCode::OK),
        ("multipart/mixed;subscriptionSpec=2.0", StatusCode::NOT_ACCEPTABLE),
        ("multipart/mixed;subscriptionSpec=1.0;q=0", StatusCode::NOT_ACCEPTABLE),
    ] {
        let answer = post(&world, accept, FROM_START).await;
        assert_eq!(answer.status(), status, "{accept}");
        assert!(answer.header("content-type").starts_with("application/json"), "{accept}");
        assert!(answer.whole().await["errors"].is_array(), "{accept}");
    }
    world.end().await;
}
