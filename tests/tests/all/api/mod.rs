//! The edge seen from outside: a server with every role, asked over HTTP and WebSocket as a client asks it.

mod boards;
mod call;
mod cost;
mod descriptions;
mod direct;
mod events;
mod fanout;
mod fanout_cost;
mod fanout_rights;
mod guards;
mod hollow;
mod idempotency;
mod input;
mod pages;
mod parked;
mod relay;
mod replay;
mod roles;
mod schema_file;
mod shape;
mod statements;
mod streams;
mod tokens;
mod turns;

use api::Limits;
use domain::permission::Role;
use serde_json::{Value, json};
use tests::{Client, TestDatabase, TestServer};
use uuid::Uuid;

/// The permission of an agent who is somebody else.
const FORBIDDEN: (&str, &str) = ("FORBIDDEN", "");
const BAD_INPUT: &str = "BAD_USER_INPUT";

/// A call centre with a supervisor and two agents who are available.
struct World {
    database: TestDatabase,
    server: TestServer,
    supervisor: Client,
    ann: Worker,
    bob: Worker,
}

/// An agent with a user.
struct Worker {
    agent_id: Uuid,
    user_id: Uuid,
    client: Client,
}

impl World {
    async fn new() -> Self {
        Self::with(Limits::default()).await
    }

    /// The same, where clients may ask for so much.
    async fn with(limits: Limits) -> Self {
        let database = TestDatabase::new().await;
        let server = TestServer::start_with(&database, limits).await;
        let supervisor = server.signed_in(Role::Supervisor).await;
        let ann = worker(&server, &supervisor, "Ann", "red").await;
        let bob = worker(&server, &supervisor, "Bob", "blue").await;
        Self { database, server, supervisor, ann, bob }
    }

    /// The end of the test: everything ends in order.
    async fn end(self) {
        self.server.stop().await;
        drop(self.database);
    }

    /// A call that came in.
    async fn call(&self) -> Uuid {
        let call_id = Uuid::now_v7();
        self.supervisor.accepted("initiateCall", initiate(call_id)).await;
        call_id
    }

    /// A call that rings at an agent's.
    async fn offered_to(&self, worker: &Worker) -> Uuid {
        let call_id = self.call().await;
        self.offer(call_id, worker).await;
        call_id
    }

    async fn offer(&self, call_id: Uuid, worker: &Worker) -> i64 {
        self.supervisor.accepted("offerCall", json!({ "callId": call_id, "agentId": worker.agent_id })).await
    }

    /// A call that an agent has answered.
    async fn connected_to(&self, worker: &Worker) -> Uuid {
        let call_id = self.offered_to(worker).await;
        worker.client.accepted("answerCall", json!({ "callId": call_id })).await;
        call_id
    }

    /// Adds what the customer said.
    async fn say(&self, call_id: Uuid, begin_ms: usize, text: &str) -> i64 {
        self.supervisor.accepted("addTranscriptSegment", segment(call_id, begin_ms, text)).await
    }
}

async fn worker(server: &TestServer, supervisor: &Client, name: &str, team: &str) -> Worker {
    let agent_id = Uuid::now_v7();
    supervisor.accepted("registerAgent", json!({ "agentId": agent_id, "name": name, "team": team })).await;
    let user = server.user(Role::Agent, Some(agent_id), &[]).await;
    let client = server.sign_in(&user).await;
    client.accepted("signInAgent", json!({})).await;
    Worker { agent_id, user_id: user.id, client }
}

fn initiate(call_id: Uuid) -> Value {
    json!({ "callId": call_id, "direction": "INBOUND", "from": "+14155552671", "to": "+14155550100" })
}

fn segment(call_id: Uuid, begin_ms: usize, text: &str) -> Value {
    let end_ms = begin_ms + 500;
    json!({ "callId": call_id, "speaker": "CUSTOMER", "beginMs": begin_ms, "endMs": end_ms, "text": text, "model": "m" })
}

const EVENT: &str = "eventId position category streamId version type occurredAt actor causationId";

/// The whole history of a call, page by page.
async fn history(client: &Client, call_id: Uuid) -> Vec<Value> {
    let document = format!(
        "query ($id: UUID!, $after: String) {{ callHistory(callId: $id, first: 100, after: $after) {{
           nodes {{ {EVENT} }} pageInfo {{ hasNextPage endCursor }} }} }}"
    );
    let (mut events, mut after) = (Vec::new(), Value::Null);
    loop {
        let page = client.query(&document, json!({ "id": call_id, "after": after })).await["callHistory"].take();
        events.extend(page["nodes"].as_array().unwrap().iter().cloned());
        if page["pageInfo"]["hasNextPage"] == json!(false) {
            return events;
        }
        after = page["pageInfo"]["endCursor"].clone();
    }
}

/// A field of each value.
fn column(values: &[Value], pointer: &str) -> Vec<Value> {
    let cell = |value: &Value| value.pointer(pointer).unwrap_or_else(|| panic!("{pointer} in {value}")).clone();
    values.iter().map(cell).collect()
}
