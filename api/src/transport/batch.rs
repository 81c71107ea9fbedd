//! Several operations in one request, as a JSON list, after the draft appendix "Request Batching" of GraphQL over HTTP: each
//! is an operation of its own with its own points and its own answer, they are executed at the same time, and the list of
//! answers has the order of the list of operations and always the status 200.

use async_graphql::parser::types::OperationType;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use futures_util::future::join_all;
use serde_json::Value;

use super::Endpoint;
use super::answer::Answer;
use super::negotiation::Media;
use super::operation::{Caller, Refused, execute, prepare};
use crate::error::{beyond_limit, code, coded};

/// Why a list is not looked into.
pub(super) fn refusal(operations: &[Value], most: usize) -> Option<async_graphql::Error> {
    if operations.is_empty() || !operations.iter().all(Value::is_object) {
        return Some(coded(code::BAD_REQUEST, "a request is a JSON object, or a list of such objects"));
    }
    (operations.len() > most).then(|| beyond_limit("BATCH", most))
}

/// Executes the operations of a list.
pub(super) async fn answer(endpoint: &Endpoint, media: Media, caller: &Caller, operations: Vec<Value>) -> Response {
    let answers = operations.into_iter().map(async |parameters| {
        let answer = match prepare(endpoint, parameters, caller) {
            Ok(prepared) if prepared.kind == OperationType::Subscription => {
                Answer::rejected(coded(code::BAD_REQUEST, "a subscription can't be part of a list"))
            }
            Ok(prepared) => execute(endpoint, prepared).await,
            Err(Refused::Parameters(message)) => Answer::rejected(coded(code::BAD_REQUEST, message)),
            Err(Refused::Document(answer)) => answer,
        };
        answer.into_body()
    });
    let bodies = join_all(answers).await;
    let body = format!("[{}]", bodies.join(","));
    (StatusCode::OK, [(CONTENT_TYPE, media.content_type())], body).into_response()
}
