//! Event streams and multipart answers of one viewer.

use api::Limits;
use domain::permission::Role;
use reqwest::Response;
use serde_json::{Value, json};
use tests::{Client, Refusal};

use super::Bounded;
use crate::view::until;

const EVENTS: &str = "text/event-stream";
const PARTS: &str = "multipart/mixed;boundary=graphql;subscriptionSpec=1.0,application/json";

#[tokio::test]
async fn streams_of_every_kind_are_counted_together_and_free_again() {
    let bounded = Bounded::new(Limits { streams_per_viewer: 3, ..Limits::default() }).await;
    let address = bounded.server.address;
    let open = async |client: &Client, accept: &str| -> Response {
        let body = json!({ "query": "subscription { dashboard { cursor } }" });
        client.post().header("accept", accept).json(&body).send().await.unwrap()
    };
    let feed = async |client: &Client| -> Response {
        let request = reqwest::Client::new().get(format!("http://{address}/events/dashboard"));
        request.bearer_auth(client.token().unwrap()).send().await.unwrap()
    };
    let client = &bounded.client;
    let (events, parts, dashboard) = (open(client, EVENTS).await, open(client, PARTS).await, feed(client).await);
    for stream in [&events, &parts, &dashboard] {
        assert_eq!(stream.status(), 200);
    }
    for refused in [open(client, EVENTS).await, open(client, PARTS).await, feed(client).await] {
        assert_eq!(refused.status(), 429);
        let answer: Value = refused.json().await.unwrap();
        assert_eq!(Refusal::of(&answer).code, "TOO_MANY_STREAMS");
    }
    // Others have their own, and what is no stream is answered as ever.
    let other = bounded.server.signed_in(Role::Supervisor).await;
    assert_eq!(open(&other, EVENTS).await.status(), 200);
    assert_eq!(client.query("{ __typename }", json!({})).await["__typename"], "Query");

    drop(parts);
    until("a stream that was closed counts no more", async || open(client, EVENTS).await.status() == 200).await;
    drop((events, dashboard));
    bounded.server.stop().await;
}
