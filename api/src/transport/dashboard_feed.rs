//! `/events/dashboard`: the dashboard as plain server-sent events, for wallboards without a GraphQL client.
//!
//! * `event: dashboard`, `data:` the dashboard as the GraphQL type has it (`Dashboard`), `id:` its cursor.
//! * `?queue=NAME` shows one queue.
//! * Who comes back with the last id (`Last-Event-ID`, which browsers send by themselves, or `?lastEventId=`) is shown
//!   something when something has changed since, and never the same push again.
//! * The token comes as `Authorization: Bearer`. A browser's `EventSource` can't send that: its page asks `POST /events/ticket`
//!   with the token, and gives the ticket as `?ticket=` (see `auth::ticket`).
//!
//! What is wrong before the stream begins is told by the status and a coded error in JSON. A stream that is cut off ends,
//! and the client learns why when it comes back.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::header::{AUTHORIZATION, CACHE_CONTROL};
use axum::http::{Extensions, HeaderMap, StatusCode};
use axum::response::sse::Event;
use axum::response::{IntoResponse, Response};
use futures_util::stream::{self, StreamExt};
use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;

use super::answer::Fault;
use super::cut_off::cut_off;
use super::http::{caller, caller_of, hint, respond};
use super::negotiation::Media;
use super::operation::{Answer, Caller, Refused, prepare_ours};
use super::{Endpoint, running, sse};
use crate::auth::{AuthError, Grant, TICKET_LASTS};
use crate::error::{code, coded, internal, rate_limited, unauthenticated};
use crate::track::Track;

/// What is shown: every field of the dashboard.
const DOCUMENT: &str = "subscription DashboardFeed($queue: String, $after: String) {
  dashboard(queue: $queue, after: $after) {
    cursor
    dashboard {
      at queue day waiting oldestEnqueuedAt longestWaitMs inProgress agents { activity agents } offered answered
      answeredInThreshold abandoned abandonedShort flowOuts abandonmentRate averageSpeedOfAnswerMs
      longestWaitAnsweredMs handled averageHandleTimeMs serviceLevel
    }
  }
}";
/// How long a browser waits before it comes back.
const RETRY: Duration = Duration::from_secs(2);
/// Points that a ticket costs.
const TICKET_POINTS: usize = 1;

/// What may stand in the address.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Parameters {
    queue: Option<String>,
    last_event_id: Option<String>,
    ticket: Option<String>,
}

/// One answer of the subscription.
#[derive(Deserialize)]
struct Pushed<'a> {
    #[serde(borrow)]
    data: Data<'a>,
}

#[derive(Deserialize)]
struct Data<'a> {
    #[serde(borrow)]
    dashboard: Push<'a>,
}

#[derive(Deserialize)]
struct Push<'a> {
    cursor: &'a str,
    #[serde(borrow)]
    dashboard: &'a RawValue,
}

/// Answers `GET /events/dashboard`.
pub(super) async fn feed(
    State(endpoint): State<Endpoint>,
    extensions: Extensions,
    headers: HeaderMap,
    parameters: Result<Query<Parameters>, QueryRejection>,
) -> Response {
    let Query(parameters) = match parameters {
        Ok(parameters) => parameters,
        Err(rejection) => return refused(Answer::rejected(coded(code::BAD_REQUEST, rejection.body_text()))),
    };
    let (caller, grant) = match let_in(&endpoint, &headers, &extensions, parameters.ticket.as_deref()).await {
        Ok(known) => known,
        Err(error) => return turned_away(error),
    };
    // A browser that comes back sends what it saw last, whatever its address says.
    let header = headers.get("last-event-id").map(|value| value.to_str().unwrap_or("?").to_owned());
    let after = header.or(parameters.last_event_id).filter(|id| !id.is_empty());
    let variables = json!({ "queue": parameters.queue, "after": after });
    let prepared = match prepare_ours(&endpoint, json!({ "query": DOCUMENT, "variables": variables }), &caller) {
        Ok(prepared) => prepared,
        Err(Refused::Parameters(message)) => return refused(Answer::rejected(coded(code::BAD_REQUEST, message))),
        Err(Refused::Document(answer)) => return refused(answer),
    };
    let seat = match endpoint.stream_seat(&caller, Media::Json) {
        Ok(seat) => seat,
        Err(refused) => return *refused,
    };
    let track = Arc::new(Track::default());
    let mut answers = running::tracked(&endpoint, prepared, caller.viewer.as_ref(), Arc::clone(&track)).boxed();
    // Who has seen everything is told that the stream is there, and not only when something changes.
    let first = tokio::select! {
        biased;
        first = answers.next() => match first {
            Some(answer @ Answer::Rejected(_)) => return refused(answer),
            first => first,
        },
        () = track.begun() => None,
    };
    // Also this event goes out at once, so that proxies pass the answer on.
    let retry = stream::iter([Event::default().retry(RETRY)]);
    let pushes = stream::iter(first).chain(answers).map(|answer| event(&answer));
    // What can't go on ends: the client comes back with its last id, and is told what is wrong if it still is.
    let pushes = pushes.take_while(|event| std::future::ready(event.is_some())).filter_map(std::future::ready);
    sse::events_response(retry.chain(pushes).take_until(cut_off(endpoint.clone(), Some(grant), seat, false)), &endpoint)
}

/// Answers `POST /events/ticket`.
pub(super) async fn ticket(State(endpoint): State<Endpoint>, extensions: Extensions, headers: HeaderMap) -> Response {
    let (caller, grant) = match let_in(&endpoint, &headers, &extensions, None).await {
        Ok(known) => known,
        Err(error) => return turned_away(error),
    };
    if let Err(wait) = endpoint.budget.spend(caller.purse(), TICKET_POINTS) {
        return refused(Answer::rejected_as(Fault::RateLimited(wait), rate_limited(wait)));
    }
    let expires_in_ms = u64::try_from(TICKET_LASTS.as_millis()).unwrap_or(u64::MAX);
    let body = json!({ "ticket": endpoint.auth.ticket(&grant), "expiresInMs": expires_in_ms });
    ([(CACHE_CONTROL, "no-store")], Json(body)).into_response()
}

/// Who asks, by the token or else by the ticket; nobody is not let in.
async fn let_in(
    endpoint: &Endpoint,
    headers: &HeaderMap,
    extensions: &Extensions,
    ticket: Option<&str>,
) -> Result<(Caller, Grant), AuthError> {
    let (caller, grant) = match ticket {
        Some(ticket) if !headers.contains_key(AUTHORIZATION) => {
            let grant = endpoint.auth.redeem(ticket)?;
            caller_of(endpoint, Some(grant), headers, extensions).await?
        }
        _ => caller(endpoint, headers, extensions).await?,
    };
    grant.map(|grant| (caller, grant)).ok_or(AuthError::Token)
}

fn event(answer: &Answer) -> Option<Event> {
    let Answer::Executed { body, .. } = answer else { return None };
    // Everything is asked for without an alias by our own document; an answer with errors in it has no such data.
    let push = serde_json::from_str::<Pushed<'_>>(body).ok()?.data.dashboard;
    Some(Event::default().event("dashboard").id(push.cursor).data(push.dashboard.get()))
}

fn turned_away(error: AuthError) -> Response {
    refused(Answer::rejected(match error {
        AuthError::Token => unauthenticated(),
        AuthError::Users(error) => internal(&error),
    }))
}

/// What nothing came of, with the status that says so to who reads nothing else.
fn refused(answer: Answer) -> Response {
    let Answer::Rejected(rejection) = &answer else { return StatusCode::INTERNAL_SERVER_ERROR.into_response() };
    let fault = rejection.fault;
    let status = match answer.code().as_deref() {
        Some(code::UNAUTHENTICATED) => StatusCode::UNAUTHORIZED,
        Some(code::FORBIDDEN) => StatusCode::FORBIDDEN,
        Some(code::RATE_LIMITED) => StatusCode::TOO_MANY_REQUESTS,
        Some(code::UNAVAILABLE) => StatusCode::SERVICE_UNAVAILABLE,
        Some(code::INTERNAL) => StatusCode::INTERNAL_SERVER_ERROR,
        _ => StatusCode::BAD_REQUEST,
    };
    let mut response = respond(Media::Json, status, answer);
    hint(&mut response, fault);
    response
}
