//! One role of the system as a process of its own, with an edge to everything that it speaks to.

use std::net::SocketAddr;

use super::edge::{Edge, Weather};
use super::postgres::Postgres;
use crate::Voice;

/// Connections to the database that each process may have.
pub(super) const CONNECTIONS: &str = "12";

/// What the API allows one account here, and beyond its defaults: whole crowds watch under one.
const LIMITS: &str = "sockets=12000,subscriptions=12000,sockets-per-viewer=12000,points-burst=100000000,\
                      points-per-minute=1000000000";

/// What every process of a cluster is told.
#[derive(Debug, Clone)]
pub(super) struct Common {
    pub(super) database: String,
    pub(super) topic: String,
    pub(super) secret: String,
}

/// A process and its edges. It may be down.
pub struct Role {
    /// Such as `relay-2`.
    pub name: String,
    /// The program's command.
    command: &'static str,
    common: Common,
    /// To PostgreSQL.
    pub postgres: Edge,
    /// To Kafka.
    pub kafka: Edge,
    /// From its clients.
    pub clients: Edge,
    voice: Option<Voice>,
}

impl Role {
    /// A process that is not started yet.
    pub(super) async fn new(command: &'static str, number: u64, common: Common, seed: u64) -> Self {
        let seed = seed ^ (number << 8);
        Self {
            name: format!("{command}-{number}"),
            command,
            common,
            postgres: Edge::new(seed).await,
            kafka: Edge::new(seed ^ 1).await,
            clients: Edge::new(seed ^ 2).await,
            voice: None,
        }
    }

    /// Starts it, and waits until it is ready.
    ///
    /// # Panics
    /// It runs, or does not get ready.
    pub async fn start(&mut self) {
        self.start_with(&[]).await;
    }

    /// The same, with more in its environment.
    ///
    /// # Panics
    /// It runs, or does not get ready.
    pub async fn start_with(&mut self, environment: &[(&str, &str)]) {
        assert!(self.voice.is_none(), "{} runs", self.name);
        let database = Postgres::url(self.postgres.address, &self.common.database);
        let brokers = self.kafka.address.to_string();
        let mut all = vec![
            ("DATABASE_URL", database.as_str()),
            ("KAFKA_BROKERS", &brokers),
            ("KAFKA_TOPIC", &self.common.topic),
            ("JWT_SECRET", &self.common.secret),
            ("VOICE_LIMITS", LIMITS),
        ];
        all.extend(environment);
        let arguments = [self.command, "--listen", "127.0.0.1:0", "--database-connections", CONNECTIONS];
        let voice = Voice::start(&arguments, &all);
        let address: SocketAddr = voice.address().await;
        self.clients.lead_to(address);
        self.voice = Some(voice);
    }

    /// Ends it at once.
    ///
    /// # Panics
    /// It does not run.
    pub async fn kill(&mut self) {
        self.voice.take().expect("a running process").kill().await;
    }

    /// Ends it at once and starts it again.
    pub async fn kill_and_start(&mut self) {
        self.kill().await;
        self.start().await;
    }

    /// Asks it to end, and sees to it that it does so in order.
    ///
    /// # Panics
    /// It does not run, or complains.
    pub async fn terminate(&mut self) {
        let ended = self.voice.take().expect("a running process").terminated().await;
        assert!(ended.status.success(), "{}: {}", self.name, ended.log);
    }

    /// The process.
    ///
    /// # Panics
    /// It does not run.
    #[must_use]
    pub fn voice(&self) -> &Voice {
        self.voice.as_ref().expect("a running process")
    }

    /// Whether it runs, as far as we know.
    #[must_use]
    pub fn runs(&self) -> bool {
        self.voice.is_some()
    }

    /// Its edges carry everything again.
    pub(super) fn clear(&self) {
        [&self.postgres, &self.kafka, &self.clients].into_iter().for_each(Edge::clear);
    }

    /// The same weather on all its edges.
    pub(super) fn weather(&self, weather: Weather) {
        [&self.postgres, &self.kafka, &self.clients].into_iter().for_each(|edge| edge.weather(weather));
    }
}
