//! What an operation is, whichever way it comes in, and what its answer is.

use async_graphql::parser::parse_query;
use async_graphql::parser::types::{DocumentOperations, OperationType};
use async_graphql::{Request, Response, Variables};
use serde_json::{Map, Value, json};

use crate::error::code;

/// Parameters that are none: what is wrong with them, for a person.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(super) struct BadParameters(pub(super) String);

/// Reads the parameters `query`, `operationName`, `variables` and `extensions`.
pub(super) fn request(parameters: Value) -> Result<Request, BadParameters> {
    let wrong = |message: &str| Err(BadParameters(message.to_owned()));
    let Value::Object(mut parameters) = parameters else { return wrong("a request is a JSON object") };
    let query = match parameters.remove("query") {
        Some(Value::String(query)) => query,
        _ => return wrong("query must be a string"),
    };
    let mut request = Request::new(query);
    match parameters.remove("operationName") {
        None | Some(Value::Null) => {}
        Some(Value::String(name)) => request = request.operation_name(name),
        Some(_) => return wrong("operationName must be a string"),
    }
    match parameters.remove("variables") {
        None | Some(Value::Null) => {}
        Some(variables @ Value::Object(_)) => request = request.variables(Variables::from_json(variables)),
        Some(_) => return wrong("variables must be an object"),
    }
    match parameters.remove("extensions") {
        None | Some(Value::Null | Value::Object(_)) => Ok(request),
        Some(_) => wrong("extensions must be an object"),
    }
}

/// What the chosen operation of a document does; `None` when the document can't be parsed or has no such operation.
pub(super) fn operation_type(request: &Request) -> Option<OperationType> {
    match (parse_query(&request.query).ok()?.operations, &request.operation_name) {
        (DocumentOperations::Single(operation), _) => Some(operation.node.ty),
        (DocumentOperations::Multiple(operations), Some(name)) => {
            operations.get(name.as_str()).map(|operation| operation.node.ty)
        }
        (DocumentOperations::Multiple(_), None) => None,
    }
}

/// An answer, told apart by whether the operation was executed at all.
pub(super) enum Answer {
    /// It was; some fields may have failed.
    Executed(Value),
    /// It was not: the document or its variables are at fault. Has no `data` entry.
    Rejected(Value),
}

impl Answer {
    /// Takes an answer of the executor. Errors that the executor found by itself get a code, too.
    pub(super) fn of(mut response: Response) -> Self {
        let no_data = matches!(response.data, async_graphql::Value::Null);
        let rejected = no_data && !response.errors.is_empty() && response.errors.iter().all(|e| e.path.is_empty());
        for error in &mut response.errors {
            let extensions = error.extensions.get_or_insert_default();
            if extensions.get("code").is_none() {
                let found = match (rejected, error.message.trim_start().starts_with("-->")) {
                    (true, true) => "GRAPHQL_PARSE_FAILED",
                    (true, false) => "GRAPHQL_VALIDATION_FAILED",
                    (false, _) => code::BAD_USER_INPUT,
                };
                extensions.set("code", found);
            }
        }
        let mut body = serde_json::to_value(&response).unwrap_or_else(|_| json!({}));
        if rejected {
            body.as_object_mut().map(|body| body.remove("data"));
            Self::Rejected(body)
        } else {
            Self::Executed(body)
        }
    }
}

/// The body of an error that has nothing to do with a field.
pub(super) fn error_body(error: async_graphql::Error) -> Value {
    let error = error.into_server_error(async_graphql::Pos::default());
    let mut plain = Map::new();
    plain.insert("message".to_owned(), json!(error.message));
    plain.insert("extensions".to_owned(), serde_json::to_value(&error.extensions).unwrap_or_default());
    json!({ "errors": [plain] })
}
