//! A process that is asked to end: who waits for it is answered, who watches is sent elsewhere, and it ends in time,
//! whatever the database does.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sqlx::{PgPool, Postgres, Transaction};
use tests::faults::edge::{Edge, Weather};
use tests::graphql::Pushed;
use tests::{Client, Voice};
use uuid::Uuid;

use super::World;
use crate::view::until;

const EVENTS: &str =
    "subscription ($after: String) { events(after: $after) { cursor event { position type streamId } } }";
const QUEUE_CALL: &str = "mutation ($input: QueueCallInput!) {
    queueCall(input: $input) { __typename ... on CommandAccepted { position alreadyApplied } } }";
/// What a machine under load may take beyond the time that was stated, to start threads and tear a process down.
const SLACK: Duration = Duration::from_secs(10);

async fn call(client: &Client) -> Uuid {
    let call_id = Uuid::now_v7();
    let call = json!({ "callId": call_id, "direction": "INBOUND", "from": "+14155552671", "to": "+14155550100" });
    client.accepted("initiateCall", call).await;
    call_id
}

fn queue(call_id: Uuid, command_id: Uuid) -> Value {
    json!({ "input": { "callId": call_id, "queue": "sales", "commandId": command_id } })
}

/// Holds what every append writes to, so that all of them wait.
async fn held(pool: &PgPool) -> Transaction<'static, Postgres> {
    let mut lock = pool.begin().await.unwrap();
    sqlx::query("LOCK TABLE append_keys IN SHARE MODE").execute(&mut *lock).await.unwrap();
    lock
}

/// Waits until an append waits for a lock.
async fn is_in_flight(pool: &PgPool) {
    let waiting = "SELECT count(*) FROM pg_stat_activity
        WHERE datname = current_database() AND wait_event_type = 'Lock' AND query ~ 'append_keys'";
    until("an append waits", async || sqlx::query_scalar::<_, i64>(waiting).fetch_one(pool).await.unwrap() > 0).await;
}

/// Sends a command and gives its answer later.
fn sent(client: &Client, variables: Value) -> tokio::task::JoinHandle<(u16, Option<String>, Value)> {
    let request = client.post().json(&json!({ "query": QUEUE_CALL, "variables": variables }));
    let request = request.header("accept", "application/graphql-response+json");
    tokio::spawn(async move {
        let response = request.send().await.expect("an answer");
        let retry_after = response.headers().get("retry-after").map(|value| value.to_str().unwrap().to_owned());
        (response.status().as_u16(), retry_after, response.json().await.unwrap())
    })
}

async fn times_queued(pool: &PgPool, call_id: Uuid) -> i64 {
    let count = "SELECT count(*) FROM events WHERE stream_id = $1 AND type = 'call.queued'";
    sqlx::query_scalar(count).bind(call_id).fetch_one(pool).await.unwrap()
}

#[tokio::test]
async fn commands_in_flight_are_answered_and_subscribers_go_on_elsewhere() {
    let world = World::new().await;
    let pool = &world.database.pool;
    // Longer than any machine takes for what happens in between.
    let voice = world.served(&["--limit", "drain-ms=60000", "--drain-within-s", "240"], &[]).await;
    let client = world.client().await;
    let mut watching = client.subscribe(EVENTS, json!({})).await;
    let (by_http, by_socket) = (call(&client).await, call(&client).await);
    let cursor = watching.take(2).await.pop().unwrap()["events"]["cursor"].take();

    let lock = held(pool).await;
    let answer = sent(&client, queue(by_http, Uuid::now_v7()));
    is_in_flight(pool).await;
    let mut socket = client.socket().await;
    socket.begin(QUEUE_CALL, queue(by_socket, Uuid::now_v7())).await;
    // Said after it, so answered when the command was begun.
    socket.say(&json!({ "type": "ping" })).await;
    assert!(matches!(socket.message().await, Pushed::Other(pong) if pong["type"] == "pong"));

    voice.ask_to_end();
    voice.logged("stopping").await;
    assert_eq!(watching.message().await, Pushed::Closed(1012), "a code after which clients come back");
    lock.rollback().await.unwrap();
    let (status, _, answer) = answer.await.unwrap();
    assert_eq!((status, &answer["data"]["queueCall"]["__typename"]), (200, &json!("CommandAccepted")), "{answer}");
    let Pushed::Next(data) = socket.message().await else { panic!("the command was not answered") };
    assert_eq!(data["queueCall"]["__typename"], "CommandAccepted");
    assert_eq!([socket.message().await, socket.message().await], [Pushed::Complete, Pushed::Closed(1012)]);
    assert!(voice.ended().await.success());
    assert_eq!([times_queued(pool, by_http).await, times_queued(pool, by_socket).await], [1, 1]);

    // Elsewhere the subscriber goes on after its cursor, with everything since and nothing twice.
    let voice = world.served(&[], &[]).await;
    let mut watching = world.client().await.subscribe(EVENTS, json!({ "after": cursor })).await;
    let seen = watching.take(2).await;
    let seen: Vec<&Value> = seen.iter().map(|payload| &payload["events"]["event"]["position"]).collect();
    assert_eq!(seen, [&json!(3), &json!(4)]);
    assert!(voice.terminate().await.success());
}

/// Asks a process to end in the middle of a command; holds it to the time that was stated. What the command is answered.
async fn ends_in_time(
    voice: Voice,
    within: Duration,
    answer: impl Future<Output = (u16, Option<String>, Value)>,
) -> Value {
    let began = Instant::now();
    voice.ask_to_end();
    let (status, retry_after, answer) = answer.await;
    let error = &answer["errors"][0]["extensions"];
    assert_eq!((status, error["code"].as_str()), (503, Some("UNAVAILABLE")), "{answer}");
    assert!(error["retryAfterMs"].as_u64().is_some_and(|ms| ms > 0) && retry_after.is_some(), "{answer}");
    let ended = voice.ended_of().await;
    assert!(ended.status.success(), "{ended:?}");
    assert!(began.elapsed() < within + SLACK, "{:?}: {}", began.elapsed(), ended.log);
    answer
}

#[tokio::test]
async fn what_does_not_end_is_answered_as_such_and_the_process_ends_in_time() {
    let world = World::new().await;
    let pool = &world.database.pool;
    let voice = world.served(&["--limit", "drain-ms=200", "--drain-within-s", "4"], &[]).await;
    let client = world.client().await;
    let (call_id, command_id) = (call(&client).await, Uuid::now_v7());
    let lock = held(pool).await;
    let answer = sent(&client, queue(call_id, command_id));
    is_in_flight(pool).await;
    let answer = ends_in_time(voice, Duration::from_secs(4), async { answer.await.unwrap() }).await;
    assert_eq!(answer["errors"][0]["extensions"]["reason"], "SHUTTING_DOWN");
    lock.rollback().await.unwrap();

    // Sent again under its id, it is there once, whether or not it was done then.
    let voice = world.served(&[], &[]).await;
    let again = world.client().await.query(QUEUE_CALL, queue(call_id, command_id)).await;
    assert_eq!(again["queueCall"]["__typename"], "CommandAccepted");
    assert_eq!(times_queued(pool, call_id).await, 1);
    assert!(voice.terminate().await.success());
}

#[tokio::test]
async fn a_database_that_is_away_holds_nobody_up() {
    let gone = Weather { refuses: true, ..Weather::default() };
    let silent = Weather { frozen_up: true, frozen_down: true, ..Weather::default() };
    for (weather, cut) in [(gone, true), (silent, false)] {
        let world = World::new().await;
        let edge = Edge::new(1).await;
        let (rest, database) = world.database.url.rsplit_once('/').unwrap();
        let (user, host) = rest.rsplit_once('@').unwrap();
        let server: SocketAddr = host.replace("localhost", "127.0.0.1").parse().expect("host:port in DATABASE_URL");
        edge.lead_to(server);
        let url = format!("{user}@{}/{database}", edge.address);
        let arguments = ["--limit", "drain-ms=500", "--drain-within-s", "16"];
        let voice = world.served(&arguments, &[("DATABASE_URL", url.as_str())]).await;
        let client = world.client().await;
        let call_id = call(&client).await;
        let lock = held(&world.database.pool).await;
        let answer = sent(&client, queue(call_id, Uuid::now_v7()));
        is_in_flight(&world.database.pool).await;
        edge.weather(weather);
        if cut {
            edge.cut();
        }
        ends_in_time(voice, Duration::from_secs(16), async { answer.await.unwrap() }).await;
        lock.rollback().await.unwrap();
    }
}
