//! Ending in order and within a stated time, whatever the database does.
//!
//! Nothing here is needed for what is stored to be right: a process may die anywhere. It is for those who wait for an answer,
//! and for those who take over, who need not wait for leases to run out.

use std::time::Duration;

use commands::Database;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// How long the database may take to say that it is there.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);
/// How long each step may still take when it is not: whatever waits for it is told that it is closed.
const WITHOUT_DATABASE: Duration = Duration::from_secs(1);

/// The time that is left, and what it is to be spent on.
pub(crate) struct Drain {
    began: Instant,
    within: Duration,
    database: Database,
    away: bool,
}

/// A step on the way, and by which share of the whole time it has to be done.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Step {
    pub(crate) what: &'static str,
    eighths: u32,
}

/// Requests get their answers, subscribers a close that they can resume from.
pub(crate) const CLIENTS: Step = Step { what: "clients", eighths: 4 };
/// Reactions, projectors and the relay finish what they have in hand.
pub(crate) const FOLLOWERS: Step = Step { what: "followers of the log", eighths: 6 };
/// The event store writes what is queued.
pub(crate) const WRITERS: Step = Step { what: "the event store", eighths: 7 };
/// Connections are given back.
const CONNECTIONS: Step = Step { what: "connections", eighths: 8 };

impl Drain {
    /// Begins to end.
    pub(crate) fn begin(database: Database, within: Duration) -> Self {
        Self { began: Instant::now(), within, database, away: false }
    }

    /// The moment by which a step has to be done.
    fn until(&self, step: Step) -> Instant {
        let until = self.began + self.within * step.eighths / 8;
        if self.away { until.min(Instant::now() + WITHOUT_DATABASE) } else { until }
    }

    /// Waits for something to end. None: it did not, and is cut off.
    pub(crate) async fn wait<T>(&self, step: Step, ended: impl Future<Output = T>) -> Option<T> {
        let waited = timeout_at(self.until(step), ended).await.ok();
        if waited.is_none() {
            tracing::warn!(what = step.what, "did not end in time and is cut off");
        }
        waited
    }

    /// Tells tasks to end and waits for them.
    pub(crate) async fn stop(&self, step: Step, token: &CancellationToken, tasks: &TaskTracker) {
        token.cancel();
        tasks.close();
        self.wait(step, tasks.wait()).await;
    }

    /// Asks whether the database is there, on a connection of its own. If it is not, nobody is to wait for it any more.
    pub(crate) async fn ask(&mut self, apart: &Database) {
        if !commands::answers(apart, ANSWER_WITHIN).await {
            tracing::warn!("the database does not answer; ending without it");
            self.away = true;
            // From here on whoever wants a connection is refused at once. The waiting for those in use comes later.
            let database = self.database.clone();
            tokio::spawn(async move { database.close().await });
        }
    }

    /// Closes the connections, last of all.
    pub(crate) async fn close(self, apart: Database) {
        let closed = async {
            self.database.close().await;
            apart.close().await;
        };
        self.wait(CONNECTIONS, closed).await;
        let seconds = self.began.elapsed().as_secs_f64();
        tracing::info!(seconds, "stopped");
    }
}
