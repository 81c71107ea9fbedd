//! Health for orchestrators: `/health/live` says that the process runs, `/health/ready` whether it can do its work, and how
//! everything is that it depends on.
//!
//! A node that serves clients is not ready when *it* can't: it ends, the database does not answer, a read model was never
//! made, or its own feed has stalled. What others do for all nodes alike - projectors, relay, Kafka - is told and does not
//! count, because all of them would be out of rotation at once, while commands and events still work. A process that
//! serves no clients is not ready when its own work has stalled or is far behind.

mod check;
mod watchdog;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use commands::{Database, relay};
use projections::{Bookmark, Tail, lags};
use serde_json::{Value, json};
use tokio::sync::Mutex;
use tokio::time::Instant;
use uuid::Uuid;

use crate::node::Roles;
use check::{Check, Place, Status};

/// How long the checks may take together.
const ANSWER_WITHIN: Duration = Duration::from_secs(3);
/// How long what was found is good for everybody who asks: whoever can reach a node must not be able to keep its database
/// busy by asking.
const GOOD_FOR: Duration = Duration::from_millis(500);

/// What a process does, and with what it can be told how that goes.
pub(crate) struct Work {
    pub(crate) roles: Roles,
    /// The end of the log as this process sees it.
    pub(crate) tail: Tail,
    /// Every read model.
    pub(crate) models: Vec<&'static str>,
    /// How far reactions have got.
    pub(crate) reactions: Bookmark,
    /// Topic that this process relays to, and who it is in that.
    pub(crate) relayed: Option<(String, Uuid)>,
    /// How long something may rest with work to do.
    pub(crate) stalled_after: Duration,
}

/// What is checked. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Health {
    inner: Arc<Inner>,
}

struct Inner {
    /// A connection of its own: that all others are busy is no reason to be taken out of rotation.
    database: Database,
    work: Work,
    began: Instant,
    draining: AtomicBool,
    found: Mutex<Option<(Instant, Vec<Check>)>>,
}

impl Health {
    pub(crate) fn new(database: &Database, work: Work) -> Self {
        let inner = Inner {
            database: commands::apart(database),
            work,
            began: Instant::now(),
            draining: AtomicBool::new(false),
            found: Mutex::default(),
        };
        Self { inner: Arc::new(inner) }
    }

    /// From now on not ready: no new work is wanted.
    pub(crate) fn drain(&self) {
        self.inner.draining.store(true, Ordering::Relaxed);
    }

    /// The connection that is asked on.
    pub(crate) fn database(&self) -> Database {
        self.inner.database.clone()
    }

    async fn checks(&self) -> Vec<Check> {
        if self.inner.draining.load(Ordering::Relaxed) {
            return vec![Check::of("process", Status::Draining, None)];
        }
        let found = tokio::time::timeout(ANSWER_WITHIN, self.inner.found());
        found.await.unwrap_or_else(|_| vec![Check::of("database", Status::Unreachable, Some("no answer in time"))])
    }
}

impl Inner {
    /// What was found a moment ago, or is found now. Those who ask at the same time wait for one answer.
    async fn found(&self) -> Vec<Check> {
        let mut found = self.found.lock().await;
        if let Some((at, checks)) = &*found
            && at.elapsed() < GOOD_FOR
        {
            return checks.clone();
        }
        let checks = self.look().await.unwrap_or_else(|error| {
            tracing::debug!(error, "health can't be told");
            vec![Check::of("database", Status::Unreachable, None)]
        });
        *found = Some((Instant::now(), checks.clone()));
        checks
    }

    async fn look(&self) -> Result<Vec<Check>, String> {
        let roles = self.work.roles;
        let mut checks = Vec::new();
        if roles.api || roles.ingest || roles.projections {
            checks.push(self.feed().await?);
        }
        if roles.api || roles.projections {
            checks.extend(self.projections().await?);
        }
        if roles.ingest {
            checks.extend(self.reactions().await?);
        }
        if let Some((topic, holder)) = &self.work.relayed {
            checks.push(self.relay(topic, *holder).await?);
        }
        checks.insert(0, Check::of("database", Status::Ok, None));
        Ok(checks)
    }

    fn follower(&self, name: String, place: Place, needed: bool) -> Check {
        Check::follower(name, place, self.work.stalled_after, needed)
    }

    fn place(&self, lag: projections::Lag) -> Place {
        Place::new(lag.position, lag.head, lag.behind, lag.rests, self.began.elapsed())
    }

    /// This process's own view of the log. Being behind is no harm where it moves.
    async fn feed(&self) -> Result<Check, String> {
        let tail = &self.work.tail;
        let lag = tail.lag(&self.database).await.map_err(|error| error.to_string())?;
        let mut check = self.follower("feed".to_owned(), self.place(lag), true);
        check.ready = check.status != Status::Stalled;
        let stands_in = tail.stats().stalled;
        let degraded = "the event table stands in for Kafka";
        Ok(if stands_in { check.unless_worse(Status::Degraded, degraded) } else { check })
    }

    async fn projections(&self) -> Result<Vec<Check>, String> {
        let needed = !self.work.roles.api;
        let lags = lags(&self.database).await.map_err(|error| error.to_string())?;
        let check = |model: &&'static str| {
            let name = format!("projection:{model}");
            let Some(found) = lags.iter().find(|found| found.projection == **model) else {
                return Check::of(&name, Status::Missing, None);
            };
            self.follower(name, self.place(found.lag), needed).with_parked(found.parked_keys)
        };
        Ok(self.work.models.iter().map(check).collect())
    }

    async fn reactions(&self) -> Result<Option<Check>, String> {
        let lag = self.work.reactions.lag(&self.database).await.map_err(|error| error.to_string())?;
        let name = || format!("reaction:{}", self.work.reactions.name());
        Ok(lag.map(|lag| self.follower(name(), self.place(lag), !self.work.roles.api)))
    }

    async fn relay(&self, topic: &str, holder: Uuid) -> Result<Check, String> {
        let state = relay::state(&self.database, topic).await.map_err(|error| error.to_string())?;
        let looked_for = self.began.elapsed();
        let place = Place::new(state.position, state.head, state.behind, state.rests, looked_for);
        let mut check = self.follower(format!("relay:{topic}"), place, !self.work.roles.api);
        match state.leader {
            Some(leader) if leader != holder => {
                // Whoever leads tells how it goes.
                (check.status, check.ready, check.detail) = (Status::StandingBy, true, Some("another process leads"));
            }
            Some(_) => check.detail = Some("this process leads"),
            None => check.detail = Some("nobody leads"),
        }
        Ok(check)
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
    let checks = health.checks().await;
    let ready = checks.iter().all(|check| check.ready);
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(json!({ "ready": ready, "checks": checks })))
}
