//! The dashboard as a plain event stream, for wallboards without a GraphQL client.
//!
//! `GET /events/dashboard?queue=NAME` sends `dashboard` events: the data is the dashboard in JSON, with every field of the
//! GraphQL type, the id is its cursor. `Last-Event-ID`, which a browser's `EventSource` sends by itself when it comes back,
//! or `lastEventId` in the address goes on after a cursor. `Authorization: Bearer` as everywhere. An `EventSource` can't send
//! that: `POST /events/ticket` gives a ticket for `?ticket=`, good for the beginning of a stream within half a minute and for
//! nothing else, so that no token that lasts stands in addresses and in the logs of proxies.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::time::Duration;

use axum::Json;
use axum::extract::{Query, State};
use axum::http::header::{AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, HeaderName};
use axum::http::{Extensions, HeaderMap, StatusCode};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream::{self, StreamExt};
use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;
use tokio::time::timeout;

use super::operation::{Answer, Caller, Refused, prepare};
use super::{Endpoint, http, running, sse};
use crate::auth::{AuthError, TICKET_LASTS};
use crate::error::{internal, unauthenticated};

const DOCUMENT: &str = "subscription DashboardFeed($queue: String, $after: String) {
    dashboard(queue: $queue, after: $after) { cursor dashboard {
        at queue day waiting oldestEnqueuedAt longestWaitMs inProgress agents { activity agents }
        offered answered answeredInThreshold abandoned abandonedShort flowOuts abandonmentRate
        averageSpeedOfAnswerMs longestWaitAnsweredMs handled averageHandleTimeMs serviceLevel } } }";
/// How long a client should wait before it comes back.
const RETRY: Duration = Duration::from_secs(2);
/// What is wrong is known at once. Nothing may come for long, on the other hand, when nothing has changed since the cursor.
const FIRST_WITHIN: Duration = Duration::from_millis(250);

/// One payload of the document.
#[derive(Deserialize)]
struct Payload<'a> {
    #[serde(borrow)]
    data: Data<'a>,
}

#[derive(Deserialize)]
struct Data<'a> {
    #[serde(borrow)]
    dashboard: Changed<'a>,
}

#[derive(Deserialize)]
struct Changed<'a> {
    cursor: String,
    #[serde(borrow)]
    dashboard: &'a RawValue,
}

/// Answers `GET /events/dashboard`.
pub(super) async fn get(
    State(endpoint): State<Endpoint>,
    extensions: Extensions,
    headers: HeaderMap,
    Query(parameters): Query<BTreeMap<String, String>>,
) -> Response {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let authorization = match parameters.get("ticket") {
        Some(ticket) => endpoint.auth.redeem(ticket),
        None => Ok(header(AUTHORIZATION.as_str())),
    };
    let viewer = match &authorization {
        Ok(Some(authorization)) => endpoint.auth.viewer(authorization).await,
        Ok(None) | Err(_) => Err(AuthError::Token),
    };
    let (viewer, authorization) = match (viewer, authorization) {
        (Ok(viewer), Ok(authorization)) => (viewer, authorization),
        (Err(AuthError::Users(error)), _) => return refuse(Answer::rejected(internal(&error))),
        _ => return refuse(Answer::rejected(unauthenticated())),
    };
    let after = header("last-event-id").or_else(|| parameters.get("lastEventId").cloned());
    let variables = json!({ "queue": parameters.get("queue"), "after": after.filter(|after| !after.is_empty()) });
    let caller = Caller { viewer: Some(viewer), trace: None, address: http::address(&extensions) };
    let prepared = match prepare(&endpoint, json!({ "query": DOCUMENT, "variables": variables }), &caller) {
        Ok(prepared) => prepared,
        Err(Refused::Document(answer)) => return refuse(answer),
        Err(Refused::Parameters(message)) => return (StatusCode::BAD_REQUEST, message).into_response(),
    };
    let mut answers = running::answers(&endpoint, prepared, caller.viewer.as_ref()).boxed();
    let first = match timeout(FIRST_WITHIN, answers.next()).await {
        Ok(Some(refused @ Answer::Rejected(_))) => return refuse(refused),
        Ok(first) => first,
        Err(_) => None,
    };
    let opening = stream::once(std::future::ready(Event::default().retry(RETRY)));
    let events = stream::iter(first).chain(answers).map(|answer| event(&answer));
    let events = opening.chain(events).take_until(sse::cut_off(endpoint, authorization)).map(Ok::<_, Infallible>);
    let headers = [(CACHE_CONTROL, "no-cache"), (HeaderName::from_static("x-accel-buffering"), "no")];
    (headers, Sse::new(events).keep_alive(KeepAlive::new().interval(sse::HEARTBEAT_EVERY))).into_response()
}

fn event(answer: &Answer) -> Event {
    let shown = match answer {
        Answer::Executed(body) => serde_json::from_str::<Payload<'_>>(body).ok().map(|payload| payload.data.dashboard),
        Answer::Rejected(_) => None,
    };
    match shown {
        Some(shown) => Event::default().event("dashboard").id(shown.cursor).data(shown.dashboard.get()),
        // Nothing follows; the client comes back after its last event.
        None => Event::default().event("interrupted").data("{}"),
    }
}

fn refuse(answer: Answer) -> Response {
    let status = match answer.code().as_deref() {
        Some("UNAUTHENTICATED") => StatusCode::UNAUTHORIZED,
        Some("FORBIDDEN") => StatusCode::FORBIDDEN,
        Some("RATE_LIMITED") => StatusCode::TOO_MANY_REQUESTS,
        Some("INTERNAL_SERVER_ERROR") => StatusCode::INTERNAL_SERVER_ERROR,
        _ => StatusCode::BAD_REQUEST,
    };
    (status, [(CONTENT_TYPE, "application/json; charset=utf-8")], answer.into_body()).into_response()
}

/// Answers `POST /events/ticket`.
pub(super) async fn ticket(State(endpoint): State<Endpoint>, headers: HeaderMap) -> Response {
    let authorization = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
    match endpoint.auth.viewer(authorization).await {
        Ok(_) => {}
        Err(AuthError::Token) => return refuse(Answer::rejected(unauthenticated())),
        Err(AuthError::Users(error)) => return refuse(Answer::rejected(internal(&error))),
    }
    match endpoint.auth.ticket(authorization) {
        Ok(ticket) => Json(json!({ "ticket": ticket, "expiresInMs": TICKET_LASTS.as_millis() })).into_response(),
        Err(_) => refuse(Answer::rejected(unauthenticated())),
    }
}
