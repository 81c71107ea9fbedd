//! After the faults: everybody catches up, and then nothing moves any more. Waited for by positions, never by time.

use std::time::Duration;

use domain::Position;
use sqlx::PgPool;
use tokio::time::Instant;

use super::cluster::{CATCH_UP_WITHIN, Cluster};
use super::observer::checkpoints;
use crate::history::{Entry, Watched};

/// How often positions are asked for.
const ASK_EVERY: Duration = Duration::from_millis(25);
/// Memory of one process in KiB, built with or without optimisation, with the load of this suite.
pub(super) const MEMORY_KIB_MAX: u64 = 400 * 1024;
/// Files and sockets of one process with the subscribers of this suite, beside crowds.
const OPEN_FILES_MAX: u64 = 1_500;

/// How a run came to rest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settled {
    /// The head of the log.
    pub head: Position,
    /// Who has not caught up in time.
    pub stuck: Option<String>,
}

impl Cluster {
    /// The faults are over: heals every edge, pauses the load, waits until everybody has caught up, and measures what has a
    /// bound. What is not as it should be is noted, for the checker to find.
    pub async fn settle(&mut self) -> Settled {
        self.roles().for_each(super::role::Role::clear);
        let answered = self.load.pause().await;
        self.journal.note(Entry::Healed);
        if !answered {
            return self.stuck(0, "a writer is not answered".to_owned());
        }
        let until = Instant::now() + CATCH_UP_WITHIN;
        loop {
            let (head, late) = match self.late().await {
                Ok(found) => found,
                Err(error) => (0, Some(format!("the database does not answer: {error}"))),
            };
            match late {
                None => {
                    self.observer.looked().await;
                    self.journal.note(Entry::Quiet { head });
                    self.measure().await;
                    self.dismiss(head);
                    return Settled { head, stuck: None };
                }
                Some(who) if Instant::now() > until => return self.stuck(head, who),
                Some(_) => tokio::time::sleep(ASK_EVERY).await,
            }
        }
    }

    fn stuck(&self, head: Position, who: String) -> Settled {
        self.journal.note(Entry::Stuck { who: who.clone() });
        Settled { head, stuck: Some(who) }
    }

    /// The log's head, and somebody who is not there yet.
    async fn late(&self) -> Result<(Position, Option<String>), sqlx::Error> {
        let (head, unscored) = head_and_unscored(&self.pool).await?;
        if unscored > 0 {
            return Ok((head, Some(format!("{unscored} segments are not scored"))));
        }
        let checkpoints = checkpoints(&self.pool).await?;
        let followers = checkpoints.iter().filter(|(name, _)| !name.starts_with("reactions"));
        if let Some((name, at)) = followers.clone().find(|(_, at)| *at != head) {
            return Ok((head, Some(format!("{name} is at {at} of {head}"))));
        }
        if !followers.clone().any(|(name, _)| name == "relay") {
            return Ok((head, Some("the relay has not begun".to_owned())));
        }
        for (name, watched, seen) in self.watchers.seen() {
            let (due, seen) = (last_of(&self.pool, watched).await?, *seen.borrow());
            if seen < due {
                return Ok((head, Some(format!("{name} is at {seen} of {due}"))));
            }
        }
        for crowd in &self.crowds {
            let (due, at) = (last_of(&self.pool, crowd.watched()).await?, crowd.all_at());
            if at < due {
                return Ok((head, Some(format!("{} is at {at} of {due}", crowd.name()))));
            }
        }
        Ok((head, None))
    }

    async fn measure(&self) {
        let crowds: u64 = self.crowds.iter().map(|crowd| crowd.count() as u64).sum();
        let note = |name: String, value, bound| self.journal.note(Entry::Measured { name, value, bound });
        for role in self.roles().filter(|role| role.runs()) {
            note(format!("memory of {}", role.name), role.voice().memory_kib("VmRSS"), MEMORY_KIB_MAX);
            note(format!("open files of {}", role.name), role.voice().open_files(), OPEN_FILES_MAX + crowds);
        }
        let left = sqlx::query_as::<_, (i64, i64, i64)>(
            "SELECT count(*) FILTER (WHERE state LIKE 'idle in transaction%' AND state_change < now() - interval '10 s'),
                    count(*) FILTER (WHERE wait_event_type = 'Lock'),
                    (SELECT count(*) FROM pg_replication_slots)
             FROM pg_stat_activity WHERE application_name = 'voice'",
        );
        if let Ok((idle, waiting, slots)) = left.fetch_one(&self.pool).await {
            for (name, value) in [("forgotten transactions", idle), ("waits for locks", waiting), ("slots", slots)] {
                note(name.to_owned(), u64::try_from(value).unwrap_or(u64::MAX), 0);
            }
        }
    }
}

/// The log's head, and how many segments have no score yet: until then the reactions go on appending.
async fn head_and_unscored(pool: &PgPool) -> Result<(Position, i64), sqlx::Error> {
    sqlx::query_as(
        "SELECT (SELECT position FROM event_log),
                coalesce(sum(CASE category WHEN 'transcript' THEN version WHEN 'sentiment' THEN -version END), 0)::bigint
         FROM streams",
    )
    .fetch_one(pool)
    .await
}

async fn last_of(pool: &PgPool, watched: &Watched) -> Result<Position, sqlx::Error> {
    let last = "SELECT coalesce(max(position), 0) FROM events
                WHERE ($1 IS NULL OR category = $1) AND ($2 IS NULL OR stream_id = $2)";
    sqlx::query_scalar(last).bind(&watched.category).bind(watched.stream).fetch_one(pool).await
}
