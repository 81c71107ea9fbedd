//! `/events/dashboard`: the dashboard as plain events, for wallboards.

use std::collections::BTreeSet;
use std::time::Duration;

use api::Limits;
use reqwest::{RequestBuilder, StatusCode};
use serde_json::{Value, json};
use tests::{Client, Proxy};
use uuid::Uuid;

use super::http_stream::{Event, Streamed};
use super::wire::World;

const SUBSCRIPTION: &str = "subscription ($after: String) { dashboard(after: $after) { cursor } }";

impl World {
    /// The feed, with parameters in its address and a token or none.
    fn feed(&self, parameters: &[(&str, &str)], client: Option<&Client>) -> RequestBuilder {
        at(self.server.address, parameters, client)
    }

    async fn watch(&self, parameters: &[(&str, &str)]) -> Streamed {
        Streamed::of(self.feed(parameters, Some(&self.client))).await
    }

    /// Asks for a ticket.
    async fn ticket_for(&self, client: &Client) -> Streamed {
        let request = reqwest::Client::new().post(format!("http://{}/events/ticket", self.server.address));
        Streamed::of(match client.token() {
            Some(token) => request.bearer_auth(token),
            None => request,
        })
        .await
    }

    async fn ticket(&self) -> String {
        let answer = self.ticket_for(&self.client).await.whole().await;
        answer["ticket"].as_str().expect("a ticket").to_owned()
    }

    /// A caller who waits; the dashboard shows it.
    async fn waits_in(&self, queue: &str) -> Uuid {
        let call_id: Uuid = self.event().await.parse().unwrap();
        self.client.accepted("queueCall", json!({ "callId": call_id, "queue": queue })).await;
        call_id
    }
}

fn at(address: std::net::SocketAddr, parameters: &[(&str, &str)], client: Option<&Client>) -> RequestBuilder {
    let url = reqwest::Url::parse_with_params(&format!("http://{address}/events/dashboard"), parameters).unwrap();
    let request = reqwest::Client::new().get(url).header("accept", "text/event-stream");
    match client.and_then(Client::token) {
        Some(token) => request.bearer_auth(token),
        None => request,
    }
}

/// The next push that shows something; there must be one.
async fn push(stream: &mut Streamed) -> Event {
    let event = stream.event().await.expect("a push");
    assert_eq!(event.name, "dashboard");
    assert!(event.id.as_ref().is_some_and(|id| !id.is_empty()), "{event:?}");
    event
}

/// Pushes up to the one that shows so many who wait.
async fn until_waiting(stream: &mut Streamed, waiting: i64) -> Vec<Event> {
    let mut pushes = vec![push(stream).await];
    while pushes.last().is_some_and(|last| last.json()["waiting"] != json!(waiting)) {
        pushes.push(push(stream).await);
    }
    pushes
}

async fn refused(request: RequestBuilder) -> (StatusCode, Value, Value) {
    let answer = Streamed::of(request).await;
    let status = answer.status();
    assert!(answer.header("content-type").starts_with("application/json"));
    assert_eq!(status == StatusCode::UNAUTHORIZED, answer.header("www-authenticate") == "Bearer");
    let mut body = answer.whole().await;
    let extensions = body["errors"][0]["extensions"].take();
    (status, extensions["code"].clone(), extensions["reason"].clone())
}

fn unauthenticated() -> (StatusCode, Value, Value) {
    (StatusCode::UNAUTHORIZED, json!("UNAUTHENTICATED"), Value::Null)
}

#[tokio::test]
async fn shows_every_field_of_the_dashboard_and_the_hint_when_to_come_back() {
    let world = World::new().await;
    world.waits_in("sales").await;
    let mut stream = world.watch(&[]).await;
    assert_eq!(stream.status(), StatusCode::OK);
    assert_eq!(stream.header("content-type"), "text/event-stream");
    assert_eq!(stream.header("cache-control"), "no-cache");
    assert_eq!(stream.header("x-accel-buffering"), "no");
    let first = stream.block().await.unwrap();
    assert!(first.retry.is_some() && !first.has_data, "{first:?}");
    let shown = until_waiting(&mut stream, 1).await.pop().unwrap().json();

    let fields = "{ __type(name: \"Dashboard\") { fields { name } } }";
    let known = world.client.query(fields, json!({})).await["__type"]["fields"].take();
    let known: BTreeSet<&str> = known.as_array().unwrap().iter().map(|f| f["name"].as_str().unwrap()).collect();
    let told: BTreeSet<&str> = shown.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(told, known);
    assert_eq!((&shown["queue"], &shown["offered"]), (&Value::Null, &json!(1)));
    assert!(shown["agents"].as_array().is_some_and(|agents| agents.iter().all(|a| a["activity"].is_string())));
    drop(stream);
    world.end().await;
}

#[tokio::test]
async fn shows_changes_as_they_happen_of_one_queue_or_of_all() {
    let world = World::new().await;
    let (mut all, mut sales) = (world.watch(&[]).await, world.watch(&[("queue", "sales")]).await);
    assert_eq!(push(&mut all).await.json()["waiting"], 0);
    let empty = push(&mut sales).await.json();
    assert_eq!((&empty["waiting"], &empty["queue"]), (&json!(0), &json!("sales")));
    world.waits_in("sales").await;
    world.waits_in("support").await;
    until_waiting(&mut all, 2).await;
    until_waiting(&mut sales, 1).await;
    drop((all, sales));
    world.end().await;
}

#[tokio::test]
async fn who_comes_back_with_the_last_id_is_shown_what_changed_since_and_no_push_again() {
    let world = World::with(Limits { dashboard_every: Duration::ZERO, ..Limits::default() }).await;
    let proxy = Proxy::to(world.server.address).await;
    let connect = async |id: Option<&str>| {
        let request = at(proxy.address, &[], Some(&world.client));
        Streamed::of(match id {
            Some(id) => request.header("last-event-id", id),
            None => request,
        })
        .await
    };
    let mut seen: Vec<String> = Vec::new();
    let mut stream = connect(None).await;
    for waiting in 1..=5 {
        // What happens while nobody is connected is shown to who comes back, with what is new.
        world.waits_in("sales").await;
        seen.extend(until_waiting(&mut stream, waiting).await.into_iter().filter_map(|event| event.id));
        proxy.cut();
        drop(stream);
        stream = connect(seen.last().map(String::as_str)).await;
        assert_eq!(stream.status(), StatusCode::OK, "also when there is nothing new yet");
    }
    let distinct: BTreeSet<&String> = seen.iter().collect();
    assert_eq!(distinct.len(), seen.len(), "a push came twice");
    drop(stream);
    world.end().await;
}

#[tokio::test]
async fn the_last_id_in_the_address_counts_where_no_header_says_more() {
    let world = World::new().await;
    let mut stream = world.watch(&[]).await;
    let old = push(&mut stream).await.id.unwrap();
    world.waits_in("sales").await;
    let new = until_waiting(&mut stream, 1).await.pop().unwrap().id.unwrap();
    // The old one is followed by what is there already; the new one by what is yet to come.
    let mut after_old = world.watch(&[("lastEventId", &old)]).await;
    assert_eq!(push(&mut after_old).await.json()["waiting"], 1);
    let both = world.feed(&[("lastEventId", &old)], Some(&world.client)).header("last-event-id", &new);
    let mut after_new = Streamed::of(both).await;
    world.waits_in("sales").await;
    // What the call did before it was queued shows nothing yet that was not seen.
    for event in until_waiting(&mut after_new, 2).await {
        assert_ne!(event.id, Some(new.clone()));
    }
    let mut empty = world.watch(&[("lastEventId", "")]).await;
    assert_eq!(push(&mut empty).await.json()["waiting"], 2);
    drop((stream, after_old, after_new, empty));
    world.end().await;
}

#[tokio::test]
async fn its_ids_are_cursors_of_the_subscription() {
    let world = World::new().await;
    let id = push(&mut world.watch(&[]).await).await.id.unwrap();
    let mut subscription = world.client.subscribe(SUBSCRIPTION, json!({ "after": id })).await;
    world.waits_in("sales").await;
    let cursor = subscription.next().await["dashboard"]["cursor"].take();
    assert_eq!(world.watch(&[("lastEventId", cursor.as_str().unwrap())]).await.status(), StatusCode::OK);
    world.end().await;
}

#[tokio::test]
async fn a_last_id_that_is_none_is_refused_with_400() {
    let world = World::new().await;
    let of_all = push(&mut world.watch(&[]).await).await.id.unwrap();
    let (bad, token) = (StatusCode::BAD_REQUEST, Some(&world.client));
    let invalid = (bad, json!("BAD_USER_INPUT"), json!("CURSOR_INVALID"));
    assert_eq!(refused(world.feed(&[("lastEventId", "nonsense")], token)).await, invalid);
    assert_eq!(refused(world.feed(&[], token).header("last-event-id", "nonsense")).await, invalid);
    let latin = reqwest::header::HeaderValue::from_bytes(b"\xe9").unwrap();
    assert_eq!(refused(world.feed(&[], token).header("last-event-id", latin)).await, invalid);
    let other = refused(world.feed(&[("queue", "sales"), ("lastEventId", &of_all)], token)).await;
    assert_eq!(other, (bad, json!("BAD_USER_INPUT"), json!("CURSOR_OF_OTHER_SCOPE")));
    let control = refused(world.feed(&[("queue", "a\0b")], token)).await;
    assert_eq!(control, (bad, json!("BAD_USER_INPUT"), json!("TEXT_CONTROL_CHARACTER")));
    let twice = refused(world.feed(&[("queue", "a"), ("queue", "b")], token)).await;
    assert_eq!(twice, (bad, json!("BAD_REQUEST"), Value::Null));
    world.end().await;
}

#[tokio::test]
async fn nobody_is_let_in_and_no_token_is_taken_from_an_address() {
    let world = World::new().await;
    assert_eq!(refused(world.feed(&[], None)).await, unauthenticated());
    assert_eq!(refused(world.feed(&[], Some(&world.server.with_token("nonsense")))).await, unauthenticated());
    assert_eq!(refused(world.feed(&[("ticket", world.client.token().unwrap())], None)).await, unauthenticated());
    world.end().await;
}

#[tokio::test]
async fn a_ticket_opens_the_feed_in_place_of_a_token_and_nothing_else() {
    let world = World::new().await;
    let given = world.ticket_for(&world.client).await;
    assert_eq!((given.status(), given.header("cache-control")), (StatusCode::OK, "no-store"));
    let given = given.whole().await;
    assert_eq!(given["expiresInMs"], 30_000);
    let ticket = given["ticket"].as_str().unwrap();
    // An `EventSource` that loses its connection at once comes back to the same address.
    for _ in 0..2 {
        let mut stream = Streamed::of(world.feed(&[("ticket", ticket)], None)).await;
        assert_eq!(push(&mut stream).await.json()["waiting"], 0);
    }
    let as_token = world.server.with_token(ticket);
    assert_eq!(as_token.refused("{ viewer { role } }", json!({})).await.code, "UNAUTHENTICATED");
    assert_eq!(refused(world.feed(&[], Some(&as_token))).await, unauthenticated());
    assert_eq!(world.ticket_for(&as_token).await.status(), StatusCode::UNAUTHORIZED, "a ticket buys no other");
    for wrong in ["", "nonsense", &ticket[..ticket.len() - 2]] {
        assert_eq!(refused(world.feed(&[("ticket", wrong)], None)).await, unauthenticated(), "{wrong}");
    }
    assert_eq!(world.ticket_for(&world.server.anonymous()).await.status(), StatusCode::UNAUTHORIZED);
    world.end().await;
}

#[tokio::test]
async fn a_ticket_is_worth_no_more_than_the_account_behind_it() {
    let world = World::with(Limits { recheck_every: Duration::from_millis(20), ..Limits::default() }).await;
    let ticket = world.ticket().await;
    let mut streams = [
        Streamed::of(world.feed(&[("ticket", &ticket)], None)).await,
        Streamed::of(world.feed(&[], Some(&world.client))).await,
    ];
    for stream in &mut streams {
        push(stream).await;
    }
    world.server.users.set_role(world.user.id, world.user.role, &[]).await.unwrap();
    for stream in &mut streams {
        while stream.event().await.is_some() {}
    }
    assert_eq!(refused(world.feed(&[("ticket", &ticket)], None)).await, unauthenticated());
    world.end().await;
}

#[tokio::test]
async fn a_ticket_costs_points() {
    const POINTS: u32 = 5;
    let limits =
        Limits { points_per_minute: 1, points_burst: POINTS, complexity: POINTS as usize, ..Limits::default() };
    let world = World::with(limits).await;
    let mut given = 0;
    let last = loop {
        let answer = world.ticket_for(&world.client).await;
        if answer.status() != StatusCode::OK {
            break answer;
        }
        given += 1;
        assert!(given <= POINTS, "there is no end to tickets");
    };
    assert_eq!((given, last.status()), (POINTS, StatusCode::TOO_MANY_REQUESTS));
    assert!(last.header("retry-after").parse::<u64>().is_ok_and(|seconds| seconds > 0));
    assert_eq!(last.whole().await["errors"][0]["extensions"]["code"], "RATE_LIMITED");
    world.end().await;
}

#[tokio::test]
async fn in_silence_comments_are_sent() {
    let world = World::with(Limits { heartbeat_every: Duration::from_millis(20), ..Limits::default() }).await;
    let mut stream = world.watch(&[]).await;
    push(&mut stream).await;
    for _ in 0..3 {
        assert_eq!(stream.block().await.map(|block| block.comments), Some(1));
    }
    drop(stream);
    world.end().await;
}

#[tokio::test]
async fn at_shutdown_the_feed_ends() {
    let world = World::new().await;
    let mut stream = world.watch(&[]).await;
    push(&mut stream).await;
    let (last, ()) = tokio::join!(stream.event(), world.end());
    assert_eq!(last, None);
}
