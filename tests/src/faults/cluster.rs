//! The system under test: PostgreSQL, Apache Kafka and every role twice, each a process with edges of its own.

use std::path::{Path, PathBuf};
use std::time::Duration;

use commands::{NewUser, Users};
use domain::Position;
use domain::permission::Role as UserRole;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::json;
use sqlx::postgres::PgPoolOptions;
use sqlx::{AssertSqlSafe, PgPool};
use tempfile::TempDir;
use uuid::Uuid;

use super::crowd::{Begin, Crowd};
use super::edge::Weather;
use super::load::Load;
use super::observer::Observer;
use super::postgres::Postgres;
use super::role::{Common, Role};
use super::scenario::Fault;
use super::watcher::Watchers;
use crate::Client;
use crate::history::{Entry, Journal, Journals};
use crate::kafka::{self, Broker};

/// Everybody who was cut off is back, and everything appended has arrived everywhere, within this time of the last fault.
pub const CATCH_UP_WITHIN: Duration = Duration::from_secs(60);
const DATABASE: &str = "voice";
const EMAIL: &str = "faults@voice.test";
const PASSWORD: &str = "correct horse battery";
const SECRET: &str = "a secret of the fault suite, and of nobody else";
/// Connections of the runner itself, not by way of any edge.
const OWN_CONNECTIONS: u32 = 8;

/// A running system with its load, its subscribers and its observer.
pub struct Cluster {
    /// The server of the event store.
    pub postgres: Postgres,
    /// The broker.
    pub kafka: Broker,
    /// Topic of the log.
    pub topic: String,
    /// GraphQL, twice.
    pub apis: Vec<Role>,
    /// The relay, and one that stands by.
    pub relays: Vec<Role>,
    /// The projectors, and some that stand by.
    pub projections: Vec<Role>,
    /// Reactions.
    pub ingest: Role,
    /// Straight to the database.
    pub pool: PgPool,
    /// Those who give commands.
    pub load: Load,
    /// Those who watch.
    pub watchers: Watchers,
    /// Those who watch in thousands, until everything is at rest.
    pub(super) crowds: Vec<Crowd>,
    /// How many crowds there ever were.
    crowd_count: usize,
    /// Events that former ones received, and connections they needed.
    former: (u64, u64),
    /// What the runner notes.
    pub journal: Journal,
    pub(super) journals: Journals,
    /// A token that is good on every node.
    pub token: String,
    /// Everything that is left to chance.
    pub luck: StdRng,
    pub(super) observer: Observer,
    directory: TempDir,
}

impl Cluster {
    /// Starts everything, with load.
    ///
    /// # Panics
    /// Something does not start.
    pub async fn start(seed: u64) -> Self {
        let directory = TempDir::new().expect("a directory");
        let journals = Journals::new(directory.path());
        let mut luck = StdRng::seed_from_u64(seed);
        let topic = kafka::topic();
        let common = Common { database: DATABASE.into(), topic: topic.clone(), secret: SECRET.into() };
        let mut make = async |command, number| Role::new(command, number, common.clone(), luck.random()).await;
        let mut apis = vec![make("api", 1).await, make("api", 2).await];
        let mut relays = vec![make("relay", 1).await, make("relay", 2).await];
        let mut projections = vec![make("projections", 1).await, make("projections", 2).await];
        let mut ingest = make("ingest", 1).await;

        let mut roles: Vec<&mut Role> =
            apis.iter_mut().chain(&mut relays).chain(&mut projections).chain([&mut ingest]).collect();
        let proxies: Vec<u16> = roles.iter().map(|role| role.kafka.address.port()).collect();
        let (postgres, kafka) = tokio::join!(Postgres::start(), Broker::start_behind(&proxies));
        for (role, broker) in roles.iter_mut().zip(&kafka.behind) {
            role.postgres.lead_to(postgres.address);
            role.kafka.lead_to(*broker);
        }
        let pool = prepared(&postgres).await;
        futures_util::future::join_all(roles.into_iter().map(Role::start)).await;
        let token = sign_in(&apis[0]).await;
        let journal = journals.of("runner");
        let doors: Vec<_> = apis.iter().map(|api| api.clients.address).collect();
        let load = Load::start(&doors, &token, &journals, luck.random()).await;
        let watchers = Watchers::start(&doors, &token, &journals, load.shared_call());
        let observer = Observer::start(pool.clone(), journals.of("observer"));
        Self {
            postgres,
            kafka,
            topic,
            apis,
            relays,
            projections,
            ingest,
            pool,
            load,
            watchers,
            crowds: Vec::new(),
            crowd_count: 0,
            former: (0, 0),
            journal,
            journals,
            token,
            luck,
            observer,
            directory,
        }
    }

    /// Every process.
    pub fn roles(&self) -> impl Iterator<Item = &Role> {
        self.apis.iter().chain(&self.relays).chain(&self.projections).chain([&self.ingest])
    }

    /// Every process, to be changed.
    pub fn roles_mut(&mut self) -> impl Iterator<Item = &mut Role> {
        self.apis.iter_mut().chain(&mut self.relays).chain(&mut self.projections).chain([&mut self.ingest])
    }

    /// The same weather everywhere.
    pub fn weather(&self, weather: Weather) {
        self.roles().for_each(|role| role.weather(weather));
    }

    /// Where journals are.
    #[must_use]
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Gathers so many subscribers about a call of their own, each of whom has seen its beginning.
    pub(super) async fn gather(&mut self, count: usize, begin: Begin) {
        let call = Uuid::now_v7();
        self.load.call(call).await;
        self.crowd_count += 1;
        let name = format!("crowd-{}", self.crowd_count);
        let journal = self.journals.of(&name);
        let doors = self.apis.iter().map(|api| api.clients.target()).collect();
        let crowd = Crowd::gather((name, journal), (doors, &self.token), call, count, begin);
        let position = self.load.say(call, 0).await;
        crowd.reached(position).await;
        self.crowds.push(crowd);
    }

    /// Sends away whoever came for one fault, now that everybody has seen everything up to the head.
    pub(super) fn dismiss(&mut self, head: Position) {
        self.watchers.dismiss(head);
        for crowd in self.crowds.drain(..) {
            let (received, connections) = crowd.received_and_connections();
            self.former = (self.former.0 + received, self.former.1 + connections);
            crowd.leave(head);
        }
    }

    /// Events received by all subscribers, and connections they needed.
    #[must_use]
    pub fn received_and_connections(&self) -> (u64, u64) {
        let (received, connections) = self.watchers.received_and_connections();
        (received + self.former.0, connections + self.former.1)
    }

    /// Runs a command of the program beside the roles, straight to the servers.
    pub(crate) fn tool(&self, arguments: &[&str]) -> crate::Voice {
        let database = Postgres::url(self.postgres.address, DATABASE);
        let environment =
            [("DATABASE_URL", database.as_str()), ("KAFKA_BROKERS", &self.kafka.brokers), ("KAFKA_TOPIC", &self.topic)];
        crate::Voice::start(arguments, &environment)
    }

    /// Publishes the log anew from a position, as an operator does.
    ///
    /// # Panics
    /// The program fails.
    pub async fn publish_from(&self, from: Position) {
        self.journal.note(Entry::SentBack { follower: "relay".to_owned(), from });
        let ended = self.tool(&["relay", "--from", &from.to_string()]).ended_of().await;
        assert!(ended.status.success(), "{}", ended.log);
    }

    /// Notes that a fault begins.
    pub(super) fn injected(&self, fault: Fault) {
        self.journal.note(Entry::Injected { fault: fault.to_string() });
    }

    /// Notes that something did not do what it must while a fault lasted.
    pub(super) fn failed(&self, what: &str) {
        self.journal.note(Entry::Stuck { who: what.to_owned() });
    }

    /// Brings back what a fault that ended early has left down or frozen.
    pub(super) async fn mend(&mut self) {
        self.kafka.thaw();
        self.watchers.release();
        self.crowds.iter().for_each(|crowd| crowd.slow_down(0));
        self.load.hurry(false);
        for role in self.roles_mut() {
            if role.runs() {
                role.voice().thaw();
            } else {
                role.start().await;
            }
        }
    }

    /// Keeps the journals, with the logs of all processes beside them; where they are.
    ///
    /// # Panics
    /// The disk is full.
    #[must_use]
    pub fn keep(mut self) -> PathBuf {
        self.directory.disable_cleanup(true);
        for role in self.roles().filter(|role| role.runs()) {
            std::fs::write(self.directory().join(format!("{}.log", role.name)), role.voice().log()).expect("room");
        }
        self.directory().to_owned()
    }

    /// Head of the log.
    ///
    /// # Panics
    /// The database does not answer.
    pub async fn head(&self) -> Position {
        sqlx::query_scalar("SELECT position FROM event_log").fetch_one(&self.pool).await.expect("the database")
    }

    /// Ends everything in order.
    pub async fn stop(mut self) {
        self.load.stop().await;
        self.watchers.stop();
        self.observer.stop();
        for role in self.roles_mut().filter(|role| role.runs()) {
            role.terminate().await;
        }
    }
}

/// The database, migrated, with an administrator.
async fn prepared(postgres: &Postgres) -> PgPool {
    let server = PgPool::connect(&Postgres::url(postgres.address, "postgres")).await.expect("the server");
    sqlx::query(AssertSqlSafe(format!("CREATE DATABASE {DATABASE}"))).execute(&server).await.expect("a database");
    server.close().await;
    let options = PgPoolOptions::new().max_connections(OWN_CONNECTIONS).acquire_timeout(CATCH_UP_WITHIN);
    let pool = options.connect(&Postgres::url(postgres.address, DATABASE)).await.expect("the database");
    commands::migrate(&pool).await.expect("tables");
    let administrator = NewUser {
        email: EMAIL.to_owned(),
        name: "Faults".to_owned(),
        role: UserRole::Admin,
        permissions: Vec::new(),
        agent_id: None,
        password: PASSWORD.to_owned(),
    };
    Users::new(pool.clone()).create(administrator).await.expect("a user");
    pool
}

async fn sign_in(api: &Role) -> String {
    let document = "mutation ($input: LoginInput!) { login(input: $input) { accessToken } }";
    let input = json!({ "input": { "email": EMAIL, "password": PASSWORD } });
    let data = Client::new(api.clients.address, None).query(document, input).await;
    data["login"]["accessToken"].as_str().expect("a token").to_owned()
}
