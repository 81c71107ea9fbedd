//! Somebody who looks all the time where everybody stands, and notes it.

use std::collections::HashMap;
use std::time::Duration;

use domain::Position;
use sqlx::PgPool;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::history::{Entry, Journal};

/// How often it looks.
const LOOK_EVERY: Duration = Duration::from_millis(100);

pub(super) struct Observer {
    task: JoinHandle<()>,
    /// How often it has looked.
    looks: watch::Receiver<u64>,
}

impl Observer {
    pub(super) fn start(pool: PgPool, journal: Journal) -> Self {
        let (count, looks) = watch::channel(0);
        Self { task: tokio::spawn(observe(pool, journal, count)), looks }
    }

    /// Waits until it has noted where everybody stands by now. The database must be there.
    pub(super) async fn looked(&self) {
        let mut looks = self.looks.clone();
        // The look that is under way may have been too early.
        let enough = *looks.borrow() + 2;
        drop(looks.wait_for(|count| *count >= enough).await);
    }

    pub(super) fn stop(&self) {
        self.task.abort();
    }
}

impl Drop for Observer {
    fn drop(&mut self) {
        self.stop();
    }
}

async fn observe(pool: PgPool, journal: Journal, looks: watch::Sender<u64>) {
    let mut known: HashMap<String, Position> = HashMap::new();
    loop {
        // While the database is away there is nothing to see.
        if let Ok(checkpoints) = checkpoints(&pool).await {
            for (follower, position) in checkpoints {
                if known.insert(follower.clone(), position) != Some(position) {
                    journal.note(Entry::Checkpoint { follower, position });
                }
            }
            looks.send_modify(|count| *count += 1);
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Where every follower of the log stands.
pub(super) async fn checkpoints(pool: &PgPool) -> Result<Vec<(String, Position)>, sqlx::Error> {
    sqlx::query_as(
        "SELECT name, position FROM projections
         UNION ALL SELECT 'relay', position FROM relay_checkpoints
         UNION ALL SELECT 'reactions: ' || name, position FROM bookmarks",
    )
    .fetch_all(pool)
    .await
}
