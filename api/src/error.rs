//! Errors as clients see them: a message for a person, a stable code for a program.
//!
//! `extensions.code` is one of the codes below; `extensions.reason`, where present, says more. Refusals of the domain are
//! no errors but data (`CommandRefused`).

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

/// The machinery failed. What happened goes to the log under an id; the client sees the id alone.
pub(crate) fn internal(error: &(dyn std::error::Error + 'static)) -> Error {
    let id = Uuid::new_v4();
    let mut causes = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        causes.push_str(": ");
        causes.push_str(&cause.to_string());
        next = cause.source();
    }
    tracing::error!(error.id = %id, error = causes, "a request failed");
    Error::new(format!("internal error {id}")).extend_with(|_, extensions| {
        extensions.set("code", code::INTERNAL);
        extensions.set("correlationId", id.to_string());
    })
}
