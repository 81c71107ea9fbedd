//! Edge to people.
mod auth;
mod cursor;
mod error;
