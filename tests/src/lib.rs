//! What the tests of the whole system share: a database for each test, and events to put into it.
//!
//! The tests need a real PostgreSQL (`DATABASE_URL`) and a real Apache Kafka (`KAFKA_BROKERS`); `.dev/test` starts both.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test ends where its world is not as expected")]

pub mod database;
pub mod kafka;
pub mod process;

pub use database::TestDatabase;
pub use process::Voice;
