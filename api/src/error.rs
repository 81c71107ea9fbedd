//! Errors as clients see them: a message for a person, a stable code for a program.
//!
//! `extensions.code` is one of the codes below; `extensions.reason`, where present, says more. Refusals of the domain are
//! no errors but data (`CommandRefused`).

use std::time::Duration;

use async_graphql::{Error, ErrorExtensions};
use uuid::Uuid;

/// Stable codes in `extensions.code`.
pub(crate) mod code {
    pub(crate) const UNAUTHENTICATED: &str = "UNAUTHENTICATED";
    pub(crate) const FORBIDDEN: &str = "FORBIDDEN";
    pub(crate) const BAD_USER_INPUT: &str = "BAD_USER_INPUT";
    pub(crate) const CONFLICT: &str = "CONFLICT";
    pub(crate) const NOT_FOUND: &str = "NOT_FOUND";
    pub(crate) const UNAVAILABLE: &str = "UNAVAILABLE";
    pub(crate) const INTERNAL: &str = "INTERNAL_SERVER_ERROR";
    pub(crate) const BAD_REQUEST: &str = "BAD_REQUEST";
    pub(crate) const TOO_MANY_STREAMS: &str = "TOO_MANY_STREAMS";
    pub(crate) const ORIGIN_NOT_ALLOWED: &str = "ORIGIN_NOT_ALLOWED";
    pub(crate) const GRAPHQL_PARSE_FAILED: &str = "GRAPHQL_PARSE_FAILED";
    pub(crate) const GRAPHQL_VALIDATION_FAILED: &str = "GRAPHQL_VALIDATION_FAILED";
    pub(crate) const OPERATION_RESOLUTION_FAILURE: &str = "OPERATION_RESOLUTION_FAILURE";
    pub(crate) const PERSISTED_QUERY_NOT_FOUND: &str = "PERSISTED_QUERY_NOT_FOUND";
    pub(crate) const PERSISTED_QUERY_HASH_MISMATCH: &str = "PERSISTED_QUERY_HASH_MISMATCH";
    pub(crate) const DOCUMENT_NOT_TRUSTED: &str = "DOCUMENT_NOT_TRUSTED";
    pub(crate) const INTROSPECTION_DISABLED: &str = "INTROSPECTION_DISABLED";
    pub(crate) const COMPLEXITY_LIMIT: &str = "COMPLEXITY_LIMIT";
    pub(crate) const RATE_LIMITED: &str = "RATE_LIMITED";
    pub(crate) const OPERATION_TIMEOUT: &str = "OPERATION_TIMEOUT";
    pub(crate) const SLOW_CONSUMER: &str = "SLOW_CONSUMER";
    pub(crate) const TOO_MANY_ERRORS: &str = "TOO_MANY_ERRORS";
}

/// An error with a code.
pub(crate) fn coded(code: &'static str, message: impl Into<String>) -> Error {
    Error::new(message).extend_with(|_, extensions| extensions.set("code", code))
}

/// Input that can't be taken: which field, and a stable reason.
pub(crate) fn bad_input(field: &str, reason: &str, message: impl std::fmt::Display) -> Error {
    Error::new(format!("{field}: {message}")).extend_with(|_, extensions| {
        extensions.set("code", code::BAD_USER_INPUT);
        extensions.set("reason", reason);
        extensions.set("field", field);
    })
}

/// More than one operation may ask for: which limit, and its value.
pub(crate) fn beyond_limit(limit: &'static str, most: usize) -> Error {
    let words = limit.to_lowercase().replace('_', " ");
    Error::new(format!("this asks for too much: its {words} may be {most} at most")).extend_with(|_, extensions| {
        extensions.set("code", code::COMPLEXITY_LIMIT);
        extensions.set("reason", limit);
        extensions.set("limit", most);
    })
}

/// The viewer has spent all points.
pub(crate) fn rate_limited(wait: Duration) -> Error {
    Error::new("too much was asked for in a short time").extend_with(|_, extensions| {
        extensions.set("code", code::RATE_LIMITED);
        extensions.set("retryAfterMs", retry_after_ms(wait));
    })
}

fn retry_after_ms(wait: Duration) -> u64 {
    u64::try_from(wait.as_millis()).unwrap_or(u64::MAX).saturating_add(1)
}

/// An operation took too long and was given up.
pub(crate) fn timed_out(most: Duration, changes: bool) -> Error {
    let message = format!("not done within {} ms", most.as_millis());
    coded(
        code::OPERATION_TIMEOUT,
        if changes {
            format!("{message}; it may still be done: send it again under the same command id")
        } else {
            message
        },
    )
}

/// Nobody is signed in.
pub(crate) fn unauthenticated() -> Error {
    coded(code::UNAUTHENTICATED, "sign in first: send the access token as `Authorization: Bearer ...`")
}

/// The viewer lacks a permission.
pub(crate) fn forbidden(needed: &str) -> Error {
    Error::new(format!("this needs the permission {needed}")).extend_with(|_, extensions| {
        extensions.set("code", code::FORBIDDEN);
        extensions.set("permission", needed);
    })
}

/// Try again shortly; nothing was lost.
pub(crate) fn unavailable(reason: &str, message: &str, retry_after_ms: u32) -> Error {
    Error::new(message).extend_with(|_, extensions| {
        extensions.set("code", code::UNAVAILABLE);
        extensions.set("reason", reason);
        extensions.set("retryAfterMs", retry_after_ms);
    })
}

/// Hint for a client that was refused because this node has enough to do.
pub(crate) const OVERLOADED_RETRY: Duration = Duration::from_secs(1);
/// Hint for a client whose node goes away: another one is there, or soon will be.
pub(crate) const GOING_AWAY_RETRY: Duration = Duration::from_millis(500);

/// This node has as much to do as it takes on at a time.
pub(crate) fn overloaded() -> Error {
    unavailable("OVERLOADED", "this node has enough to do; try again shortly", whole_ms(OVERLOADED_RETRY))
}

/// This node goes away before the operation was done.
pub(crate) fn going_away(changes: bool) -> Error {
    let message = "this node goes away; try again";
    let unknown = "this node goes away; the operation may still be done: send it again under the same command id";
    unavailable("SHUTTING_DOWN", if changes { unknown } else { message }, whole_ms(GOING_AWAY_RETRY))
}

fn whole_ms(wait: Duration) -> u32 {
    u32::try_from(wait.as_millis()).unwrap_or(u32::MAX)
}

/// Hint for a client that found the database away, in milliseconds.
const DATABASE_RETRY_MS: u32 = 1_000;

/// The machinery failed. A database that is away is told as such: the same may work in a moment. Otherwise, what happened
/// goes to the log under an id; the client sees the id alone.
pub(crate) fn internal(error: &(dyn std::error::Error + 'static)) -> Error {
    let id = Uuid::new_v4();
    let mut causes = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        causes.push_str(": ");
        causes.push_str(&cause.to_string());
        next = cause.source();
    }
    if commands::is_away(error) {
        tracing::warn!(error = causes, "the database could not be used");
        return unavailable("DATABASE", "the database can't be used now; try again shortly", DATABASE_RETRY_MS);
    }
    tracing::error!(error.id = %id, error = causes, "a request failed");
    Error::new(format!("internal error {id}")).extend_with(|_, extensions| {
        extensions.set("code", code::INTERNAL);
        extensions.set("correlationId", id.to_string());
    })
}
