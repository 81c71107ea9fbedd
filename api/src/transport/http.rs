//! GraphQL over HTTP POST.

use async_graphql::{Request, Response as GraphQlResponse, ServerError};
use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};

use super::Endpoint;
use crate::auth::AuthError;
use crate::error::{code, coded, internal, unauthenticated};
use crate::graphql::TraceParent;

/// Answers one operation.
pub(super) async fn answer(State(endpoint): State<Endpoint>, headers: HeaderMap, body: Bytes) -> Response {
    let json = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).is_some_and(|value| {
        value.split(';').next().is_some_and(|media| media.trim().eq_ignore_ascii_case("application/json"))
    });
    // Anything else could be sent by a form of another site without asking first.
    if !json {
        let error = coded("UNSUPPORTED_MEDIA_TYPE", "send the request as application/json");
        return refusal(StatusCode::UNSUPPORTED_MEDIA_TYPE, error);
    }
    let mut request: Request = match serde_json::from_slice(&body) {
        Ok(request) => request,
        Err(error) => {
            let message = format!("the body is no GraphQL request: {error}");
            return refusal(StatusCode::BAD_REQUEST, coded("BAD_REQUEST", message));
        }
    };
    match headers.get(AUTHORIZATION).map(|value| value.to_str().unwrap_or_default()) {
        None => {}
        Some(authorization) => match endpoint.auth.viewer(authorization).await {
            Ok(viewer) => request = request.data(viewer),
            Err(AuthError::Token) => return refusal(StatusCode::OK, unauthenticated()),
            Err(AuthError::Users(error)) => {
                return refusal(StatusCode::INTERNAL_SERVER_ERROR, internal(&error));
            }
        },
    }
    if let Some(trace) = headers.get("traceparent").and_then(|value| value.to_str().ok()).filter(|t| t.len() <= 128) {
        request = request.data(TraceParent(trace.to_owned()));
    }
    Json(coded_errors(endpoint.schema.execute(request).await)).into_response()
}

/// Errors that the executor found itself get a code, too.
pub(super) fn coded_errors(mut response: GraphQlResponse) -> GraphQlResponse {
    for error in &mut response.errors {
        let extensions = error.extensions.get_or_insert_default();
        if extensions.get("code").is_none() {
            // Before execution there is no path: the document itself is at fault.
            let code = if error.path.is_empty() { "GRAPHQL_VALIDATION_FAILED" } else { code::BAD_USER_INPUT };
            extensions.set("code", code);
        }
    }
    response
}

fn refusal(status: StatusCode, error: async_graphql::Error) -> Response {
    let error: ServerError = error.into_server_error(async_graphql::Pos::default());
    (status, Json(GraphQlResponse::from_errors(vec![error]))).into_response()
}
