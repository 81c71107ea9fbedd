//! More than a node can do: who is let in is decided at once, who is not learns when to come back, and what was accepted is
//! in the log once.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sqlx::PgPool;
use tests::graphql::Pushed;
use tests::{Client, Voice};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use uuid::Uuid;

use super::health::health;
use super::{EMAIL, World};
use crate::view::until;

const EVENTS: &str = "subscription { events(fromStart: true) { event { position } } }";
const VIEWER: &str = "{ viewer { role } }";
const INITIATE: &str = "mutation ($input: InitiateCallInput!) {
    initiateCall(input: $input) { __typename ... on CommandAccepted { alreadyApplied } } }";
/// How long a refusal may take.
const REFUSED_WITHIN: Duration = Duration::from_secs(1);
/// Memory of a process under any of these loads.
const MEMORY_KIB_MAX: u64 = 400 * 1024;

fn initiate(command_id: Uuid) -> Value {
    json!({ "input": { "callId": command_id, "commandId": command_id, "direction": "INBOUND", "from": "+14155552671",
        "to": "+14155550100" } })
}

/// How an operation over HTTP is answered: the body, or when a node that has enough to do says to come back.
async fn send(client: &Client, document: &str, variables: &Value) -> Result<Value, Duration> {
    let request = client.post().json(&json!({ "query": document, "variables": variables }));
    let response = request.send().await.expect("an answer");
    let (status, retry_after) = (response.status().as_u16(), response.headers().get("retry-after").cloned());
    let body: Value = response.json().await.expect("JSON");
    if status == 200 {
        return Ok(body);
    }
    assert_eq!((status, retry_after.as_ref().map(|seconds| seconds.to_str().unwrap())), (503, Some("1")), "{body}");
    Err(overloaded(&body["errors"]))
}

/// The hint of a refusal for overload.
fn overloaded(errors: &Value) -> Duration {
    let told = &errors[0]["extensions"];
    assert_eq!((&told["code"], &told["reason"]), (&json!("UNAVAILABLE"), &json!("OVERLOADED")), "{errors}");
    Duration::from_millis(told["retryAfterMs"].as_u64().filter(|ms| *ms > 0).expect("a hint"))
}

fn percentile(times: &mut [Duration], percent: usize) -> Duration {
    times.sort();
    times[(times.len() * percent / 100).min(times.len() - 1)]
}

async fn initiated(pool: &PgPool) -> i64 {
    sqlx::query_scalar("SELECT count(*) FROM events WHERE type = 'call.initiated'").fetch_one(pool).await.unwrap()
}

#[tokio::test]
async fn who_comes_when_every_place_is_taken_is_refused_at_once() {
    const PLACES: usize = 8;
    let world = World::new().await;
    let pool = &world.database.pool;
    let voice = world.served(&["--limit", "requests=8,execution-ms=600000"], &[]).await;
    let client = world.client().await;
    let mut socket = client.socket().await;
    // Appends wait for this lock, and those who wait for them keep their places.
    let mut lock = pool.begin().await.unwrap();
    sqlx::query("LOCK TABLE append_keys IN ACCESS EXCLUSIVE MODE").execute(&mut *lock).await.unwrap();
    let let_in: Vec<_> = (0..PLACES)
        .map(|_| {
            let client = client.clone();
            // One that meets a look below comes again.
            tokio::spawn(async move {
                insist(&client, INITIATE, initiate(Uuid::now_v7()), &mut Lived::default()).await;
            })
        })
        .collect();
    until("every place is taken", async || send(&client, VIEWER, &json!({})).await.is_err()).await;

    let (refused, mut times) = (Uuid::now_v7(), Vec::new());
    for number in 0..200 {
        let began = Instant::now();
        let (document, variables) = if number % 2 == 0 { (VIEWER, json!({})) } else { (INITIATE, initiate(refused)) };
        send(&client, document, &variables).await.expect_err("there is no place");
        times.push(began.elapsed());
    }
    let slowest = percentile(&mut times, 99);
    assert!(slowest < REFUSED_WITHIN, "{slowest:?}");
    // The same on a socket, which stays; and health is told on a connection of its own.
    socket.begin(INITIATE, initiate(refused)).await;
    let Pushed::Error(errors) = socket.message().await else { panic!("there is no place") };
    overloaded(&errors);
    assert_eq!(health(voice.address().await, "ready").await.0, 200);

    lock.rollback().await.unwrap();
    for answer in let_in {
        answer.await.unwrap();
    }
    assert_eq!(initiated(pool).await, i64::try_from(PLACES).unwrap(), "what was refused is absent");
    let Ok(body) = send(&client, INITIATE, &initiate(refused)).await else { panic!("there is room again") };
    assert_eq!(body["data"]["initiateCall"]["alreadyApplied"], false, "{body}");
    assert!(voice.terminate().await.success());
}

/// A subscription of another id on a socket, and what is said of it first.
async fn another(socket: &mut tests::Subscription, id: usize) -> Pushed {
    let payload = json!({ "query": "subscription { dashboard { cursor } }" });
    socket.say(&json!({ "type": "subscribe", "id": id.to_string(), "payload": payload })).await;
    socket.message().await
}

#[tokio::test]
async fn sockets_and_subscriptions_beyond_what_a_node_takes_are_refused_and_places_are_free_again() {
    let world = World::new().await;
    let voice = world.served(&["--limit", "sockets=2,subscriptions=3"], &[]).await;
    let client = world.client().await;
    let (mut first, second) = (client.socket().await, client.socket().await);
    let url = format!("http://{}/graphql", voice.address().await);
    let upgrade = || {
        let request = reqwest::Client::new().get(&url).header("connection", "upgrade").header("upgrade", "websocket");
        let request =
            request.header("sec-websocket-version", "13").header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==");
        request.header("sec-websocket-protocol", "graphql-transport-ws").send()
    };
    let refused = upgrade().await.unwrap();
    assert_eq!((refused.status().as_u16(), refused.headers()["retry-after"].to_str().unwrap()), (503, "1"));
    overloaded(&refused.json::<Value>().await.unwrap()["errors"]);

    for id in 1..=3 {
        assert!(matches!(another(&mut first, id).await, Pushed::Next(_)));
    }
    let Pushed::Error(errors) = another(&mut first, 4).await else { panic!("there is no place") };
    overloaded(&errors);
    let as_stream = async || {
        let request = client.post().header("accept", "text/event-stream");
        let response = request.json(&json!({ "query": "subscription { dashboard { cursor } }" })).send().await.unwrap();
        (response.status().as_u16(), response.headers().get("retry-after").is_some())
    };
    assert_eq!(as_stream().await, (503, true));
    // What ends makes room.
    first.say(&json!({ "type": "complete", "id": "1" })).await;
    let mut id = 4;
    until("a place is free", async || {
        id += 1;
        matches!(another(&mut first, id).await, Pushed::Next(_))
    })
    .await;
    drop(first);
    until("streams have places again", async || as_stream().await == (200, false)).await;
    drop(second);
    until("sockets have places again", async || upgrade().await.unwrap().status() == 101).await;
    assert!(voice.terminate().await.success());
}

#[tokio::test]
async fn connections_beyond_what_a_node_takes_are_told_to_come_back() {
    let world = World::new().await;
    let voice = world.served(&["--limit", "connections=3"], &[]).await;
    let address = voice.address().await;
    let mut idle = Vec::new();
    for _ in 0..3 {
        idle.push(TcpStream::connect(address).await.unwrap());
    }
    let mut refused = TcpStream::connect(address).await.unwrap();
    let mut told = String::new();
    refused.read_to_string(&mut told).await.unwrap();
    let (head, body) = told.split_once("\r\n\r\n").expect("a whole answer");
    assert!(head.starts_with("HTTP/1.1 503 ") && head.contains("retry-after: 1\r\n"), "{head}");
    overloaded(&serde_json::from_str::<Value>(body).unwrap()["errors"]);
    // Those who are in are served; who goes makes room.
    idle[0].write_all(b"GET /health/live HTTP/1.1\r\nhost: voice\r\n\r\n").await.unwrap();
    let mut answer = [0; 12];
    idle[0].read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 200");
    idle.clear();
    until("there is room again", async || {
        let answer = reqwest::get(format!("http://{address}/health/live")).await;
        answer.is_ok_and(|answer| answer.status() == 200)
    })
    .await;
    assert!(voice.terminate().await.success());
}

#[tokio::test]
async fn a_flood_of_sign_ins_is_refused_before_it_is_hashed() {
    let world = World::new().await;
    // However slow the machine is that hashes.
    let voice = world.served(&["--limit", "execution-ms=60000"], &[]).await;
    let client = Client::new(voice.address().await, None);
    let document = "mutation ($input: LoginInput!) { login(input: $input) { accessToken } }";
    let tries: Vec<_> = (0..300)
        .map(|_| {
            let client = client.clone();
            let input = json!({ "input": { "email": EMAIL, "password": "wrong horse battery" } });
            tokio::spawn(async move { client.refused(document, input).await })
        })
        .collect();
    let (mut hashed, mut refused) = (0, 0);
    for answer in tries {
        match answer.await.unwrap().words() {
            ("UNAUTHENTICATED", "") => hashed += 1,
            ("UNAVAILABLE", "OVERLOADED") => refused += 1,
            other => panic!("{other:?}"),
        }
    }
    assert!(hashed >= 34 && refused > 0, "{hashed} hashed, {refused} refused");
    // Nobody is locked out by it.
    world.client().await.query(VIEWER, json!({})).await;
    assert!(voice.terminate().await.success());
}

/// What a client of the flood went through.
#[derive(Default)]
struct Lived {
    done: usize,
    refused: Vec<Duration>,
}

/// Sends an operation until it is taken, coming back when it was told to.
async fn insist(client: &Client, document: &str, variables: Value, lived: &mut Lived) {
    loop {
        let began = Instant::now();
        match send(client, document, &variables).await {
            Ok(body) => {
                assert!(body["errors"].is_null(), "{body}");
                lived.done += 1;
                return;
            }
            Err(retry_after) => {
                lived.refused.push(began.elapsed());
                tokio::time::sleep(retry_after).await;
            }
        }
    }
}

/// So many clients at once, each with so many operations.
async fn flood(
    clients: usize,
    each: usize,
    client: &Client,
    document: &'static str,
    variables: fn() -> Value,
) -> Lived {
    let clients: Vec<_> = (0..clients)
        .map(|_| {
            let client = client.clone();
            tokio::spawn(async move {
                let mut lived = Lived::default();
                for _ in 0..each {
                    insist(&client, document, variables(), &mut lived).await;
                }
                lived
            })
        })
        .collect();
    let mut all = Lived::default();
    for client in clients {
        let lived = client.await.unwrap();
        all.done += lived.done;
        all.refused.extend(lived.refused);
    }
    all
}

/// Subscribers of everything, of whom only so many are let in: those who are, after the first event.
async fn subscribers(clients: usize, client: &Client) -> Vec<tests::Subscription> {
    let mut let_in = Vec::new();
    for _ in 0..clients {
        let mut socket = client.socket().await;
        socket.begin(EVENTS, json!({})).await;
        match socket.message().await {
            Pushed::Next(first) => {
                assert_eq!(first["events"]["event"]["position"], 1);
                let_in.push(socket);
            }
            Pushed::Error(errors) => drop(overloaded(&errors)),
            other => panic!("{other:?}"),
        }
    }
    let_in
}

#[tokio::test]
async fn a_flood_of_everything_loses_and_doubles_nothing_and_memory_stays_bounded() {
    const WRITERS: usize = 150;
    const COMMANDS: usize = 4;
    let world = World::new().await;
    let pool = &world.database.pool;
    let voice: Voice = world.served(&["--limit", "requests=32,subscriptions=20"], &[]).await;
    let client = world.client().await;
    client.query(INITIATE, initiate(Uuid::now_v7())).await;
    let watching = subscribers(40, &client).await;
    assert_eq!(watching.len(), 20);
    let calls = "query { calls(first: 20) { nodes { callId state queue legs { agentId } } } }";
    let (mut written, mut read) = tokio::join!(
        flood(WRITERS, COMMANDS, &client, INITIATE, || initiate(Uuid::now_v7())),
        flood(50, 4, &client, calls, || json!({})),
    );
    assert_eq!((written.done, read.done), (WRITERS * COMMANDS, 200));
    assert!(!written.refused.is_empty(), "that was no flood");
    written.refused.append(&mut read.refused);
    let usual = percentile(&mut written.refused, 50);
    assert!(usual < REFUSED_WITHIN, "{usual:?}");
    let memory_kib = voice.memory_kib("VmHWM");
    assert!(memory_kib < MEMORY_KIB_MAX, "{memory_kib} KiB");

    let accepted = i64::try_from(1 + WRITERS * COMMANDS).unwrap();
    assert_eq!(initiated(pool).await, accepted);
    let keys: i64 = sqlx::query_scalar("SELECT count(DISTINCT key) FROM append_keys").fetch_one(pool).await.unwrap();
    assert_eq!(keys, accepted, "each under its own command");
    let everything: Vec<i64> = (2..=accepted).collect();
    for mut subscriber in watching {
        let seen = subscriber.take(everything.len()).await;
        let seen: Vec<i64> = seen.iter().map(|p| p["events"]["event"]["position"].as_i64().unwrap()).collect();
        assert_eq!(seen, everything);
    }
    assert!(voice.terminate().await.success());
}
