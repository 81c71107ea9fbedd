//! Streams over HTTP: GraphQL as server-sent events and in parts, and the plain feed of the dashboard.

use std::time::Duration;

use reqwest::header::{ACCEPT, CONTENT_TYPE};
use reqwest::{Response, StatusCode};
use serde_json::{Value, json};
use tests::Refusal;
use tests::graphql::ANSWER_WITHIN;
use tokio::time::timeout;

use super::wire::{EVENTS, VIEWER, World};

const MULTIPART: &str = "multipart/mixed;boundary=graphql;subscriptionSpec=1.0,application/graphql-response+json";

/// A response that is read piece by piece.
struct Pieces {
    response: Response,
    text: String,
}

impl Pieces {
    fn of(response: Response) -> Self {
        Self { response, text: String::new() }
    }

    /// What stands before the next `end`; `None`: the stream has ended.
    async fn upto(&mut self, end: &str) -> Option<String> {
        loop {
            if let Some(at) = self.text.find(end) {
                let piece = self.text[..at].to_owned();
                self.text.drain(..at + end.len());
                return Some(piece);
            }
            let more = timeout(ANSWER_WITHIN, self.response.chunk()).await.expect("nothing came in time");
            self.text.push_str(std::str::from_utf8(&more.ok()??).unwrap());
        }
    }

    /// The fields of the next server-sent event that is no comment and no mere hint.
    async fn event(&mut self) -> Option<Vec<(String, String)>> {
        loop {
            let lines = self.upto("\n\n").await?;
            let fields = lines.lines().filter_map(|line| line.split_once(": ").or(line.split_once(':')));
            let fields: Vec<_> = fields.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
            if fields.iter().any(|(name, _)| name == "event") {
                return Some(fields);
            }
        }
    }
}

fn field<'a>(event: &'a [(String, String)], name: &str) -> &'a str {
    event.iter().find(|(field, _)| field == name).map_or("", |(_, value)| value)
}

async fn sse(world: &World, query: &str) -> Pieces {
    let request = world.client.post().header(ACCEPT, "text/event-stream").json(&json!({ "query": query }));
    let response = request.send().await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.headers()[CONTENT_TYPE], "text/event-stream");
    assert_eq!(response.headers()["x-accel-buffering"], "no");
    Pieces::of(response)
}

#[tokio::test]
async fn a_query_as_server_sent_events_is_next_and_complete_by_post_and_by_get() {
    let world = World::new().await;
    let get = world.client.get(&[("query", VIEWER)]).header(ACCEPT, "text/event-stream").send().await.unwrap();
    for mut events in [sse(&world, VIEWER).await, Pieces::of(get)] {
        let next = events.event().await.unwrap();
        assert_eq!(
            (field(&next, "event"), field(&next, "data")),
            ("next", r#"{"data":{"viewer":{"role":"SUPERVISOR"}}}"#)
        );
        let complete = events.event().await.unwrap();
        assert_eq!(field(&complete, "event"), "complete");
        assert!(complete.iter().any(|(name, _)| name == "data"), "a browser drops events without data");
        assert_eq!(events.event().await, None);
    }
    world.end().await;
}

#[tokio::test]
async fn what_is_not_executed_is_told_in_the_stream() {
    let world = World::new().await;
    for (query, code) in [("{", "GRAPHQL_PARSE_FAILED"), ("{ nothing }", "GRAPHQL_VALIDATION_FAILED")] {
        let mut events = sse(&world, query).await;
        let next = events.event().await.unwrap();
        let body: Value = serde_json::from_str(field(&next, "data")).unwrap();
        assert_eq!((field(&next, "event"), Refusal::of(&body).code.as_str()), ("next", code));
        assert_eq!(field(&events.event().await.unwrap(), "event"), "complete");
    }
    world.end().await;
}

#[tokio::test]
async fn a_subscription_as_server_sent_events_goes_on_until_shutdown_and_then_ends_without_complete() {
    let world = World::new().await;
    let mut events = sse(&world, EVENTS).await;
    // The stream has begun when it answers, but the subscription may begin a moment later.
    let seen = loop {
        let call_id = world.event().await;
        if let Ok(event) = timeout(Duration::from_millis(500), events.event()).await {
            break (call_id, event.unwrap());
        }
    };
    let data: Value = serde_json::from_str(field(&seen.1, "data")).unwrap();
    assert_eq!(data["data"]["events"]["event"]["streamId"], json!(seen.0));
    let rest = async {
        let mut rest = Vec::new();
        while let Some(event) = events.event().await {
            rest.push(field(&event, "event").to_owned());
        }
        rest
    };
    let (rest, ()) = tokio::join!(rest, world.end());
    assert!(!rest.contains(&"complete".to_owned()));
}

#[tokio::test]
async fn a_subscription_in_parts_as_apollo_asks_for_it() {
    let world = World::new().await;
    let dashboard = "subscription { dashboard { cursor dashboard { waiting } } }";
    let request = world.client.post().header(ACCEPT, MULTIPART).json(&json!({ "query": dashboard }));
    let response = request.send().await.unwrap();
    assert_eq!(response.headers()[CONTENT_TYPE], "multipart/mixed;boundary=\"graphql\";subscriptionSpec=\"1.0\"");
    let mut parts = Pieces::of(response);
    assert_eq!(parts.upto("\r\n--graphql").await.as_deref(), Some(""));
    // A sign of life, so that proxies pass the answer on.
    assert!(parts.upto("\r\n--graphql").await.unwrap().ends_with("{}"));
    let body = async |parts: &mut Pieces| -> Value {
        let part = parts.upto("\r\n--graphql").await.unwrap();
        let (head, body) = part.split_once("\r\n\r\n").unwrap();
        assert_eq!(head, "\r\ncontent-type: application/json");
        serde_json::from_str(body).unwrap()
    };
    let first = body(&mut parts).await;
    assert_eq!(first["payload"]["data"]["dashboard"]["dashboard"]["waiting"], json!(0));
    world.event().await;
    let second = body(&mut parts).await;
    assert!(second["payload"]["data"]["dashboard"]["cursor"] != first["payload"]["data"]["dashboard"]["cursor"]);

    // What can't begin is told as any error of an operation, and is the end.
    let wrong = "subscription { dashboard(after: \"x\") { cursor } }";
    let response = world.client.post().header(ACCEPT, MULTIPART).json(&json!({ "query": wrong })).send().await.unwrap();
    let text = response.text().await.unwrap();
    assert!(text.ends_with("\r\n--graphql--\r\n") && text.contains("\"payload\":{\"errors\":"), "{text}");
    assert!(text.contains("CURSOR_INVALID"), "{text}");
    // A query is answered as ever.
    let response =
        world.client.post().header(ACCEPT, MULTIPART).json(&json!({ "query": VIEWER })).send().await.unwrap();
    assert_eq!(response.headers()[CONTENT_TYPE], "application/graphql-response+json; charset=utf-8");
    world.end().await;
}

/// The feed of the dashboard, after an event and with these parameters.
async fn feed(world: &World, token: Option<&str>, parameters: &[(&str, &str)], last: Option<&str>) -> Response {
    let base = format!("http://{}/events/dashboard", world.server.address);
    let mut request = reqwest::Client::new().get(reqwest::Url::parse_with_params(&base, parameters).unwrap());
    if let Some(token) = token {
        request = request.bearer_auth(token);
    }
    if let Some(last) = last {
        request = request.header("last-event-id", last);
    }
    request.send().await.unwrap()
}

#[tokio::test]
async fn the_dashboard_feed_goes_on_after_the_last_event() {
    let world = World::new().await;
    let token = world.client.token();
    let mut events = Pieces::of(feed(&world, token, &[], None).await);
    let first = events.event().await.unwrap();
    assert_eq!(field(&first, "event"), "dashboard");
    let dashboard: Value = serde_json::from_str(field(&first, "data")).unwrap();
    assert_eq!((&dashboard["waiting"], &dashboard["offered"]), (&json!(0), &json!(0)));
    assert!(dashboard["agents"].as_array().is_some_and(|agents| !agents.is_empty()), "{dashboard}");
    drop(events);

    let call_id = world.event().await;
    world.client.accepted("queueCall", json!({ "callId": call_id, "queue": "sales" })).await;
    let cursor = field(&first, "id");
    for (waiting, parameters, last) in [(1, vec![], Some(cursor)), (2, vec![("lastEventId", cursor)], None)] {
        let mut again = Pieces::of(feed(&world, token, &parameters, last).await);
        let mut latest = again.event().await.unwrap();
        while serde_json::from_str::<Value>(field(&latest, "data")).unwrap()["waiting"] != json!(waiting) {
            latest = again.event().await.unwrap();
        }
        // After that cursor there is nothing until something changes.
        let mut quiet = Pieces::of(feed(&world, token, &[], Some(field(&latest, "id"))).await);
        let call_id = world.event().await;
        world.client.accepted("queueCall", json!({ "callId": call_id, "queue": "other" })).await;
        let next = quiet.event().await.unwrap();
        assert_ne!(field(&next, "id"), field(&latest, "id"));
    }
    world.end().await;
}

#[tokio::test]
async fn the_dashboard_feed_asks_who_is_there() {
    let world = World::new().await;
    let code = async |response: Response| {
        let status = response.status().as_u16();
        (status, Refusal::of(&response.json().await.unwrap()).code)
    };
    let refusal = |status: u16, code: &str| (status, code.to_owned());
    let token = world.client.token();
    assert_eq!(code(feed(&world, None, &[], None).await).await, refusal(401, "UNAUTHENTICATED"));
    assert_eq!(code(feed(&world, Some("x"), &[], None).await).await, refusal(401, "UNAUTHENTICATED"));
    assert_eq!(code(feed(&world, token, &[], Some("x")).await).await, refusal(400, "BAD_USER_INPUT"));
    let nobody = world.server.user(domain::permission::Role::Agent, Some(uuid::Uuid::now_v7()), &[]).await;
    let agent = world.server.sign_in(&nobody).await;
    assert_eq!(feed(&world, agent.token(), &[], None).await.status(), StatusCode::OK, "agents read dashboards");

    let ticket = async |token: &str| {
        let request = reqwest::Client::new().post(format!("http://{}/events/ticket", world.server.address));
        request.bearer_auth(token).send().await.unwrap()
    };
    assert_eq!(code(ticket("x").await).await, refusal(401, "UNAUTHENTICATED"));
    let given: Value = ticket(token.unwrap()).await.json().await.unwrap();
    assert_eq!(given["expiresInMs"], json!(30_000));
    let given = given["ticket"].as_str().unwrap();
    let mut events = Pieces::of(feed(&world, None, &[("ticket", given), ("queue", "sales")], None).await);
    let first = events.event().await.unwrap();
    let dashboard: Value = serde_json::from_str(field(&first, "data")).unwrap();
    assert_eq!(dashboard["queue"], json!("sales"));
    // A ticket is no token, and a token no ticket.
    assert_eq!(code(feed(&world, Some(given), &[], None).await).await, refusal(401, "UNAUTHENTICATED"));
    assert_eq!(
        code(feed(&world, None, &[("ticket", token.unwrap())], None).await).await,
        refusal(401, "UNAUTHENTICATED")
    );
    world.end().await;
}
