//! What one client may ask for: each limit is taken at its value and refused one past it, before anything is executed.

mod batch;
mod cost;
mod failure;
mod persisted;
mod size;
mod streams;
mod variables;

use api::Limits;
use domain::permission::Role;
use serde_json::{Value, json};
use tests::{Client, Refusal, TestDatabase, TestServer};

/// A supervisor of a server with limits of its own.
struct Bounded {
    server: TestServer,
    client: Client,
    database: TestDatabase,
}

impl Bounded {
    async fn new(limits: Limits) -> Self {
        let database = TestDatabase::new().await;
        let server = TestServer::start_with(&database, limits).await;
        let client = server.signed_in(Role::Supervisor).await;
        Self { server, client, database }
    }

    /// Asserts that the first document is executed, and the second refused for a limit without being executed.
    async fn bounds(&self, at: &str, past: &str, limit: &str) {
        let data = self.client.query(at, json!({})).await;
        assert!(data.is_object(), "{at}: {data}");
        let answer = self.client.send(past, json!({})).await;
        let refusal = Refusal::of(&answer);
        assert_eq!(refusal.words(), ("COMPLEXITY_LIMIT", limit), "{past}: {refusal:?}");
        assert!(answer.get("data").is_none(), "{past}: nothing was executed");
    }
}

async fn posted(client: &Client, body: &Value) -> (u16, reqwest::header::HeaderMap, Value) {
    let request = client.post().header("accept", "application/graphql-response+json").json(body);
    let response = request.send().await.unwrap();
    (response.status().as_u16(), response.headers().clone(), response.json().await.unwrap())
}
