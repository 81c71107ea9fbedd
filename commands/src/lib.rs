//! The write side: commands are loaded, decided and appended here, and the log is carried on to Kafka.
//!
//! * [`EventStore`]: the append path with group commit, and reading single streams; [`EventStore::execute`] is the one way
//!   a command becomes events.
//! * [`relay`]: the copy of the log on Kafka, in commit order.
//! * [`Users`]: accounts, passwords, permissions.
//!
//! This crate knows nothing of read models and of how people or machines reach it.

mod cache;
mod clock;
mod database;
pub mod event_store;
mod handler;
mod lease;
mod migrations;
pub mod relay;
mod secrets;
#[cfg(test)]
mod simulation;
mod users;

pub use cache::{CACHED_BYTES_MAX, STREAM_QUEUE_MAX};
pub use database::{ConnectError, Database, answers, apart, connect, is_away, pool_options};
pub use event_store::EventStore;
pub use handler::{CONFLICT_RETRIES_MAX, Envelope, ExecuteError, LoadError, Loaded, Outcome};
pub use migrations::{MigrateError, migrate};
pub use secrets::secret;
pub use users::{NewUser, PASSWORD_BYTES_MAX, PASSWORD_LENGTH_MIN, User, UserError, Users};
