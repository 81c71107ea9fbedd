//! F31: PostgreSQL has no connection left. Whoever asks is answered all the same, and told to come again.

use std::time::{Duration, Instant};

use serde_json::json;
use sqlx::{Connection, PgConnection};
use uuid::Uuid;

use super::super::postgres::Postgres;
use super::{Cluster, until};
use crate::Client;

/// How long a client may be kept waiting for a refusal.
const REFUSED_WITHIN: Duration = Duration::from_secs(8);
/// Rounds of taking what became free, before it counts as full.
const ROUNDS: usize = 3;

pub(super) async fn exhausted(cluster: &mut Cluster) {
    let url = Postgres::url(cluster.postgres.address, "postgres");
    let mut taken = Vec::new();
    for _ in 0..ROUNDS {
        while let Ok(connection) = PgConnection::connect(&url).await {
            taken.push(connection);
        }
        // The processes' own connections are taken away, and are ours before anybody notices.
        let end = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = 'voice'";
        if let Some(connection) = taken.first_mut() {
            drop(sqlx::query(end).execute(connection).await);
        }
    }
    let client = Client::new(cluster.apis[0].clients.address, Some(cluster.token.clone()));
    let begun = Instant::now();
    let input = json!({ "callId": Uuid::now_v7(), "commandId": Uuid::now_v7(), "text": "?", "model": "faults",
                        "speaker": "CUSTOMER", "beginMs": 0, "endMs": 1 });
    let document =
        "mutation ($input: AddTranscriptSegmentInput!) { addTranscriptSegment(input: $input) { __typename } }";
    let answer = client.send(document, json!({ "input": input })).await;
    let code = answer["errors"][0]["extensions"]["code"].clone();
    assert!(code == "UNAVAILABLE" || answer["data"].is_object(), "{answer}");
    assert!(begun.elapsed() < REFUSED_WITHIN, "answered after {:?}", begun.elapsed());
    for connection in taken {
        drop(connection.close().await);
    }
    until("connections are free again", async || PgConnection::connect(&url).await.ok().map(drop)).await;
}
