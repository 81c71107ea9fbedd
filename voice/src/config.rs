//! What the program is told on its command line and by its environment.

use std::net::SocketAddr;
use std::path::PathBuf;

use chrono_tz::Tz;
use clap::{Args, Parser, Subcommand};
use uuid::Uuid;

use crate::edge::EdgeArgs;

/// Event-sourced backend for AI-powered call centres.
///
/// Every fact of a call is an event, appended once to PostgreSQL, carried to Kafka, folded into read models, and pushed
/// to whoever watches over GraphQL.
#[derive(Debug, Parser)]
#[command(name = "voice", version)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run everything in one process. Without DATABASE_URL, on a private PostgreSQL under the data directory.
    Up(UpArgs),
    /// Run the GraphQL API.
    Api(ApiArgs),
    /// Run the reactions to events: scoring of sentiment.
    Ingest(RoleArgs),
    /// Run the projectors of all read models.
    Projections(RoleArgs),
    /// Run the relay that carries the log to Kafka.
    Relay(RelayArgs),
    /// Bring the database's tables up to date, then end.
    Migrate(DatabaseArgs),
    /// Build a read model anew beside the old one, compare, switch.
    Rebuild(RebuildArgs),
    /// List the events that read models could not take, or take them up again once the fault has been mended.
    Parked(ParkedArgs),
    /// Play a stored call back with its own timing, one JSON event a line.
    Replay(ReplayArgs),
    /// Play conversations from JSON lines files through the API of a running system, as live calls.
    Import(ImportArgs),
    /// Print the GraphQL schema with its descriptions, in the schema definition language. Needs no database.
    Schema,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct ListenArgs {
    /// Where HTTP and WebSocket are served.
    #[arg(long, default_value = "127.0.0.1:8080", value_name = "ADDRESS")]
    pub(crate) listen: SocketAddr,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct DatabaseArgs {
    /// PostgreSQL to use, such as postgres://user:password@host/database.
    #[arg(long, env = "DATABASE_URL", hide_env_values = true, value_name = "URL")]
    pub(crate) database_url: String,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct KafkaArgs {
    /// Kafka to carry the log to, host:port,... Without it, read models follow the event table directly.
    #[arg(long, env = "KAFKA_BROKERS", value_name = "HOSTS")]
    pub(crate) kafka_brokers: Option<String>,
    /// Topic for the log.
    #[arg(long, env = "KAFKA_TOPIC", default_value = commands::relay::TOPIC, value_name = "NAME")]
    pub(crate) kafka_topic: String,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct CommonArgs {
    #[command(flatten)]
    pub(crate) listen: ListenArgs,
    #[command(flatten)]
    pub(crate) kafka: KafkaArgs,
    /// Secret that access tokens and cursors are signed with, at least 32 bytes; the same for every node. Without it, one
    /// is made and kept in the database.
    #[arg(long, env = "JWT_SECRET", hide_env_values = true, value_name = "SECRET")]
    pub(crate) jwt_secret: Option<String>,
    /// Time zone whose days the dashboard counts in.
    #[arg(long, env = "VOICE_TIME_ZONE", default_value = "UTC", value_name = "NAME")]
    pub(crate) time_zone: Tz,
    /// Connections to the database at most.
    #[arg(long, env = "VOICE_DATABASE_CONNECTIONS", default_value_t = 40, value_name = "N",
          value_parser = clap::value_parser!(u32).range(12..=1_000))]
    pub(crate) database_connections: u32,
    /// Seconds without progress, while there is something to do, after which a follower of the log counts as stalled.
    /// /health/ready names it. A node that serves clients is not ready when its own feed stalls; another process, when its
    /// own work does.
    #[arg(long, env = "VOICE_STALLED_AFTER_S", default_value_t = 30, value_name = "S",
          value_parser = clap::value_parser!(u64).range(1..=3_600))]
    pub(crate) stalled_after_s: u64,
    /// Seconds that ending may take after SIGTERM or SIGINT: requests are answered, subscribers are sent elsewhere, what is
    /// in hand is finished. What is not done then is cut off, and nothing is lost by that. Orchestrators have to wait longer
    /// before they kill.
    #[arg(long, env = "VOICE_DRAIN_WITHIN_S", default_value_t = 20, value_name = "S",
          value_parser = clap::value_parser!(u64).range(1..=600))]
    pub(crate) drain_within_s: u64,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct RoleArgs {
    #[command(flatten)]
    pub(crate) database: DatabaseArgs,
    #[command(flatten)]
    pub(crate) common: CommonArgs,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct ApiArgs {
    #[command(flatten)]
    pub(crate) role: RoleArgs,
    #[command(flatten)]
    pub(crate) edge: EdgeArgs,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct RelayArgs {
    #[command(flatten)]
    pub(crate) role: RoleArgs,
    /// Publish again from this position, such as 1 after the topic was lost, then end; a running relay takes it up.
    #[arg(long, value_name = "POSITION", value_parser = clap::value_parser!(i64).range(1..))]
    pub(crate) from: Option<i64>,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct UpArgs {
    #[command(flatten)]
    pub(crate) common: CommonArgs,
    /// PostgreSQL to use instead of a private one.
    #[arg(long, env = "DATABASE_URL", hide_env_values = true, value_name = "URL")]
    pub(crate) database_url: Option<String>,
    /// Where the private PostgreSQL keeps its files. As root, the directory is made passable for the server's own user.
    #[arg(long, env = "VOICE_DATA_DIR", value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    /// Play conversations once the system is up; see `voice import`. An import that was cut off is resumed.
    #[arg(long, value_name = "PATH")]
    pub(crate) import: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) pace: PaceArgs,
    #[command(flatten)]
    pub(crate) edge: EdgeArgs,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct PaceArgs {
    /// How many times faster than in life conversations are played.
    #[arg(long, default_value_t = 1.0, value_name = "N", value_parser = speed)]
    pub(crate) speed: f64,
    /// Agents who take the calls.
    #[arg(long, default_value_t = 4, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=500))]
    pub(crate) agents: u16,
    /// Seconds between the beginnings of two calls, before speed is applied. Shorter than a call: calls overlap.
    #[arg(long, default_value_t = 12.0, value_name = "S", value_parser = gap)]
    pub(crate) gap_s: f64,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct RebuildArgs {
    /// Name of the read model.
    pub(crate) name: String,
    #[command(flatten)]
    pub(crate) database: DatabaseArgs,
    /// Time zone whose days the dashboard counts in.
    #[arg(long, env = "VOICE_TIME_ZONE", default_value = "UTC", value_name = "NAME")]
    pub(crate) time_zone: Tz,
    /// Switch to the new view although it differs from the old one.
    #[arg(long)]
    pub(crate) accept_difference: bool,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct ParkedArgs {
    /// Name of the read model; all of them when absent.
    pub(crate) projection: Option<String>,
    /// Take up the parked events of this key again, in order, while everything runs on.
    #[arg(long, value_name = "KEY")]
    pub(crate) retry: Option<Uuid>,
    #[command(flatten)]
    pub(crate) database: DatabaseArgs,
    /// Time zone whose days the dashboard counts in; the same as the projections'.
    #[arg(long, env = "VOICE_TIME_ZONE", default_value = "UTC", value_name = "NAME")]
    pub(crate) time_zone: Tz,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct ReplayArgs {
    /// The call.
    pub(crate) call_id: Uuid,
    #[command(flatten)]
    pub(crate) database: DatabaseArgs,
    /// How many times faster than in life.
    #[arg(long, default_value_t = 1.0, value_name = "N", value_parser = speed)]
    pub(crate) speed: f64,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct ImportArgs {
    /// A JSON lines file, or a directory of them. Formats: tests/data/README.md.
    pub(crate) path: PathBuf,
    /// The system to play them through.
    #[arg(long, env = "VOICE_URL", default_value = "http://127.0.0.1:8080", value_name = "URL")]
    pub(crate) url: String,
    /// Address to sign in with.
    #[arg(long, env = "VOICE_EMAIL", value_name = "ADDRESS")]
    pub(crate) email: String,
    /// Password to sign in with.
    #[arg(long, env = "VOICE_PASSWORD", hide_env_values = true, value_name = "PASSWORD")]
    pub(crate) password: String,
    /// Name of the run. The same name again goes on where the run was cut off; another name plays new calls.
    #[arg(long, value_name = "NAME")]
    pub(crate) run: Option<String>,
    #[command(flatten)]
    pub(crate) pace: PaceArgs,
}

fn positive(text: &str, most: f64) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(number) if number > 0.0 && number <= most => Ok(number),
        _ => Err(format!("a number above 0 and at most {most} is needed")),
    }
}

fn speed(text: &str) -> Result<f64, String> {
    positive(text, 10_000.0)
}

fn gap(text: &str) -> Result<f64, String> {
    positive(text, 86_400.0)
}
