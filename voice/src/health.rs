//! Health for orchestrators: `/health/live` says that the process runs, `/health/ready` that it can do its work.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use commands::{Database, relay};
use projections::{Tail, lags};
use serde_json::{Value, json};

/// Events a read model or the relay may be behind and still count as following.
const LAG_EVENTS_MAX: i64 = 10_000;
/// How long the checks may take together.
const ANSWER_WITHIN: Duration = Duration::from_secs(3);

/// What is checked. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Health {
    database: Database,
    tail: Tail,
    /// Read models that this process makes or answers from.
    models: Vec<&'static str>,
    /// Topic that this process relays to.
    relayed: Option<String>,
    draining: Arc<AtomicBool>,
}

impl Health {
    pub(crate) fn new(database: Database, tail: Tail, models: Vec<&'static str>, relayed: Option<String>) -> Self {
        Self { database, tail, models, relayed, draining: Arc::new(AtomicBool::new(false)) }
    }

    /// From now on not ready: no new work is wanted.
    pub(crate) fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    async fn problems(&self) -> Vec<Value> {
        if self.draining.load(Ordering::Relaxed) {
            return vec![json!({ "problem": "draining" })];
        }
        match tokio::time::timeout(ANSWER_WITHIN, self.lagging()).await {
            Ok(Ok(problems)) => problems,
            Ok(Err(error)) => {
                tracing::warn!(error, "not ready");
                vec![json!({ "problem": "database" })]
            }
            Err(_) => vec![json!({ "problem": "database", "detail": "slow" })],
        }
    }

    async fn lagging(&self) -> Result<Vec<Value>, String> {
        let lags = lags(&self.database).await.map_err(|error| error.to_string())?;
        let missing = self.models.iter().filter(|model| lags.iter().all(|lag| lag.projection != **model));
        let mut problems: Vec<Value> =
            missing.map(|model| json!({ "problem": "projection missing", "projection": model })).collect();
        for lag in lags {
            if lag.events() > LAG_EVENTS_MAX {
                let (name, events) = (&lag.projection, lag.events());
                problems.push(json!({ "problem": "projection behind", "projection": name, "events": events }));
            }
        }
        if let Some(topic) = &self.relayed {
            let position = relay::position(&self.database, topic).await.map_err(|error| error.to_string())?;
            let events = self.tail.head() - position;
            if events > LAG_EVENTS_MAX {
                problems.push(json!({ "problem": "relay behind", "topic": topic, "events": events }));
            }
        }
        Ok(problems)
    }
}

/// `/health/live` and `/health/ready`.
pub(crate) fn router(health: Health) -> Router {
    Router::new().route("/health/live", get(live)).route("/health/ready", get(ready)).with_state(health)
}

async fn live() -> &'static str {
    "live"
}

async fn ready(State(health): State<Health>) -> (StatusCode, Json<Value>) {
    let problems = health.problems().await;
    let status = if problems.is_empty() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(json!({ "ready": problems.is_empty(), "problems": problems })))
}
