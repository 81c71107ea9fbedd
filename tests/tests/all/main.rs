//! The system seen from outside, in one binary so that it links once.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs, reason = "tests")]

mod api;
mod architecture;
mod changes;
mod clients;
mod event_store;
mod feed;
mod handler;
mod limits;
mod main_job;
mod policy;
mod projector;
mod read_models;
mod rebuild;
mod relay;
mod topic;
mod transports;
mod view;
