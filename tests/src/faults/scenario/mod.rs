//! The faults, by the numbers that `docs/reliability.md` lists them under.

mod broker;
mod clocks;
mod connections;
mod crowd;
mod network;
mod planted;
mod poison;
mod projector;
mod rebuild;
mod relay;
mod store;
mod subscriber;

use std::fmt;
use std::time::Duration;

use domain::Position;
use sqlx::PgPool;

use super::cluster::{CATCH_UP_WITHIN, Cluster};

/// How much of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scale {
    /// Enough to see it once or twice.
    Short,
    /// As long as somebody has time.
    Long,
}

impl Scale {
    /// One number or the other.
    pub(crate) fn of<T>(self, short: T, long: T) -> T {
        if self == Self::Short { short } else { long }
    }
}

/// One way in which things go wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fault {
    /// API nodes are killed during appends.
    F1,
    /// A backend of PostgreSQL is killed, then the whole server, in two ways.
    F2,
    /// Connections to PostgreSQL are cut when an append was sent, or committed and not answered, or anywhere.
    F3,
    /// A backend is frozen inside its append.
    F5,
    /// A session sits in a transaction all the time.
    F6,
    /// The relay is killed between acknowledgement and checkpoint.
    F7,
    /// The leading relay is frozen past its lease, and goes on.
    F8,
    /// The broker is killed, frozen, and loses the topic.
    F9,
    /// The relay is cut off from Kafka one way, the other way, and both, and nobody is told.
    F12,
    /// Every edge is slow and loses packets.
    F13,
    /// Projectors are killed between the rows they wrote and their commit.
    F14,
    /// More projectors come and go all the time.
    F15,
    /// The projectors are frozen until others have taken over, and go on.
    F16,
    /// Ranges of the log are published again.
    F17,
    /// The topic holds swapped records, records of another store, and rubbish.
    F18,
    /// A read model can't take an event, until it is mended.
    F19,
    /// An event of a newer program.
    F20,
    /// A rebuild while appends go on at full speed, killed early, and killed at its switch.
    F21,
    /// Two rebuilds of one read model.
    F22,
    /// Subscribers that don't read.
    F23,
    /// The sockets of subscribers are cut again and again, and all come back at once.
    F24,
    /// Cursors that are forged or of something else.
    F25,
    /// A node is killed under its subscribers.
    F26,
    /// Clocks of processes jump.
    F27,
    /// PostgreSQL has no connection left.
    F31,
}

impl Fault {
    /// All of them.
    pub const ALL: [Self; 25] = [
        Self::F1,
        Self::F2,
        Self::F3,
        Self::F5,
        Self::F6,
        Self::F7,
        Self::F8,
        Self::F9,
        Self::F12,
        Self::F13,
        Self::F14,
        Self::F15,
        Self::F16,
        Self::F17,
        Self::F18,
        Self::F19,
        Self::F20,
        Self::F21,
        Self::F22,
        Self::F23,
        Self::F24,
        Self::F25,
        Self::F26,
        Self::F27,
        Self::F31,
    ];

    /// Breaks it, under load, and heals it.
    ///
    /// # Panics
    /// Something does not do what it must while the fault lasts.
    pub async fn inject(self, cluster: &mut Cluster, scale: Scale) {
        cluster.injected(self);
        match self {
            Self::F1 => store::api_killed(cluster, scale).await,
            Self::F2 => store::server_killed(cluster).await,
            Self::F3 => store::connections_cut(cluster, scale).await,
            Self::F5 => store::backend_frozen(cluster, scale).await,
            Self::F6 => store::session_parked(cluster, scale).await,
            Self::F7 => relay::killed_before_checkpoint(cluster).await,
            Self::F8 => relay::zombie(cluster).await,
            Self::F9 => broker::lost(cluster, scale).await,
            Self::F12 => network::relay_cut_off(cluster, scale).await,
            Self::F13 => network::slow_and_lossy(cluster, scale).await,
            Self::F14 => projector::killed_before_commit(cluster).await,
            Self::F15 => projector::come_and_go(cluster, scale).await,
            Self::F16 => projector::frozen(cluster).await,
            Self::F17 => planted::published_again(cluster, scale).await,
            Self::F18 => planted::strange_records(cluster).await,
            Self::F19 => poison::refused_by_a_table(cluster).await,
            Self::F20 => poison::of_the_future(cluster).await,
            Self::F21 => rebuild::killed(cluster).await,
            Self::F22 => rebuild::twice(cluster).await,
            Self::F23 => subscriber::slow(cluster, scale).await,
            Self::F24 => subscriber::storm(cluster, scale).await,
            Self::F25 => subscriber::wrong_cursors(cluster).await,
            Self::F26 => subscriber::node_killed(cluster, scale).await,
            Self::F27 => clocks::jump(cluster).await,
            Self::F31 => connections::exhausted(cluster).await,
        }
        // Everything is back to work, not only alive.
        cluster.load.more(4).await;
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{self:?}")
    }
}

/// Asks again and again until the answer is there.
///
/// # Panics
/// It is not, in time.
pub(crate) async fn until<T>(what: &str, mut question: impl AsyncFnMut() -> Option<T>) -> T {
    let asking = async {
        loop {
            if let Some(answer) = question().await {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(CATCH_UP_WITHIN, asking).await.unwrap_or_else(|_| panic!("not in time: {what}"))
}

/// Waits until every read model has reached a position.
pub(crate) async fn projected(pool: &PgPool, position: Position) {
    until("every read model is there", async || {
        let behind = "SELECT count(*) FROM projections WHERE position < $1";
        let behind: i64 = sqlx::query_scalar(behind).bind(position).fetch_one(pool).await.ok()?;
        (behind == 0).then_some(())
    })
    .await;
}

/// Waits until the topic has everything up to a position.
pub(crate) async fn published(pool: &PgPool, position: Position) {
    until("everything is published", async || {
        let at: i64 = sqlx::query_scalar("SELECT position FROM relay_checkpoints").fetch_one(pool).await.ok()?;
        (at >= position).then_some(())
    })
    .await;
}

/// A backend of one of our processes that waits for a lock in a statement with this text.
pub(crate) async fn waiting_for_a_lock(pool: &PgPool, text: &str) -> i32 {
    until(&format!("a statement with {text:?} waits for a lock"), async || {
        let waiting = "SELECT pid FROM pg_stat_activity WHERE application_name = 'voice' AND wait_event_type = 'Lock'
                       AND position($1 IN query) > 0 LIMIT 1";
        sqlx::query_scalar(waiting).bind(text).fetch_optional(pool).await.ok()?
    })
    .await
}
