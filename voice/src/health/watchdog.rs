//! The watchdog: says in the log when something stalls or falls behind, and when it goes on.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::Health;
use super::check::{Check, Status};

/// How often it looks.
const LOOK_EVERY: Duration = Duration::from_secs(1);

impl Health {
    /// Looks until `shutdown` fires. What lasts is said once.
    pub(crate) async fn watch(self, shutdown: CancellationToken) {
        let mut known = BTreeMap::new();
        while shutdown.run_until_cancelled(tokio::time::sleep(LOOK_EVERY)).await.is_some() {
            let Some(checks) = shutdown.run_until_cancelled(self.checks()).await else { return };
            for check in checks {
                let before = known.insert(check.name.clone(), check.status).unwrap_or(Status::Ok);
                if before != check.status {
                    say(&check, before);
                }
            }
        }
    }
}

fn say(check: &Check, before: Status) {
    let (name, position) = (check.name.as_str(), check.place.map(|place| place.position));
    let (head, rests_s) = (check.place.map(|place| place.head), check.place.map(|place| place.rests_s));
    let (status, detail) = (check.status, check.detail);
    match status {
        Status::Stalled | Status::Missing | Status::Unreachable => {
            tracing::error!(name, ?status, position, head, rests_s, detail, "watchdog");
        }
        Status::Behind | Status::Parked | Status::Degraded => {
            tracing::warn!(name, ?status, position, head, rests_s, detail, "watchdog");
        }
        Status::Ok | Status::StandingBy | Status::Draining => {
            tracing::info!(name, ?status, ?before, position, head, detail, "watchdog");
        }
    }
}
