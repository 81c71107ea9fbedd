//! What an operation is, whichever way it comes in, and what its answer is.

use async_graphql::parser::parse_query;
use async_graphql::parser::types::{DocumentOperations, ExecutableDocument, OperationType};
use async_graphql::{Request, Response, ServerError, Variables};
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::Endpoint;
use crate::auth::Viewer;
use crate::error::code;
use crate::graphql::TraceParent;

/// Who asks.
#[derive(Debug, Clone, Default)]
pub(super) struct Caller {
    /// Nobody, when no token was sent.
    pub(super) viewer: Option<Viewer>,
    /// The `traceparent` of the request, or of the socket's upgrade.
    pub(super) trace: Option<TraceParent>,
}

/// An operation that may be executed.
pub(super) struct Prepared {
    /// For the executor, with the caller in its data.
    pub(super) request: Request,
    /// What the chosen operation does; `None` when the document has no such operation, which the executor tells.
    pub(super) kind: Option<OperationType>,
}

/// Why nothing is executed.
pub(super) enum Refused {
    /// These are no parameters of an operation; what is wrong with them, for a person.
    Parameters(String),
    /// The document can't be taken.
    Document(Answer),
}

/// Reads the parameters `query`, `operationName`, `variables` and `extensions`, and the document.
pub(super) fn prepare(_endpoint: &Endpoint, parameters: Value, caller: &Caller) -> Result<Prepared, Refused> {
    let mut request = read(parameters).map_err(Refused::Parameters)?;
    let document = match parse_query(&request.query) {
        Ok(document) => document,
        Err(error) => return Err(Refused::Document(Answer::of(Response::from_errors(vec![error.into()])))),
    };
    let kind = operation_type(&document, request.operation_name.as_deref());
    request.set_parsed_query(document);
    if let Some(viewer) = &caller.viewer {
        request = request.data(viewer.clone());
    }
    if let Some(trace) = &caller.trace {
        request = request.data(trace.clone());
    }
    Ok(Prepared { request, kind })
}

fn read(parameters: Value) -> Result<Request, String> {
    let wrong = |message: &str| Err(message.to_owned());
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

fn operation_type(document: &ExecutableDocument, name: Option<&str>) -> Option<OperationType> {
    match (&document.operations, name) {
        (DocumentOperations::Single(operation), _) => Some(operation.node.ty),
        (DocumentOperations::Multiple(operations), Some(name)) => operations.get(name).map(|found| found.node.ty),
        // The only operation is meant also where it has a name and the request gives none.
        (DocumentOperations::Multiple(operations), None) => match operations.values().collect::<Vec<_>>()[..] {
            [only] => Some(only.node.ty),
            _ => None,
        },
    }
}

/// An answer in JSON, told apart by whether the operation was executed at all.
#[derive(Debug)]
pub(super) enum Answer {
    /// It was; some fields may have failed. The body.
    Executed(String),
    /// It was not: the document or its variables are at fault. The list of errors; there is no `data` entry.
    Rejected(String),
}

impl Answer {
    /// Takes an answer of the executor. Errors that the executor found by itself get a code, too.
    pub(super) fn of(mut response: Response) -> Self {
        let no_data = matches!(response.data, async_graphql::Value::Null);
        let rejected = no_data && !response.errors.is_empty() && response.errors.iter().all(|e| e.path.is_empty());
        for error in &mut response.errors {
            add_code(error, rejected);
        }
        if rejected { Self::Rejected(to_json(&response.errors)) } else { Self::Executed(to_json(&response)) }
    }

    /// The answer of a subscription that could not begin: it has the path of its field, and was not executed all the same.
    pub(super) fn unexecuted(mut response: Response) -> Self {
        response.errors.iter_mut().for_each(|error| add_code(error, false));
        Self::Rejected(to_json(&response.errors))
    }

    /// An error that has nothing to do with a field.
    pub(super) fn rejected(error: async_graphql::Error) -> Self {
        let error = error.into_server_error(async_graphql::Pos::default());
        let mut plain = Map::new();
        plain.insert("message".to_owned(), json!(error.message));
        plain.insert("extensions".to_owned(), serde_json::to_value(&error.extensions).unwrap_or_default());
        Self::Rejected(json!([plain]).to_string())
    }

    /// The list of errors of an operation that was not executed.
    pub(super) fn into_errors(self) -> String {
        match self {
            Self::Rejected(errors) => errors,
            Self::Executed(_) => "[]".to_owned(),
        }
    }

    /// The body of a response, or the payload of `next`.
    pub(super) fn into_body(self) -> String {
        match self {
            Self::Executed(body) => body,
            Self::Rejected(errors) => format!("{{\"errors\":{errors}}}"),
        }
    }
}

/// Executes a query or a mutation.
pub(super) async fn execute(endpoint: &Endpoint, request: Request) -> Answer {
    Answer::of(endpoint.schema.execute(request).await)
}

fn add_code(error: &mut ServerError, rejected: bool) {
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

fn to_json(value: &impl Serialize) -> String {
    // Maps with text keys, lists, numbers and text: nothing that could fail.
    serde_json::to_string(value).unwrap_or_else(|_| "{}".to_owned())
}
