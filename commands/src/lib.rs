//! The write side: commands are loaded, decided and appended here, and carried on to Kafka.
//!
//! * [`EventStore`]: the append path with group commit, and reading the log.
//!
//! This crate knows nothing of read models and of how people or machines reach it.

mod migrations;

pub use migrations::{MigrateError, migrate};
