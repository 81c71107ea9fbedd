//! F31: PostgreSQL has no connection left. Whoever asks is answered all the same, and told when to come again.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use reqwest::header::{ACCEPT, RETRY_AFTER};
use serde_json::{Value, json};
use sqlx::{Connection, PgConnection};
use uuid::Uuid;

use super::super::postgres::Postgres;
use super::{Cluster, until};
use crate::Client;

/// How long a client may be kept waiting for a refusal: a request waits 5 s for a connection to learn who asks, and as long for
/// one to do it with.
const REFUSED_WITHIN: Duration = Duration::from_secs(7);
const FAILED_WITHIN: Duration = Duration::from_secs(12);
/// Rounds of taking what became free: processes that had connections fight for them.
const ROUNDS_MAX: usize = 100;
/// How many ask each node at once: many times the connections that it may have.
const ASK_AT_ONCE: usize = 100;

pub(super) async fn exhausted(cluster: &mut Cluster) {
    let url = Postgres::url(cluster.postgres.address, "postgres");
    let taken = take_all(&url).await;
    let call = cluster.load.shared_call();
    let clients = cluster.apis.iter().map(|api| Client::new(api.clients.address, Some(cluster.token.clone())));
    let clients: Vec<Client> = clients.collect();
    let asked = clients.iter().flat_map(|client| (0..ASK_AT_ONCE).map(|number| ask(client, call, number % 2 == 0)));
    let refused = join_all(asked).await.into_iter().filter(|refused| *refused).count();
    assert!(refused > ASK_AT_ONCE, "connections are left: only {refused} are refused");
    for connection in taken {
        drop(connection.close().await);
    }
    until("connections are free again", async || PgConnection::connect(&url).await.ok().map(drop)).await;
    // Nobody holds on to a place or waits for a connection that never comes.
    for client in &clients {
        until("a node does what it is asked", async || (!ask(client, call, true).await).then_some(())).await;
    }
}

/// Takes every connection that the server has, from our processes as well.
async fn take_all(url: &str) -> Vec<PgConnection> {
    let mut taken = Vec::new();
    for _ in 0..ROUNDS_MAX {
        while let Ok(connection) = PgConnection::connect(url).await {
            taken.push(connection);
        }
        let end = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = 'voice'";
        let asker = taken.first_mut().expect("a connection");
        let ended: i64 = sqlx::query_scalar(end).fetch_one(asker).await.expect("the server");
        if ended == 0 {
            break;
        }
    }
    taken
}

/// Asks for something that needs the database, a command or a query. `false`: it was done.
///
/// # Panics
/// It is refused too late, or without a hint when to come again.
async fn ask(client: &Client, call: Uuid, changes: bool) -> bool {
    let team = Uuid::now_v7().simple().to_string();
    let input = json!({ "agentId": Uuid::now_v7(), "commandId": Uuid::now_v7(), "team": team });
    let body = if changes {
        let document = "mutation ($input: AssignTeamInput!) { assignTeam(input: $input) { __typename } }";
        json!({ "query": document, "variables": { "input": input } })
    } else {
        json!({ "query": "query ($id: UUID!) { call(callId: $id) { __typename } }", "variables": { "id": call } })
    };
    let begun = Instant::now();
    let request = client.post().header(ACCEPT, "application/graphql-response+json").json(&body);
    let answer = request.send().await.expect("an answer");
    let (status, hint) = (answer.status(), answer.headers().get(RETRY_AFTER).cloned());
    let answer: Value = answer.json().await.expect("an answer in JSON");
    let took = begun.elapsed();
    // What was executed in part has an answer in GraphQL, and its own status.
    let executed = answer.get("data").is_some();
    assert!(took < if executed { FAILED_WITHIN } else { REFUSED_WITHIN }, "answered after {took:?}: {answer}");
    let extensions = &answer["errors"][0]["extensions"];
    if extensions.is_null() {
        return false;
    }
    assert_eq!(extensions["code"], "UNAVAILABLE", "{answer}");
    assert!(extensions["retryAfterMs"].as_u64().is_some_and(|ms| ms > 0), "no hint: {answer}");
    assert!(executed || (status == 503 && hint.is_some()), "{status}, {hint:?}: {answer}");
    true
}
