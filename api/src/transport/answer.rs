//! What is answered, and whose fault it is when nothing was executed.

use std::time::Duration;

use async_graphql::{Error, Pos, Response, ServerError};
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::json;
use crate::error::code;

/// Why an operation was not executed, as far as a status code tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// The document can't be parsed.
    Syntax,
    /// What names the document and the document itself contradict each other.
    Contradiction,
    /// The document, the choice of an operation or the variables are wrong, or ask for too much.
    Invalid,
    /// The token is not good any more.
    Unauthenticated,
    /// The caller may not have this executed.
    Forbidden,
    /// The document is not known by its hash: the client is to send it in full.
    NotPersisted,
    /// The viewer has spent all points; some are back after this time.
    RateLimited(Duration),
    /// It can't be done now; it may after this time.
    Unavailable(Duration),
    /// It took too long.
    Timeout,
    /// The client takes too slowly what is sent.
    TooSlow,
    /// The machinery failed.
    Internal,
}

impl Fault {
    fn of(errors: &[ServerError]) -> Self {
        let first = errors.first().and_then(|error| error.extensions.as_ref()?.get("code"));
        match first {
            Some(async_graphql::Value::String(first)) => match first.as_str() {
                code::GRAPHQL_PARSE_FAILED => Self::Syntax,
                code::PERSISTED_QUERY_HASH_MISMATCH => Self::Contradiction,
                code::UNAUTHENTICATED => Self::Unauthenticated,
                code::DOCUMENT_NOT_TRUSTED | code::INTROSPECTION_DISABLED => Self::Forbidden,
                code::UNAVAILABLE => Self::Unavailable(retry_after(&errors[0])),
                code::OPERATION_TIMEOUT => Self::Timeout,
                code::SLOW_CONSUMER => Self::TooSlow,
                code::INTERNAL => Self::Internal,
                _ => Self::Invalid,
            },
            _ => Self::Invalid,
        }
    }
}

/// When an error says that the client may come back.
fn retry_after(error: &ServerError) -> Duration {
    let said = error.extensions.as_ref().and_then(|extensions| extensions.get("retryAfterMs"));
    let ms = match said {
        Some(async_graphql::Value::Number(ms)) => ms.as_u64(),
        _ => None,
    };
    Duration::from_millis(ms.unwrap_or_default())
}

/// Errors of an operation that was not executed, as a JSON list.
#[derive(Debug)]
pub(super) struct Rejection {
    pub(super) fault: Fault,
    errors: String,
}

impl From<Rejection> for String {
    fn from(rejection: Rejection) -> Self {
        rejection.errors
    }
}

/// An answer in JSON, told apart by whether the operation was executed at all.
#[derive(Debug)]
pub(super) enum Answer {
    /// It was.
    Executed {
        /// The body.
        body: String,
        /// Some fields have failed.
        partial: bool,
    },
    /// It was not: the document or its variables are at fault. The list of errors; there is no `data` entry.
    Rejected(Rejection),
}

impl Answer {
    /// Takes an answer of the executor. Errors that the executor found by itself get a code, too.
    pub(super) fn of(mut response: Response) -> Self {
        let no_data = matches!(response.data, async_graphql::Value::Null);
        let rejected = no_data && !response.errors.is_empty() && response.errors.iter().all(|e| e.path.is_empty());
        for error in &mut response.errors {
            add_code(error, rejected);
        }
        if rejected {
            return Self::errors(&response.errors);
        }
        Self::Executed { body: json::body(&response), partial: !response.errors.is_empty() }
    }

    /// The answer of a subscription that could not begin: it has the path of its field, and was not executed all the same.
    pub(super) fn unexecuted(mut response: Response) -> Self {
        response.errors.iter_mut().for_each(|error| add_code(error, false));
        Self::errors(&response.errors)
    }

    /// An error that has nothing to do with a field.
    pub(super) fn rejected(error: Error) -> Self {
        let error = error.into_server_error(Pos::default());
        let fault = Fault::of(std::slice::from_ref(&error));
        Self::rejected_for(fault, error)
    }

    /// The same, for a reason that its code does not tell.
    pub(super) fn rejected_as(fault: Fault, error: Error) -> Self {
        Self::rejected_for(fault, error.into_server_error(Pos::default()))
    }

    fn rejected_for(fault: Fault, error: ServerError) -> Self {
        let mut plain = Map::new();
        plain.insert("message".to_owned(), json!(error.message));
        plain.insert("extensions".to_owned(), serde_json::to_value(&error.extensions).unwrap_or_default());
        Self::Rejected(Rejection { fault, errors: json!([plain]).to_string() })
    }

    /// Errors with codes and places in the document.
    pub(super) fn errors(errors: &[ServerError]) -> Self {
        Self::Rejected(Rejection { fault: Fault::of(errors), errors: to_json(&errors) })
    }

    /// The list of errors, as it is sent, of an operation that was not executed.
    pub(super) fn rejection(errors: String) -> Self {
        Self::Rejected(Rejection { fault: Fault::Invalid, errors })
    }

    /// The list of errors of an operation that was not executed.
    pub(super) fn into_errors(self) -> String {
        match self {
            Self::Rejected(rejection) => rejection.errors,
            Self::Executed { .. } => "[]".to_owned(),
        }
    }

    /// The code of the first error of an operation that was not executed.
    pub(super) fn code(&self) -> Option<String> {
        let Self::Rejected(rejection) = self else { return None };
        let errors: Value = serde_json::from_str(&rejection.errors).ok()?;
        errors[0]["extensions"]["code"].as_str().map(str::to_owned)
    }

    /// The body of a response, or the payload of `next`.
    pub(super) fn into_body(self) -> String {
        match self {
            Self::Executed { body, .. } => body,
            Self::Rejected(rejection) => format!("{{\"errors\":{}}}", rejection.errors),
        }
    }
}

/// Gives an error of the executor the code that it would have given itself.
pub(super) fn add_code(error: &mut ServerError, rejected: bool) {
    let extensions = error.extensions.get_or_insert_default();
    if extensions.get("code").is_none() {
        let found = match (rejected, error.message.trim_start().starts_with("-->")) {
            (true, true) => code::GRAPHQL_PARSE_FAILED,
            (true, false) => code::GRAPHQL_VALIDATION_FAILED,
            (false, _) => code::BAD_USER_INPUT,
        };
        extensions.set("code", found);
    }
}

fn to_json(value: &impl Serialize) -> String {
    // Maps with text keys, lists, numbers and text: nothing that could fail.
    serde_json::to_string(value).unwrap_or_else(|_| "{}".to_owned())
}
