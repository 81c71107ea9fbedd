//! Subscriptions over multipart HTTP, as Apollo's clients ask for them
//! (https://www.apollographql.com/docs/graphos/routing/operations/subscriptions/multipart-protocol).

use std::convert::Infallible;
use std::time::Duration;

use axum::body::Body;
use axum::http::HeaderMap;
use axum::http::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE, HeaderName};
use axum::response::{IntoResponse, Response};
use futures_util::stream::{self, Stream, StreamExt};
use tokio::time::{Interval, MissedTickBehavior, interval};

use super::Endpoint;
use super::operation::{Answer, Prepared};
use super::{running, sse};
use crate::auth::Viewer;

/// An empty part is sent after this silence; the protocol's own servers send one every five seconds.
const HEARTBEAT_EVERY: Duration = Duration::from_secs(5);

/// Whether the client takes a subscription in this form.
pub(super) fn is_wanted(headers: &HeaderMap) -> bool {
    let ranges = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok()).flat_map(|v| v.split(','));
    ranges.into_iter().any(|range| {
        let mut parts = range.split(';').map(str::trim);
        parts.next().is_some_and(|media| media.eq_ignore_ascii_case("multipart/mixed"))
            && parts.any(|part| {
                let (name, value) = part.split_once('=').unwrap_or_default();
                name.trim().eq_ignore_ascii_case("subscriptionSpec") && value.trim().trim_matches('"') == "1.0"
            })
    })
}

/// Executes a subscription part by part.
pub(super) fn respond(
    endpoint: &Endpoint,
    prepared: Prepared,
    viewer: Option<&Viewer>,
    authorization: Option<String>,
) -> Response {
    let answers = running::answers(endpoint, prepared, viewer);
    // What is cut off has no closing boundary: the client sees that it was, and comes back.
    let cut_off = sse::cut_off(endpoint.clone(), authorization);
    let parts = parts(answers.boxed()).take_until(cut_off).map(Ok::<_, Infallible>);
    let headers = [
        (CONTENT_TYPE, "multipart/mixed; boundary=graphql; subscriptionSpec=1.0"),
        (CACHE_CONTROL, "no-cache"),
        (HeaderName::from_static("x-accel-buffering"), "no"),
    ];
    (headers, Body::from_stream(parts)).into_response()
}

/// A part ends with the boundary of the next one, because clients take it only then.
fn part(body: &str) -> String {
    format!("\r\ncontent-type: application/json\r\n\r\n{body}\r\n--graphql")
}

fn parts(answers: stream::BoxStream<'static, Answer>) -> impl Stream<Item = String> + Send {
    let mut heartbeats = interval(HEARTBEAT_EVERY);
    heartbeats.set_missed_tick_behavior(MissedTickBehavior::Delay);
    heartbeats.reset();
    let first = stream::once(std::future::ready("\r\n--graphql".to_owned()));
    first.chain(stream::unfold(Some((answers, heartbeats)), next_part))
}

type Open = (stream::BoxStream<'static, Answer>, Interval);

async fn next_part(open: Option<Open>) -> Option<(String, Option<Open>)> {
    let (mut answers, mut heartbeats) = open?;
    let answer = tokio::select! {
        biased;
        answer = answers.next() => answer,
        _ = heartbeats.tick() => return Some((part("{}"), Some((answers, heartbeats)))),
    };
    heartbeats.reset();
    Some(match answer {
        Some(Answer::Executed(body)) => (part(&format!("{{\"payload\":{body}}}")), Some((answers, heartbeats))),
        // Nothing follows what the transport itself has to say.
        Some(rejected @ Answer::Rejected(_)) => {
            let errors = rejected.into_errors();
            (part(&format!("{{\"payload\":null,\"errors\":{errors}}}")) + "--\r\n", None)
        }
        None => ("--\r\n".to_owned(), None),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    #[test]
    fn is_recognised_in_every_way_it_is_asked_for() {
        for (accept, wanted) in [
            ("multipart/mixed;boundary=graphql;subscriptionSpec=1.0,application/json;q=0.9", true),
            ("application/json, multipart/mixed; boundary=\"graphql\"; subscriptionSpec=\"1.0\"", true),
            ("multipart/mixed", false),
            ("multipart/mixed;deferSpec=20220824", false),
            ("application/json;subscriptionSpec=1.0", false),
        ] {
            let headers = HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static(accept))]);
            assert_eq!(is_wanted(&headers), wanted, "{accept}");
        }
    }
}
