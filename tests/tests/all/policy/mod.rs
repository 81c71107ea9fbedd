//! What the edge shows, whom it answers, and with which status.

mod origins;
mod production;
mod statuses;
mod trusted;

use api::{Limits, Policy};
use domain::permission::Role;
use reqwest::Response;
use serde_json::Value;
use tests::{Client, TestDatabase, TestServer};

/// A supervisor of a server with a policy of its own.
struct World {
    server: TestServer,
    client: Client,
    _database: TestDatabase,
}

impl World {
    async fn new(policy: Policy) -> Self {
        let database = TestDatabase::new().await;
        let server = TestServer::start_under(&database, Limits::default(), policy).await;
        let client = server.signed_in(Role::Supervisor).await;
        Self { server, client, _database: database }
    }

    /// Sends a body, taking this media type.
    async fn posted(&self, accept: &str, body: &Value) -> (u16, Value) {
        told(self.client.post().header("accept", accept).json(body).send().await.unwrap()).await
    }
}

async fn told(response: Response) -> (u16, Value) {
    (response.status().as_u16(), response.json().await.unwrap())
}

const JSON: &str = "application/json";
const GRAPHQL: &str = "application/graphql-response+json";
