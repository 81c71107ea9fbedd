//! One process of the system: its roles started in order, and stopped in the reverse.
//!
//! ```text
//! start: database ▸ event store ▸ feed ▸ projectors ▸ relay ▸ reactions ▸ HTTP
//! stop:  not ready ▸ HTTP drains ▸ reactions, projectors, relay ▸ event store writes what is queued ▸ connections close
//! ```

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use api::{Limits, Policy};
use axum::Router;
use chrono_tz::Tz;
use commands::relay::{self, RelayConfig};
use commands::{Database, EventStore, Users};
use ingest::language::Vader;
use ingest::reactions::Reactions;
use projections::{Bookmark, Changes, KafkaSource, LiveLane, Progress, Source, Tail, read_models};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use crate::config::CommonArgs;
use crate::drain::{self, Drain};
use crate::files;
use crate::health::{self, Health, Work};

/// Shortest secret that signs tokens, in bytes.
const SECRET_BYTES_MIN: usize = 32;

/// What a process does.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Roles {
    pub(crate) api: bool,
    pub(crate) ingest: bool,
    pub(crate) projections: bool,
    pub(crate) relay: bool,
}

impl Roles {
    pub(crate) const ALL: Self = Self { api: true, ingest: true, projections: true, relay: true };
}

/// A process that has started.
pub(crate) struct Node {
    database: Database,
    /// Stops what takes commands and follows the log.
    followers: CancellationToken,
    following: TaskTracker,
    /// Stops the event store, which is the last to go.
    writers: CancellationToken,
    writing: TaskTracker,
    router: Router,
    health: Health,
    /// Ends open requests and sockets.
    drain: CancellationToken,
    sockets: TaskTracker,
    /// Connections at a time.
    connections: usize,
    /// How long all of that may take.
    drain_within: Duration,
}

impl Node {
    /// Starts the roles on a migrated database.
    pub(crate) async fn start(
        roles: Roles,
        database: Database,
        common: &CommonArgs,
        (limits, policy): (Limits, Policy),
    ) -> Result<Self> {
        let connections = limits.connections;
        let (drain, sockets) = (CancellationToken::new(), TaskTracker::new());
        let (followers, following) = (CancellationToken::new(), TaskTracker::new());
        let (writers, writing) = (CancellationToken::new(), TaskTracker::new());
        let store = EventStore::start(database.clone(), &writing, writers.clone());
        let store = store.await.context("starting the event store; is the database migrated?")?;

        let kafka = common.kafka.kafka_brokers.clone().filter(|brokers| !brokers.trim().is_empty());
        let topic = common.kafka.kafka_topic.clone();
        let relays_as = Uuid::new_v4();
        if roles.relay {
            match &kafka {
                Some(brokers) => {
                    let config = RelayConfig { brokers: brokers.clone(), topic: topic.clone() };
                    let relay =
                        relay::run_as(relays_as, database.clone(), config, Some(store.clone()), followers.clone());
                    following.spawn(relay);
                }
                None if roles.api => tracing::info!("no KAFKA_BROKERS: read models follow the event table directly"),
                None => bail!("the relay needs KAFKA_BROKERS"),
            }
        }
        let source = match &kafka {
            Some(brokers) => Source::Kafka(KafkaSource { brokers: brokers.clone(), topic: topic.clone() }),
            None => Source::Table { committed: Some(store.committed()) },
        };
        let tail = Tail::start(database.clone(), source, &following, followers.clone()).await?;

        let models = read_models(common.time_zone);
        let names: Vec<&'static str> = models.iter().map(|model| model.name()).collect();
        let progress = Progress::new();
        let local = roles.projections.then_some(&progress);
        let changes = Changes::start(database.clone(), names.clone(), local, &following, followers.clone()).await?;
        if roles.projections {
            let (database, tail) = (database.clone(), tail.clone());
            following.spawn(projections::run(database, tail, models, progress, followers.clone()));
        }
        let bookmark = Bookmark::new(database.clone(), "sentiment");
        if roles.ingest {
            let (store, tail, bookmark) = (store.clone(), tail.clone(), bookmark.clone());
            let reactions = Reactions { store, tail, bookmark, analysis: Arc::new(Vader::new()) };
            following.spawn(reactions.run(followers.clone()));
        }

        let work = Work {
            roles,
            tail: tail.clone(),
            models: names,
            reactions: bookmark,
            relayed: kafka.filter(|_| roles.relay).map(|_| (topic, relays_as)),
            stalled_after: Duration::from_secs(common.stalled_after_s),
        };
        let health = Health::new(&database, work);
        following.spawn(health.clone().watch(followers.clone()));
        let mut router = health::router(health.clone());
        if roles.api {
            let live = LiveLane::start(database.clone(), &following, &followers);
            let parts = Edge { store, tail, changes, live, zone: common.time_zone, limits, policy };
            let secret = common.jwt_secret.as_deref();
            router = router.merge(edge(parts, database.clone(), secret, (drain.clone(), sockets.clone())).await?);
        }
        let connections = connections.min(files::connections_max());
        let drain_within = Duration::from_secs(common.drain_within_s);
        Ok(Self {
            database,
            followers,
            following,
            writers,
            writing,
            router,
            health,
            drain,
            sockets,
            connections,
            drain_within,
        })
    }

    /// Serves HTTP until `shutdown` fires, then stops everything in order.
    pub(crate) async fn serve(self, listener: TcpListener, shutdown: CancellationToken) -> Result<()> {
        let mut server = tokio::spawn(api::serve(listener, self.router, self.connections, self.drain.clone()));
        let served = tokio::select! {
            served = &mut server => Some(served),
            () = shutdown.cancelled() => None,
        };
        self.health.drain();
        let mut drain = Drain::begin(self.database, self.drain_within);
        self.drain.cancel();
        self.sockets.close();
        let served = match served {
            Some(served) => served?.context("serving HTTP"),
            None => {
                let answered = async { tokio::join!(&mut server, self.sockets.wait()) };
                if drain.wait(drain::CLIENTS, answered).await.is_none() {
                    server.abort();
                }
                Ok(())
            }
        };
        let apart = self.health.database();
        drain.ask(&apart).await;
        drain.stop(drain::FOLLOWERS, &self.followers, &self.following).await;
        drain.stop(drain::WRITERS, &self.writers, &self.writing).await;
        drain.close(apart).await;
        served
    }
}

struct Edge {
    store: EventStore,
    tail: Tail,
    changes: Changes,
    live: LiveLane,
    zone: Tz,
    limits: Limits,
    policy: Policy,
}

async fn edge(
    parts: Edge,
    database: Database,
    configured: Option<&str>,
    (drain, sockets): (CancellationToken, TaskTracker),
) -> Result<Router> {
    let secret = match configured {
        Some(secret) if secret.len() < SECRET_BYTES_MIN => {
            bail!("JWT_SECRET must have at least {SECRET_BYTES_MIN} bytes")
        }
        Some(secret) => secret.as_bytes().to_vec(),
        None => commands::secret(&database, "access-tokens").await?,
    };
    let log = projections::log::epoch(&database).await?;
    let Edge { store, tail, changes, live, zone, limits, policy } = parts;
    let context = api::Context {
        store,
        changes,
        tail,
        live,
        auth: api::Auth::new(Users::new(database.clone()), api::Tokens::new(&secret)),
        cursors: api::Cursors::new(&secret, log),
        zone,
        database,
        limits,
        policy,
    };
    Ok(api::router(context, drain, sockets))
}
