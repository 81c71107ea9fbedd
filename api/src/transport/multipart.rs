//! Subscriptions as multipart answers over HTTP, in Apollo's form
//! (https://www.apollographql.com/docs/graphos/routing/operations/subscriptions/multipart-protocol).
//!
//! One request, one subscription, one answer of many parts:
//!
//! * `{"payload": {"data": ...}}`: a result. Errors of the operation stand in the payload, as in any GraphQL answer.
//! * `{}`: a sign of life.
//! * `{"payload": null, "errors": [...]}`: this transport can't go on, whatever the operation would have to say.
//!
//! Each part is sent with the boundary behind it, because a client takes a part for whole only when it sees that.

use std::convert::Infallible;

use async_graphql::parser::types::OperationType;
use axum::body::Body;
use axum::http::HeaderMap;
use axum::http::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE, HeaderName};
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use futures_util::stream::{self, BoxStream, StreamExt};
use tokio::time::{Interval, MissedTickBehavior, interval};

use super::answer::Fault;
use super::cut_off::{CutOff, cut_off};
use super::operation::{Answer, Prepared};
use super::seats::Seat;
use super::{Endpoint, running};
use crate::auth::{Grant, Viewer};
use crate::error::{unauthenticated, unavailable};

/// What answers are sent as. The boundary is the server's choice; clients have come to expect this one.
const MEDIA_TYPE: &str = "multipart/mixed;boundary=\"graphql\";subscriptionSpec=\"1.0\"";
const BOUNDARY: &str = "\r\n--graphql";
/// Hint for a client whose node goes away, in milliseconds.
const RETRY_AFTER_MS: u32 = 500;

/// Whether the client takes subscriptions as multipart answers: `multipart/mixed` with `subscriptionSpec=1.0`, the value in
/// quotes or not, wherever it stands among what it takes.
pub(super) fn is_taken(headers: &HeaderMap) -> bool {
    let ranges = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok()).flat_map(|v| v.split(','));
    ranges.into_iter().any(|range| {
        let mut parts = range.split(';').map(str::trim);
        if !parts.next().is_some_and(|media| media.eq_ignore_ascii_case("multipart/mixed")) {
            return false;
        }
        let (mut specified, mut refused) = (false, false);
        for (name, value) in parts.filter_map(|part| part.split_once('=')) {
            match name.trim().to_ascii_lowercase().as_str() {
                "subscriptionspec" => specified = value.trim().trim_matches('"') == "1.0",
                "q" => refused = value.trim().parse() == Ok(0.0),
                _ => {}
            }
        }
        specified && !refused
    })
}

/// Whether an operation is answered so: subscriptions are, everything else has one answer and is sent as JSON.
pub(super) fn is_meant(headers: &HeaderMap, prepared: &Prepared) -> bool {
    prepared.kind == OperationType::Subscription && is_taken(headers)
}

/// Executes a subscription as a multipart answer.
pub(super) fn respond(
    endpoint: &Endpoint,
    prepared: Prepared,
    viewer: Option<&Viewer>,
    grant: Option<Grant>,
    seat: Seat,
) -> Response {
    let mut heartbeat = interval(endpoint.limits.heartbeat_every);
    heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let parts = Parts {
        answers: running::answers(endpoint, prepared, viewer).boxed(),
        cut_off: cut_off(endpoint.clone(), grant, seat, false).boxed(),
        heartbeat,
        next: Next::Begin,
    };
    let body = Body::from_stream(parts.stream());
    // Proxies such as nginx would otherwise collect the parts before they pass them on.
    let headers =
        [(CONTENT_TYPE, MEDIA_TYPE), (CACHE_CONTROL, "no-cache"), (HeaderName::from_static("x-accel-buffering"), "no")];
    (headers, body).into_response()
}

struct Parts {
    answers: BoxStream<'static, Answer>,
    cut_off: BoxFuture<'static, CutOff>,
    heartbeat: Interval,
    next: Next,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Next {
    /// The first boundary, and a sign of life so that proxies pass the answer on.
    Begin,
    Part,
    /// The boundary that ends the answer.
    End,
    Nothing,
}

impl Parts {
    fn stream(self) -> impl stream::Stream<Item = Result<String, Infallible>> + Send {
        stream::unfold(self, async |mut parts| Some((Ok(parts.take().await?), parts)))
    }

    async fn take(&mut self) -> Option<String> {
        match self.next {
            Next::Begin => {
                self.next = Next::Part;
                self.heartbeat.reset();
                Some(format!("{BOUNDARY}{}", part("{}")))
            }
            Next::Part => Some(self.part().await),
            Next::End => {
                self.next = Next::Nothing;
                Some("--\r\n".to_owned())
            }
            Next::Nothing => None,
        }
    }

    async fn part(&mut self) -> String {
        let answer = tokio::select! {
            why = &mut self.cut_off => {
                self.next = Next::End;
                return broken_off(reason(why));
            }
            answer = self.answers.next() => answer,
            _ = self.heartbeat.tick() => return part("{}"),
        };
        self.heartbeat.reset();
        match answer {
            Some(answer) if is_of_the_transport(&answer) => {
                self.next = Next::End;
                broken_off(answer)
            }
            Some(answer) => part(&format!("{{\"payload\":{}}}", answer.into_body())),
            None => {
                self.next = Next::Nothing;
                "--\r\n".to_owned()
            }
        }
    }
}

/// A part, with the boundary behind it.
fn part(json: &str) -> String {
    format!("\r\ncontent-type: application/json\r\n\r\n{json}{BOUNDARY}")
}

fn broken_off(answer: Answer) -> String {
    part(&format!("{{\"payload\":null,\"errors\":{}}}", answer.into_errors()))
}

fn is_of_the_transport(answer: &Answer) -> bool {
    matches!(answer, Answer::Rejected(rejection) if rejection.fault == Fault::TooSlow)
}

fn reason(why: CutOff) -> Answer {
    Answer::rejected(match why {
        CutOff::Revoked => unauthenticated(),
        CutOff::Shutdown => {
            let message = "this node is going away; nothing is lost: come back with the last cursor";
            unavailable("SHUTTING_DOWN", message, RETRY_AFTER_MS)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    #[test]
    fn takes_every_way_of_asking_and_nothing_else() {
        let apollo = "multipart/mixed;boundary=graphql;subscriptionSpec=1.0,application/graphql-response+json,\
                      application/json;q=0.9";
        for (accept, expected) in [
            ("multipart/mixed;boundary=\"graphql\";subscriptionSpec=\"1.0\"", true),
            (apollo, true),
            ("application/json, Multipart/Mixed; SubscriptionSpec=1.0", true),
            ("multipart/mixed; subscriptionSpec=1.0; q=0.5", true),
            ("multipart/mixed; subscriptionSpec=1.0; q=0", false),
            ("multipart/mixed;deferSpec=20220824", false),
            ("multipart/mixed;subscriptionSpec=2.0", false),
            ("text/event-stream, multipart/mixed", false),
            ("application/json;subscriptionSpec=1.0", false),
            ("*/*", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT, HeaderValue::from_str(accept).unwrap_or(HeaderValue::from_static("")));
            assert_eq!(is_taken(&headers), expected, "{accept}");
        }
    }
}
