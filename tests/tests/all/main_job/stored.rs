//! What is in the database: the log, and the tables of the read models.

use std::collections::BTreeMap;

use domain::Position;
use serde_json::Value;
use sqlx::{AssertSqlSafe, PgPool};
use uuid::Uuid;

use super::conversations::Sentence;
use crate::view::until;

/// What happened in a call, without identities and times: two plays of one conversation tell the same.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Story {
    pub(super) sentences: Vec<Sentence>,
    /// Score of each sentence, with its number.
    pub(super) scores: Vec<(i64, String)>,
    /// Types of events of the call's own stream, in order.
    pub(super) types: Vec<String>,
}

/// The story of every call in which something was said.
pub(super) async fn stories(pool: &PgPool) -> BTreeMap<Uuid, Story> {
    let rows: Vec<(Uuid, String, String, Value)> = sqlx::query_as(
        "SELECT stream_id, category, type, payload FROM events e
         WHERE EXISTS (SELECT FROM streams s WHERE s.stream_id = e.stream_id AND s.category = 'transcript')
         ORDER BY position",
    )
    .fetch_all(pool)
    .await
    .unwrap();
    let mut stories = BTreeMap::new();
    for (call, category, event_type, payload) in rows {
        let empty = || Story { sentences: Vec::new(), scores: Vec::new(), types: Vec::new() };
        let story: &mut Story = stories.entry(call).or_insert_with(empty);
        match category.as_str() {
            "call" => story.types.push(event_type),
            "transcript" => story.sentences.push(sentence(&payload)),
            "sentiment" => story.scores.push((payload["segment"].as_i64().unwrap(), payload["score"].to_string())),
            other => panic!("{other} about a call"),
        }
    }
    stories
}

/// What a stored or shown segment says.
pub(super) fn sentence(segment: &Value) -> Sentence {
    let text = |name: &str| segment[name].as_str().unwrap_or_else(|| panic!("no {name} in {segment}")).to_owned();
    let number = |snake: &str, camel: &str| segment[snake].as_i64().or_else(|| segment[camel].as_i64()).unwrap();
    (text("speaker").to_uppercase(), number("begin_ms", "beginMs"), number("end_ms", "endMs"), text("text"))
}

/// Types of the events of every agent, in order.
pub(super) async fn agents(pool: &PgPool) -> BTreeMap<Uuid, Vec<String>> {
    let rows: Vec<(Uuid, Vec<String>)> = sqlx::query_as(
        "SELECT stream_id, array_agg(type ORDER BY version) FROM events WHERE category = 'agent' GROUP BY 1",
    )
    .fetch_all(pool)
    .await
    .unwrap();
    rows.into_iter().collect()
}

/// How much was said so far.
pub(super) async fn segments(pool: &PgPool) -> i64 {
    segments_if_it_answers(pool).await.unwrap()
}

/// The same from a server that is being killed.
pub(super) async fn segments_if_it_answers(pool: &PgPool) -> sqlx::Result<i64> {
    let segments = "SELECT coalesce(sum(version), 0)::bigint FROM streams WHERE category = 'transcript'";
    sqlx::query_scalar(segments).fetch_one(pool).await
}

/// Positions and versions have no hole and no double; the log's head.
pub(super) async fn dense(pool: &PgPool) -> Position {
    let (count, highest, head): (i64, Position, Position) =
        sqlx::query_as("SELECT count(*), max(position), (SELECT position FROM event_log) FROM events")
            .fetch_one(pool)
            .await
            .unwrap();
    assert_eq!((count, highest), (head, head), "positions have a hole");
    let wrong: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM (SELECT stream_id, category, count(*) AS n, max(version) AS v FROM events GROUP BY 1, 2) e
         FULL JOIN streams s USING (stream_id, category)
         WHERE coalesce(e.n, 0) <> s.version OR coalesce(e.v, 0) <> s.version",
    )
    .fetch_one(pool)
    .await
    .unwrap();
    assert_eq!(wrong, 0, "versions have a hole");
    head
}

/// Waits until every sentence has its score; nothing moves on its own after that.
pub(super) async fn scored(pool: &PgPool) -> Position {
    until("every sentence is scored", async || {
        let scores = "SELECT coalesce(sum(version), 0)::bigint FROM streams WHERE category = 'sentiment'";
        let scores: i64 = sqlx::query_scalar(scores).fetch_one(pool).await.unwrap();
        scores == segments(pool).await
    })
    .await;
    dense(pool).await
}

/// Waits until every read model has taken in the log up to a position; nothing may be parked.
pub(super) async fn projected(pool: &PgPool, position: Position) {
    let models = i64::try_from(projections::read_models(chrono_tz::UTC).len()).unwrap();
    until("every read model is there", async || {
        let there = "SELECT count(*) FROM projections WHERE position >= $1";
        sqlx::query_scalar::<_, i64>(there).bind(position).fetch_one(pool).await.unwrap() == models
    })
    .await;
    let parked: Vec<(String, Position, String)> =
        sqlx::query_as("SELECT projection, position, error FROM parked_events").fetch_all(pool).await.unwrap();
    assert!(parked.is_empty(), "{parked:?}");
}

/// Names of the tables of the read models.
pub(super) async fn tables(pool: &PgPool) -> Vec<String> {
    let tables = "SELECT tablename FROM pg_tables WHERE schemaname = 'read' ORDER BY 1";
    sqlx::query_scalar(tables).fetch_all(pool).await.unwrap()
}

/// Every table of the read models, its rows as text and in order.
pub(super) async fn read_models(pool: &PgPool) -> BTreeMap<String, Vec<String>> {
    let mut found = BTreeMap::new();
    for table in tables(pool).await {
        let rows = format!("SELECT r FROM (SELECT t::text AS r FROM read.{table} t) rows ORDER BY r COLLATE \"C\"");
        let rows: Vec<String> = sqlx::query_scalar(AssertSqlSafe(rows)).fetch_all(pool).await.unwrap();
        found.insert(table, rows);
    }
    assert!(found.len() > 10, "{:?}", found.keys());
    found
}
