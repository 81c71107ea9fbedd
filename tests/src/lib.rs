//! What the tests of the whole system share: a database for each test, a server in this process, and a GraphQL client.
//!
//! The tests need a real PostgreSQL (`DATABASE_URL`) and a real Apache Kafka (`KAFKA_BROKERS`); `.dev/test` starts both.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test ends where its world is not as expected")]

pub mod database;
pub mod faults;
pub mod graphql;
pub mod history;
pub mod kafka;
pub mod process;
pub mod proxy;
pub mod script;
pub mod server;
pub mod statements;

pub use database::{TestDatabase, copy_log};
pub use graphql::{Client, Command, Refusal, Subscription};
pub use process::Voice;
pub use proxy::Proxy;
pub use script::Script;
pub use server::TestServer;
pub use statements::Statements;
