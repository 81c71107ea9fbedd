//! The ceiling: one page of calls, as somebody would write it who needs nothing but this page.
//!
//! * It takes its connections from the same pool, serves on sockets made the same way, and reads everything in one
//!   REPEATABLE READ, READ ONLY transaction: a page of calls, their agents, their last lines; three statements.
//! * It checks the token: algorithm, type, issuer, audience, times.
//! * It does not look up the viewer, so it does not see that a token was revoked or that the viewer may not read; it keeps no
//!   limits, takes no document, and tells no error from another.
//! * It reads the columns it needs into types of its own and writes them with serde.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::{Query, State};
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::{Router, routing};
use chrono::{DateTime, Utc};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode};
use serde::{Deserialize, Serialize, Serializer};
use sqlx::PgPool;
use tests::server::SECRET;
use tokio_util::sync::{CancellationToken, DropGuard};
use uuid::Uuid;

/// A server with the one handler; ends when dropped.
pub struct ByHand {
    /// Where it listens.
    pub address: SocketAddr,
    _serving: DropGuard,
}

struct Shared {
    pool: PgPool,
    key: DecodingKey,
    validation: Validation,
}

impl ByHand {
    /// Starts it.
    pub fn start(pool: PgPool) -> Self {
        let mut validation = Validation::new(Algorithm::HS256);
        validation.set_required_spec_claims(&["exp", "nbf", "iss", "aud", "sub"]);
        validation.set_issuer(&["voice"]);
        validation.set_audience(&["voice-api"]);
        validation.validate_nbf = true;
        validation.leeway = 5;
        let shared = Arc::new(Shared { pool, key: DecodingKey::from_secret(SECRET), validation });
        let router = Router::new().route("/calls", routing::get(calls)).with_state(shared);
        let listener = api::listen(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        let (address, shutdown) = (listener.local_addr().unwrap(), CancellationToken::new());
        tokio::spawn(api::serve(listener, router, api::Limits::default().connections, shutdown.clone()));
        Self { address, _serving: shutdown.drop_guard() }
    }
}

#[derive(Deserialize)]
struct Page {
    first: i64,
    last: i64,
}

#[derive(Deserialize)]
struct Claims {
    #[serde(rename = "sub")]
    _sub: Uuid,
}

async fn calls(State(shared): State<Arc<Shared>>, Query(page): Query<Page>, headers: HeaderMap) -> Response {
    let token = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    let claims = token.and_then(|token| decode::<Claims>(token, &shared.key, &shared.validation).ok());
    if claims.is_none_or(|data| data.header.typ.as_deref() != Some("at+jwt")) {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    match read(&shared.pool, &page).await {
        Ok(body) => ([(CONTENT_TYPE, "application/json; charset=utf-8")], body).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

#[derive(sqlx::FromRow)]
struct CallRow {
    call_id: Uuid,
    state: String,
    from_number: String,
    to_number: String,
    customer_name: Option<String>,
    queue: Option<String>,
    initiated_at: DateTime<Utc>,
    answered_at: Option<DateTime<Utc>>,
    wait_ms: Option<i64>,
    talk_ms: i64,
    version: i64,
    agent_id: Option<Uuid>,
}

#[derive(sqlx::FromRow, Serialize)]
#[serde(rename_all = "camelCase")]
struct Agent {
    agent_id: Uuid,
    name: String,
    team: Option<String>,
    activity: String,
}

#[derive(sqlx::FromRow, Serialize)]
#[serde(rename_all = "camelCase")]
struct Segment {
    #[serde(skip)]
    call_id: Uuid,
    sequence: i64,
    speaker: String,
    begin_ms: i64,
    end_ms: i64,
    text: String,
}

const CALLS: &str = "SELECT call_id, upper(state) AS state, from_number, to_number, customer_name, queue, initiated_at,
        answered_at, wait_ms, talk_ms, version, agent_id
    FROM read.calls ORDER BY initiated_at DESC, call_id DESC LIMIT $1";
const AGENTS: &str =
    "SELECT agent_id, name, team, upper(activity) AS activity FROM read.agents WHERE agent_id = ANY($1)";
const SEGMENTS: &str = "SELECT s.call_id, s.sequence, upper(s.speaker) AS speaker, s.begin_ms, s.end_ms, s.text
    FROM unnest($1::uuid[]) AS asked (call_id), LATERAL (
        SELECT * FROM read.transcripts t WHERE t.call_id = asked.call_id AND t.superseded_by IS NULL
        ORDER BY t.begin_ms DESC, t.sequence DESC LIMIT $2) AS s
    ORDER BY s.call_id, s.begin_ms, s.sequence";

async fn read(pool: &PgPool, page: &Page) -> Result<Vec<u8>, sqlx::Error> {
    let mut snapshot = pool.begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?;
    let calls: Vec<CallRow> = sqlx::query_as(CALLS).bind(page.first).fetch_all(&mut *snapshot).await?;
    let mut agent_ids: Vec<Uuid> = calls.iter().filter_map(|call| call.agent_id).collect();
    agent_ids.sort_unstable();
    agent_ids.dedup();
    let agents: Vec<Agent> = sqlx::query_as(AGENTS).bind(agent_ids).fetch_all(&mut *snapshot).await?;
    let call_ids: Vec<Uuid> = calls.iter().map(|call| call.call_id).collect();
    let segments = sqlx::query_as(SEGMENTS).bind(call_ids).bind(page.last);
    let segments: Vec<Segment> = segments.fetch_all(&mut *snapshot).await?;
    snapshot.commit().await?;

    let agents: HashMap<Uuid, Agent> = agents.into_iter().map(|agent| (agent.agent_id, agent)).collect();
    let mut transcripts: HashMap<Uuid, Vec<Segment>> = HashMap::new();
    for segment in segments {
        transcripts.entry(segment.call_id).or_default().push(segment);
    }
    let edge = |call: CallRow| Edge {
        node: Node {
            agent: call.agent_id.and_then(|agent_id| agents.get(&agent_id)),
            transcript: transcripts.remove(&call.call_id).unwrap_or_default(),
            call_id: call.call_id,
            state: call.state,
            from: call.from_number,
            to: call.to_number,
            customer_name: call.customer_name,
            queue: call.queue,
            initiated_at: call.initiated_at,
            answered_at: call.answered_at,
            wait_ms: call.wait_ms,
            talk_ms: call.talk_ms,
            version: call.version,
        },
    };
    let edges = calls.into_iter().map(edge).collect();
    serde_json::to_vec(&Answer { data: Data { calls: Edges { edges } } })
        .map_err(|error| sqlx::Error::Encode(error.into()))
}

#[derive(Serialize)]
struct Answer<'a> {
    data: Data<'a>,
}

#[derive(Serialize)]
struct Data<'a> {
    calls: Edges<'a>,
}

#[derive(Serialize)]
struct Edges<'a> {
    edges: Vec<Edge<'a>>,
}

#[derive(Serialize)]
struct Edge<'a> {
    node: Node<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Node<'a> {
    call_id: Uuid,
    state: String,
    from: String,
    to: String,
    customer_name: Option<String>,
    queue: Option<String>,
    #[serde(serialize_with = "instant")]
    initiated_at: DateTime<Utc>,
    #[serde(serialize_with = "instant_if_any")]
    answered_at: Option<DateTime<Utc>>,
    wait_ms: Option<i64>,
    talk_ms: i64,
    version: i64,
    agent: Option<&'a Agent>,
    transcript: Vec<Segment>,
}

/// As the API writes it: with `+00:00` for `Z`.
fn instant<S: Serializer>(instant: &DateTime<Utc>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&instant.to_rfc3339())
}

fn instant_if_any<S: Serializer>(instant: &Option<DateTime<Utc>>, serializer: S) -> Result<S::Ok, S::Error> {
    match instant {
        Some(value) => self::instant(value, serializer),
        None => serializer.serialize_none(),
    }
}
