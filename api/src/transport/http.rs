//! GraphQL over HTTP (https://graphql.github.io/graphql-over-http/draft/), with the status codes that the audit suite of
//! npm `graphql-http` expects.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use async_graphql::parser::types::OperationType;
use axum::body::Bytes;
use axum::extract::{ConnectInfo, FromRequest, Query, Request, State};
use axum::http::header::{
    ALLOW, AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE,
};
use axum::http::{Extensions, HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use tokio::time::timeout;

use super::answer::Fault;
use super::negotiation::Media;
use super::operation::{Answer, Caller, Refused, execute, prepare};
use super::status::status;
use super::{Endpoint, admission, batch, multipart, sse};
use crate::auth::{AuthError, Grant};
use crate::error::{code, coded, internal, unauthenticated};
use crate::graphql::TraceParent;

/// Answers an operation sent by POST.
pub(super) async fn post(
    State(endpoint): State<Endpoint>,
    extensions: Extensions,
    headers: HeaderMap,
    request: Request,
) -> Response {
    let Some(media) = accepted(&headers, &endpoint) else { return not_acceptable() };
    let is_json =
        |value: &str| value.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("application/json");
    // Anything else could be sent by a form of another site without asking the browser first.
    if !headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).is_some_and(is_json) {
        let error = coded("UNSUPPORTED_MEDIA_TYPE", "send the request as application/json");
        return refusal(media, StatusCode::UNSUPPORTED_MEDIA_TYPE, error);
    }
    let body = match timeout(endpoint.limits.body_time, Bytes::from_request(request, &endpoint)).await {
        Ok(Ok(body)) => body,
        Err(_) => {
            let error = coded("REQUEST_TIMEOUT", "the request's body did not come in time");
            return refusal(media, StatusCode::REQUEST_TIMEOUT, error);
        }
        Ok(Err(rejection)) if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE => {
            let error =
                coded("PAYLOAD_TOO_LARGE", format!("a request has at most {} bytes", endpoint.limits.body_bytes));
            return refusal(media, StatusCode::PAYLOAD_TOO_LARGE, error);
        }
        Ok(Err(rejection)) => return bad_request(media, rejection.body_text()),
    };
    let parameters = match serde_json::from_slice(&body) {
        Ok(parameters) => parameters,
        Err(error) => return bad_request(media, format!("the body is no JSON: {error}")),
    };
    answer(&endpoint, media, (&headers, &extensions), parameters, Method::Post).await
}

/// Answers a query sent by GET. A GET must not change anything, so mutations are refused.
pub(super) async fn get(
    State(endpoint): State<Endpoint>,
    extensions: Extensions,
    headers: HeaderMap,
    Query(mut parameters): Query<BTreeMap<String, String>>,
) -> Response {
    let Some(media) = accepted(&headers, &endpoint) else { return not_acceptable() };
    let mut read = json!({ "query": parameters.remove("query"), "operationName": parameters.remove("operationName") });
    if let Some(id) = parameters.remove("documentId") {
        read["documentId"] = id.into();
    }
    for key in ["variables", "extensions"] {
        match parameters.remove(key).as_deref().map(serde_json::from_str::<Value>) {
            None => {}
            Some(Ok(value)) => read[key] = value,
            Some(Err(error)) => return bad_request(media, format!("{key} is no JSON: {error}")),
        }
    }
    answer(&endpoint, media, (&headers, &extensions), read, Method::Get).await
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Method {
    Get,
    Post,
}

async fn answer(
    endpoint: &Endpoint,
    media: Media,
    (headers, extensions): (&HeaderMap, &Extensions),
    parameters: Value,
    method: Method,
) -> Response {
    let (caller, grant) = match caller(endpoint, headers, extensions).await {
        Ok(known) => known,
        // By this status a client of event streams knows that it needs a new token.
        Err(AuthError::Token) if sse::is_wanted(headers) => {
            return refusal(media, StatusCode::UNAUTHORIZED, unauthenticated());
        }
        Err(AuthError::Token) => return send(endpoint, media, Answer::rejected(unauthenticated())),
        Err(AuthError::Users(error)) => return failed(media, internal(&error)),
    };
    let parameters = match parameters {
        Value::Array(_) if sse::is_wanted(headers) => {
            return bad_request(media, "an event stream carries one operation".to_owned());
        }
        Value::Array(operations) => {
            return match batch::refusal(&operations, endpoint.limits.batch) {
                Some(error) => refusal(media, StatusCode::BAD_REQUEST, error),
                None => batch::answer(endpoint, media, &caller, operations).await,
            };
        }
        parameters => parameters,
    };
    let prepared = match prepare(endpoint, parameters, &caller) {
        Ok(prepared) => prepared,
        Err(Refused::Parameters(message)) => return bad_request(media, message),
        Err(Refused::Document(answer)) if sse::is_wanted(headers) => return sse::refuse(answer, endpoint),
        Err(Refused::Document(answer)) => return send(endpoint, media, answer),
    };
    let changes = match prepared.kind {
        OperationType::Mutation => true,
        OperationType::Subscription => !sse::is_wanted(headers) && !multipart::is_taken(headers),
        OperationType::Query => false,
    };
    if method == Method::Get && changes {
        let error = coded("METHOD_NOT_ALLOWED", "only queries can be sent by GET, and subscriptions as streams");
        let mut response = refusal(media, StatusCode::METHOD_NOT_ALLOWED, error);
        response.headers_mut().insert(ALLOW, HeaderValue::from_static("POST"));
        return response;
    }
    let (as_events, as_parts) = (sse::is_wanted(headers), multipart::is_meant(headers, &prepared));
    if !as_events && !as_parts {
        return send(endpoint, media, execute(endpoint, prepared).await);
    }
    let seat = match endpoint.stream_seat(&caller, media) {
        Ok(seat) => seat,
        Err(refused) => return *refused,
    };
    let respond = if as_events { sse::respond } else { multipart::respond };
    respond(endpoint, prepared, caller.viewer.as_ref(), grant, seat)
}

/// Who asks, and what lets that person in.
pub(super) async fn caller(
    endpoint: &Endpoint,
    headers: &HeaderMap,
    extensions: &Extensions,
) -> Result<(Caller, Option<Grant>), AuthError> {
    // What is no text is no token either.
    let authorization = headers.get(AUTHORIZATION).map(|value| value.to_str().unwrap_or_default());
    let grant = authorization.map(|authorization| endpoint.auth.grant(authorization)).transpose()?;
    caller_of(endpoint, grant, headers, extensions).await
}

/// The same, when what lets the person in is known.
pub(super) async fn caller_of(
    endpoint: &Endpoint,
    grant: Option<Grant>,
    headers: &HeaderMap,
    extensions: &Extensions,
) -> Result<(Caller, Option<Grant>), AuthError> {
    let viewer = match &grant {
        Some(grant) => Some(endpoint.auth.viewer_of(grant).await?),
        None => None,
    };
    let trace = headers.get("traceparent").and_then(|value| value.to_str().ok()).and_then(TraceParent::parse);
    Ok((Caller { viewer, address: address(extensions), trace }, grant))
}

/// Where a request comes from, if the listener tells.
pub(super) fn address(extensions: &Extensions) -> Option<IpAddr> {
    extensions.get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(address)| address.ip())
}

fn send(endpoint: &Endpoint, media: Media, answer: Answer) -> Response {
    let status = status(&answer, media, endpoint.policy.statuses);
    let fault = match &answer {
        Answer::Executed { .. } => None,
        Answer::Rejected(rejection) => Some(rejection.fault),
    };
    let mut response = respond(media, status, answer);
    if let Some(fault) = fault {
        hint(&mut response, fault);
    }
    response
}

/// Says in headers what a client can do about a refusal.
pub(super) fn hint(response: &mut Response, fault: Fault) {
    let unauthorized = response.status() == StatusCode::UNAUTHORIZED;
    let headers = response.headers_mut();
    match fault {
        // The next request brings the document: nobody must keep this answer.
        Fault::NotPersisted => drop(headers.insert(CACHE_CONTROL, HeaderValue::from_static("private, no-cache"))),
        Fault::RateLimited(wait) | Fault::Unavailable(wait) => {
            // In whole seconds, and never less than is asked for.
            let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds.max(1)));
        }
        _ if unauthorized => drop(headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))),
        _ => {}
    }
}

/// What an answer is sent as; for a stream, what its refusal is sent as.
pub(super) fn accepted(headers: &HeaderMap, endpoint: &Endpoint) -> Option<Media> {
    if sse::is_wanted(headers) {
        return Some(Media::Json);
    }
    Media::of(headers, endpoint.policy.statuses).or_else(|| multipart::is_taken(headers).then_some(Media::Json))
}

pub(super) fn respond(media: Media, status: StatusCode, answer: Answer) -> Response {
    (status, [(CONTENT_TYPE, media.content_type())], answer.into_body()).into_response()
}

/// What somebody is told who has too many streams open. Closing one helps, and so does coming back later.
pub(super) fn too_many_streams(media: Media, endpoint: &Endpoint) -> Response {
    let message = format!("at most {} streams of one viewer are open at a time", endpoint.limits.streams_per_viewer);
    refusal(media, StatusCode::TOO_MANY_REQUESTS, coded(code::TOO_MANY_STREAMS, message))
}

/// Says that something can't be done now, or that the machinery failed.
pub(super) fn failed(media: Media, error: async_graphql::Error) -> Response {
    let answer = Answer::rejected(error);
    let fault = if let Answer::Rejected(rejection) = &answer { rejection.fault } else { Fault::Internal };
    let away = matches!(fault, Fault::Unavailable(_));
    let status = if away { admission::STATUS } else { StatusCode::INTERNAL_SERVER_ERROR };
    let mut response = respond(media, status, answer);
    hint(&mut response, fault);
    response
}

fn refusal(media: Media, status: StatusCode, error: async_graphql::Error) -> Response {
    respond(media, status, Answer::rejected(error))
}

fn bad_request(media: Media, message: String) -> Response {
    refusal(media, StatusCode::BAD_REQUEST, coded(code::BAD_REQUEST, message))
}

fn not_acceptable() -> Response {
    let message = "answers come as application/graphql-response+json or application/json";
    refusal(Media::Json, StatusCode::NOT_ACCEPTABLE, coded("NOT_ACCEPTABLE", message))
}
