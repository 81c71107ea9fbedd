//! A server with something going on: calls that move from queue to queue.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use api::Limits;
use domain::permission::Role;
use serde_json::json;
use tests::{Client, TestDatabase, TestServer};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// Connections to the database: as many as `voice up` takes.
const CONNECTIONS: u32 = 20;
/// Calls that wait.
const CALLS: usize = 64;
const QUEUES: [&str; 2] = ["sales", "service"];

/// A wallboard with every figure: a frame of about 1 KiB.
pub const WALLBOARD: &str = "subscription { dashboard { cursor dashboard {
    at day waiting oldestEnqueuedAt longestWaitMs inProgress agents { activity agents } offered answered
    answeredInThreshold abandoned abandonedShort flowOuts abandonmentRate serviceLevel averageSpeedOfAnswerMs
    longestWaitAnsweredMs handled averageHandleTimeMs } } }";

/// A server, somebody who changes things on it, and calls to be changed.
pub struct Floor {
    /// The server.
    pub server: TestServer,
    /// Who changes.
    pub supervisor: Client,
    calls: Vec<Uuid>,
    turn: AtomicUsize,
    database: TestDatabase,
}

/// A database whose pool is the program's own, whatever the tests' is.
///
/// # Panics
/// PostgreSQL does not answer.
pub async fn database() -> TestDatabase {
    let mut database = TestDatabase::new().await;
    database.pool = commands::connect(&database.url, CONNECTIONS).await.expect("PostgreSQL");
    database
}

impl Floor {
    /// Starts a server with calls that wait.
    pub async fn start(limits: Limits) -> Arc<Self> {
        let database = database().await;
        let server = TestServer::start_with(&database, limits).await;
        let supervisor = server.signed_in(Role::Supervisor).await;
        let mut calls = Vec::new();
        for _ in 0..CALLS {
            let call_id = Uuid::now_v7();
            let call =
                json!({ "callId": call_id, "direction": "INBOUND", "from": "+14155552671", "to": "+14155550100" });
            supervisor.accepted("initiateCall", call).await;
            calls.push(call_id);
        }
        Arc::new(Self { server, supervisor, calls, turn: AtomicUsize::new(0), database })
    }

    /// Tokens of several people who may see everything: one person's sockets are limited.
    pub async fn tokens(&self, people: usize) -> Vec<String> {
        let mut tokens = Vec::new();
        for _ in 0..people {
            tokens.push(self.server.signed_in(Role::Supervisor).await.token().expect("a token").to_owned());
        }
        tokens
    }

    /// Lets a call enter another queue: `offered` is one more, everything else stays about as it is.
    pub async fn change(&self) {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let queue = QUEUES[turn / self.calls.len() % QUEUES.len()];
        let call_id = self.calls[turn % self.calls.len()];
        self.supervisor.accepted("queueCall", json!({ "callId": call_id, "queue": queue })).await;
    }

    /// How many have been offered since the beginning.
    pub fn offered(&self) -> u64 {
        u64::try_from(self.turn.load(Ordering::Relaxed)).expect("a count")
    }

    /// Changes things as fast as they can be watched: each of these writers waits until what it did was pushed to itself.
    pub fn busy(self: &Arc<Self>, writers: usize) -> Busy {
        let (enough, mut tasks) = (CancellationToken::new(), JoinSet::new());
        for _ in 0..writers {
            tasks.spawn(Arc::clone(self).change_and_watch(enough.clone()));
        }
        Busy { enough, tasks }
    }

    async fn change_and_watch(self: Arc<Self>, enough: CancellationToken) {
        let mut watching = self.supervisor.subscribe(WALLBOARD, json!({})).await;
        watching.next().await;
        let (told, mut pushes) = watch::channel(0_u64);
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            loop {
                watching.next().await;
                told.send_modify(|pushes| *pushes += 1);
            }
        });
        while !enough.is_cancelled() {
            let before = *pushes.borrow();
            self.change().await;
            // Whatever is pushed after the change was begun: if it does not show it, the next one does.
            pushes.wait_for(|pushes| *pushes > before).await.expect("a push");
        }
    }

    /// Connections to its database.
    pub fn pool(&self) -> &sqlx::PgPool {
        &self.database.pool
    }

    /// Ends everything in order.
    ///
    /// # Panics
    /// Somebody still uses it.
    pub async fn end(self: Arc<Self>) {
        let Self { server, database, .. } = Arc::into_inner(self).expect("nobody else");
        server.stop().await;
        drop(database);
    }
}

/// Writers at work.
pub struct Busy {
    enough: CancellationToken,
    tasks: JoinSet<()>,
}

impl Busy {
    /// Lets them finish what they are at.
    pub async fn stop(self) {
        self.enough.cancel();
        self.tasks.join_all().await;
    }
}
