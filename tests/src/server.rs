//! Every role of the system in this process, on a database of its own: what a test talks to over HTTP and WebSocket.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use api::{Limits, Policy};
use chrono_tz::Tz;
use commands::relay::{self, RelayConfig};
use commands::{EventStore, NewUser, User, Users};
use domain::permission::{Permission, Role};
use ingest::language::Vader;
use ingest::reactions::Reactions;
use projections::{Bookmark, Changes, KafkaSource, LiveLane, Progress, Source, Tail, read_models};
use serde_json::json;
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use crate::{Client, TestDatabase};

/// The secret that signs tokens and cursors of every test server.
pub const SECRET: &[u8] = b"a secret of the tests, and of nobody else";
/// Password of every user of the tests.
pub const PASSWORD: &str = "correct horse battery";
/// How long starting and stopping may take.
const WITHIN: Duration = Duration::from_secs(60);

/// A running system.
pub struct TestServer {
    /// Where it listens.
    pub address: SocketAddr,
    /// Its accounts.
    pub users: Users,
    /// Its write side.
    pub store: EventStore,
    /// Ends requests and sockets.
    drain: CancellationToken,
    serving: TaskTracker,
    /// Ends what follows the log.
    followers: CancellationToken,
    following: TaskTracker,
    /// Ends the event store.
    writers: CancellationToken,
    writing: TaskTracker,
}

impl TestServer {
    /// Starts every role, following the event table, and waits until the read models are there.
    ///
    /// # Panics
    /// A role did not start.
    pub async fn start(database: &TestDatabase) -> Self {
        Self::start_with(database, Limits::default()).await
    }

    /// The same, with other limits.
    ///
    /// # Panics
    /// A role did not start.
    pub async fn start_with(database: &TestDatabase, limits: Limits) -> Self {
        Self::start_reading_by(database, database.pool.clone(), limits).await
    }

    /// The same, with another policy.
    ///
    /// # Panics
    /// A role did not start.
    pub async fn start_under(database: &TestDatabase, limits: Limits, policy: Policy) -> Self {
        Self::start_all(database, database.pool.clone(), limits, policy, None).await
    }

    /// The same, with connections of its own for what requests read: who asks, and the read models.
    ///
    /// # Panics
    /// A role did not start.
    pub async fn start_reading_by(database: &TestDatabase, readers: PgPool, limits: Limits) -> Self {
        Self::start_all(database, readers, limits, Policy::default(), None).await
    }

    /// Starts every role with a relay to a topic of its own on Kafka, which is followed.
    ///
    /// # Panics
    /// A role did not start.
    pub async fn start_on_kafka(database: &TestDatabase, brokers: String) -> Self {
        let topic = RelayConfig { brokers, topic: crate::kafka::topic() };
        Self::start_all(database, database.pool.clone(), Limits::default(), Policy::default(), Some(topic)).await
    }

    async fn start_all(
        database: &TestDatabase,
        readers: PgPool,
        limits: Limits,
        policy: Policy,
        kafka: Option<RelayConfig>,
    ) -> Self {
        let pool = database.pool.clone();
        let (drain, followers, writers) =
            (CancellationToken::new(), CancellationToken::new(), CancellationToken::new());
        let (serving, following, writing) = (TaskTracker::new(), TaskTracker::new(), TaskTracker::new());

        let store = EventStore::start(pool.clone(), &writing, writers.clone()).await.unwrap();
        let source = match kafka {
            None => Source::Table { committed: Some(store.committed()) },
            Some(config) => {
                let source = KafkaSource { brokers: config.brokers.clone(), topic: config.topic.clone() };
                following.spawn(relay::run(pool.clone(), config, Some(store.clone()), followers.clone()));
                Source::Kafka(source)
            }
        };
        let tail = Tail::start(pool.clone(), source, &following, followers.clone()).await.unwrap();
        let models = read_models(Tz::UTC);
        let names: Vec<&str> = models.iter().map(|model| model.name()).collect();
        let (progress, count) = (Progress::new(), names.len());
        let mut projected = progress.watch();
        let changes =
            Changes::start(pool.clone(), names, Some(&progress), &following, followers.clone()).await.unwrap();
        following.spawn(projections::run(pool.clone(), tail.clone(), models, progress, followers.clone()));
        let ready = projected.wait_for(|positions| positions.len() == count);
        drop(tokio::time::timeout(WITHIN, ready).await.expect("the read models are not there in time").unwrap());

        let reactions = Reactions {
            store: store.clone(),
            tail: tail.clone(),
            bookmark: Bookmark::new(pool.clone(), "sentiment"),
            analysis: Arc::new(Vader::new()),
        };
        following.spawn(reactions.run(followers.clone()));

        let (users, connections) = (Users::new(pool.clone()), limits.connections);
        let context = api::Context {
            store: store.clone(),
            changes,
            tail,
            live: LiveLane::start(pool.clone(), &following, &followers),
            auth: api::Auth::new(Users::new(readers.clone()), api::Tokens::new(SECRET)),
            cursors: api::Cursors::new(SECRET, projections::log::epoch(&pool).await.unwrap()),
            zone: Tz::UTC,
            limits,
            policy,
            database: readers,
        };
        let router = api::router(context, drain.clone(), serving.clone());
        let listener = api::listen(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        let address = listener.local_addr().unwrap();
        serving.spawn(api::serve(listener, router, connections, drain.clone()));
        Self { address, users, store, drain, serving, followers, following, writers, writing }
    }

    /// Adds a user.
    ///
    /// # Panics
    /// The user could not be added.
    pub async fn user(&self, role: Role, agent_id: Option<Uuid>, permissions: &[&str]) -> User {
        let new = NewUser {
            email: format!("{}@voice.test", Uuid::now_v7().simple()),
            name: format!("{role} of the tests"),
            role,
            permissions: permissions.iter().map(|text| Permission::parse(text).unwrap()).collect(),
            agent_id,
            password: PASSWORD.to_owned(),
        };
        self.users.create(new).await.unwrap()
    }

    /// A client without a token.
    #[must_use]
    pub fn anonymous(&self) -> Client {
        Client::new(self.address, None)
    }

    /// A client with a token that is good or not.
    #[must_use]
    pub fn with_token(&self, token: &str) -> Client {
        Client::new(self.address, Some(token.to_owned()))
    }

    /// A client signed in as a user.
    ///
    /// # Panics
    /// The sign-in failed.
    pub async fn sign_in(&self, user: &User) -> Client {
        let document = "mutation ($input: LoginInput!) { login(input: $input) { accessToken } }";
        let input = json!({ "input": { "email": user.email, "password": PASSWORD } });
        let data = self.anonymous().query(document, input).await;
        self.with_token(data["login"]["accessToken"].as_str().expect("a token"))
    }

    /// A new user of a role, signed in.
    pub async fn signed_in(&self, role: Role) -> Client {
        let user = self.user(role, None, &[]).await;
        self.sign_in(&user).await
    }

    /// Stops the roles in order and waits for every task.
    ///
    /// # Panics
    /// A task did not end.
    pub async fn stop(self) {
        let Self { drain, serving, followers, following, writers, writing, .. } = self;
        for (what, token, tasks) in [
            ("HTTP", drain, serving),
            ("followers of the log", followers, following),
            ("the event store", writers, writing),
        ] {
            token.cancel();
            tasks.close();
            let ended = tokio::time::timeout(WITHIN, tasks.wait()).await;
            assert!(ended.is_ok(), "{what}: {} tasks have not ended", tasks.len());
        }
    }
}
