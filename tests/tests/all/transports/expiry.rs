//! A token that runs out while it is in use: whatever the transport, the stream ends, and its client has to come back with a
//! new one.

use std::time::Duration;

use api::Limits;
use chrono::Utc;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};
use tests::Refusal;
use tests::server::SECRET;
use tokio::time::timeout;

use super::wire::{EVENTS, Heard, World, subscribe};

/// Seconds for which clocks may differ: so long a token is still good after its end.
const LEEWAY_S: i64 = 5;
/// Seconds for which the tokens of these tests are good.
const GOOD_S: i64 = 3;
const ENDS_WITHIN: Duration = Duration::from_secs(20);

async fn world() -> World {
    World::with(Limits { recheck_every: Duration::from_millis(50), ..Limits::default() }).await
}

/// A token of the world's user that is good for a moment.
fn brief(world: &World) -> String {
    let now = Utc::now().timestamp();
    let claims = json!({ "sub": world.user.id, "ver": world.user.token_version, "iss": "voice", "aud": "voice-api",
        "iat": now - 60, "nbf": now - 60, "exp": now - LEEWAY_S + GOOD_S });
    let header = Header { typ: Some("at+jwt".to_owned()), ..Header::new(Algorithm::HS256) };
    encode(&header, &claims, &EncodingKey::from_secret(SECRET)).unwrap()
}

/// What comes until the stream ends.
async fn to_the_end(mut response: reqwest::Response) -> String {
    let reading = async {
        let mut text = String::new();
        while let Ok(Some(chunk)) = response.chunk().await {
            text.push_str(std::str::from_utf8(&chunk).unwrap());
        }
        text
    };
    timeout(ENDS_WITHIN, reading).await.expect("the stream goes on after its token has expired")
}

async fn is_refused(client: &tests::Client) -> bool {
    let answer = client.send("{ viewer { role } }", json!({})).await;
    !answer["errors"].is_null() && Refusal::of(&answer).code == "UNAUTHENTICATED"
}

#[tokio::test]
async fn a_socket_closes_4403() {
    let world = world().await;
    let token = brief(&world);
    let mut wire = world.open().await;
    wire.say(json!({ "type": "connection_init", "payload": { "authorization": format!("Bearer {token}") } })).await;
    wire.hears(json!({ "type": "connection_ack" })).await;
    wire.say(subscribe("1", EVENTS)).await;
    wire.hears_nothing_before_a_pong().await;
    let call_id = world.event().await;
    let Heard::Message(next) = wire.hear().await else { panic!("no event") };
    assert_eq!(next["payload"]["data"]["events"]["event"]["streamId"], json!(call_id), "it was good at first");
    assert_eq!(wire.closed().await, 4403);
    assert!(is_refused(&world.server.with_token(&token)).await);
    world.end().await;
}

#[tokio::test]
async fn an_event_stream_ends_without_complete() {
    let world = world().await;
    let client = world.server.with_token(&brief(&world));
    let document = json!({ "query": "subscription { dashboard { cursor } }" });
    let response = client.post().header("accept", "text/event-stream").json(&document).send().await.unwrap();
    let told = to_the_end(response).await;
    assert!(told.contains("event: next") && !told.contains("event: complete"), "{told}");
    let again = client.post().header("accept", "text/event-stream").json(&document).send().await.unwrap();
    assert_eq!(again.status(), 401);
    world.end().await;
}

#[tokio::test]
async fn a_subscription_in_parts_is_told_so_and_ends() {
    let world = world().await;
    let client = world.server.with_token(&brief(&world));
    let document = json!({ "query": "subscription { dashboard { cursor } }" });
    let accept = "multipart/mixed;subscriptionSpec=1.0,application/json";
    let told = to_the_end(client.post().header("accept", accept).json(&document).send().await.unwrap()).await;
    let last = told.trim_end().rsplit("\r\n\r\n").next().unwrap().split("\r\n").next().unwrap().to_owned();
    let last: Value = serde_json::from_str(&last).unwrap();
    assert_eq!((&last["payload"], Refusal::of(&last).code.as_str()), (&Value::Null, "UNAUTHENTICATED"), "{told}");
    assert!(told.ends_with("--graphql--\r\n"));
    world.end().await;
}

#[tokio::test]
async fn the_dashboard_feed_ends() {
    let world = world().await;
    let request = reqwest::Client::new().get(format!("http://{}/events/dashboard", world.server.address));
    let told = to_the_end(request.bearer_auth(brief(&world)).send().await.unwrap()).await;
    assert!(told.contains("event: dashboard"), "{told}");
    world.end().await;
}
