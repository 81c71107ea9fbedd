//! The fault runner: the whole system as processes, load and subscribers on it, and something that breaks.
//!
//! A [`Cluster`] is PostgreSQL, Apache Kafka and every role of `voice` twice, with a TCP proxy on each edge between them.
//! A [`Fault`] is one way to break it, and heals what it broke. After each, [`Cluster::settle`] waits until everybody has
//! caught up, and [`Cluster::verify`] holds what everybody noted against what is stored (see [`crate::history`]). What
//! is left to chance comes from one seed.

mod cluster;
mod collect;
mod crowd;
pub mod edge;
mod folded;
mod load;
mod observer;
pub mod postgres;
mod quiet;
mod role;
mod runner;
mod scenario;
mod watcher;

pub use cluster::{CATCH_UP_WITHIN, Cluster};
pub use collect::Depth;
pub use quiet::Settled;
pub use runner::{Summary, run, run_in_order};
pub use scenario::{Fault, Scale};
