//! GraphQL over server-sent events: the distinct connections mode of the `graphql-sse` protocol (PROTOCOL.md of
//! enisdenjo/graphql-sse). One request, one operation, one stream of `next` events and a `complete`.

use std::convert::Infallible;

use async_graphql::parser::types::OperationType;
use axum::http::HeaderMap;
use axum::http::header::{ACCEPT, CACHE_CONTROL, HeaderName};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream::{self, Stream, StreamExt};

use super::cut_off::cut_off;
use super::operation::{Answer, Prepared};
use super::seats::Seat;
use super::{Endpoint, running};
use crate::auth::{Grant, Viewer};

/// Whether the client wants the answer as an event stream.
pub(super) fn is_wanted(headers: &HeaderMap) -> bool {
    let mut ranges = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok()).flat_map(|v| v.split(','));
    // As the first choice only: `text/event-stream` stands last in what some clients send with plain queries.
    ranges.next().is_some_and(|first| first.trim().split(';').next() == Some("text/event-stream"))
}

/// Executes an operation as an event stream. Everything that is wrong with it is told in the stream, because a browser's
/// `EventSource` shows nothing of an answer that is none.
pub(super) fn respond(
    endpoint: &Endpoint,
    prepared: Prepared,
    viewer: Option<&Viewer>,
    grant: Option<Grant>,
    seat: Seat,
) -> Response {
    let once = prepared.kind != OperationType::Subscription;
    let responses = running::answers(endpoint, prepared, viewer);
    // A stream that is cut off ends without `complete`: the client comes back, and learns then what is wrong.
    let told = responses.map(Told::Next).chain(completed()).take_until(cut_off(endpoint.clone(), grant, seat, once));
    stream(told, endpoint)
}

/// Tells as an event stream that nothing is executed.
pub(super) fn refuse(answer: Answer, endpoint: &Endpoint) -> Response {
    stream(stream::once(std::future::ready(Told::Next(answer))).chain(completed()), endpoint)
}

enum Told {
    Next(Answer),
    Complete,
}

fn completed() -> impl Stream<Item = Told> + Send {
    stream::once(std::future::ready(Told::Complete))
}

fn stream(told: impl Stream<Item = Told> + Send + 'static, endpoint: &Endpoint) -> Response {
    let events = told.map(|told| {
        // Also `complete` carries data, if only empty lines: without any, `EventSource` does not report it.
        let (name, data) = match told {
            Told::Next(answer) => ("next", answer.into_body()),
            Told::Complete => ("complete", "\n".to_owned()),
        };
        Event::default().event(name).data(data)
    });
    events_response(events, endpoint)
}

/// Sends events, with a comment after each silence.
pub(super) fn events_response(events: impl Stream<Item = Event> + Send + 'static, endpoint: &Endpoint) -> Response {
    let keep_alive = KeepAlive::new().interval(endpoint.limits.heartbeat_every);
    // Proxies such as nginx would otherwise collect the events before they pass them on.
    let headers = [(CACHE_CONTROL, "no-cache"), (HeaderName::from_static("x-accel-buffering"), "no")];
    (headers, Sse::new(events.map(Ok::<_, Infallible>)).keep_alive(keep_alive)).into_response()
}
