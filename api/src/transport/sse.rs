//! GraphQL over server-sent events: the distinct connections mode of the `graphql-sse` protocol (PROTOCOL.md of
//! enisdenjo/graphql-sse). One request, one operation, one stream of `next` events and a `complete`.

use std::convert::Infallible;
use std::time::Duration;

use axum::http::HeaderMap;
use axum::http::header::{ACCEPT, CACHE_CONTROL, HeaderName};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream::{self, Stream, StreamExt};

use super::Endpoint;
use super::operation::{Answer, Prepared};
use super::running;
use crate::auth::{AuthError, Viewer};

/// A comment is sent after this silence, so that proxies keep the connection and a client that has gone is noticed.
pub(super) const HEARTBEAT_EVERY: Duration = Duration::from_secs(12);

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
    authorization: Option<String>,
) -> Response {
    let responses = running::answers(endpoint, prepared, viewer);
    // A stream that is cut off ends without `complete`: the client comes back, and learns then what is wrong.
    stream(responses.map(Told::Next).chain(completed()).take_until(cut_off(endpoint.clone(), authorization)))
}

/// Ends at shutdown, and when the token has expired, the account was closed or its rights were changed. A database that
/// does not answer is no reason to send anybody away.
pub(super) async fn cut_off(endpoint: Endpoint, authorization: Option<String>) {
    let revoked = async {
        let Some(authorization) = authorization else { return std::future::pending().await };
        loop {
            tokio::time::sleep(endpoint.limits.recheck_every).await;
            if matches!(endpoint.auth.viewer(&authorization).await, Err(AuthError::Token)) {
                return;
            }
        }
    };
    tokio::select! {
        () = revoked => {}
        () = endpoint.shutdown.cancelled() => {}
    }
}

/// Tells as an event stream that nothing is executed.
pub(super) fn refuse(answer: Answer) -> Response {
    stream(stream::once(std::future::ready(Told::Next(answer))).chain(completed()))
}

enum Told {
    Next(Answer),
    Complete,
}

fn completed() -> impl Stream<Item = Told> + Send {
    stream::once(std::future::ready(Told::Complete))
}

fn stream(told: impl Stream<Item = Told> + Send + 'static) -> Response {
    let events = told.map(|told| {
        // Also `complete` carries data, if only empty lines: without any, `EventSource` does not report it.
        let (name, data) = match told {
            Told::Next(answer) => ("next", answer.into_body()),
            Told::Complete => ("complete", "\n".to_owned()),
        };
        Ok::<_, Infallible>(Event::default().event(name).data(data))
    });
    let keep_alive = KeepAlive::new().interval(HEARTBEAT_EVERY);
    // Proxies such as nginx would otherwise collect the events before they pass them on.
    let headers = [(CACHE_CONTROL, "no-cache"), (HeaderName::from_static("x-accel-buffering"), "no")];
    (headers, Sse::new(events).keep_alive(keep_alive)).into_response()
}
