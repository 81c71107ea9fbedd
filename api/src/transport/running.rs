//! An operation that runs: its answers go into its lane, and a subscription that has caught up joins its equals.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use async_graphql::Response;
use async_graphql::parser::types::OperationType;
use futures_util::stream::{self, BoxStream, Stream, StreamExt};

use super::admission::Place;
use super::complete::Finish;
use super::operation::{Answer, Prepared, execute, panicked};
use super::{Endpoint, admission};
use crate::auth::Viewer;
use crate::error::{code, coded};
use crate::fanout::{Ending, Frame, Lane, Newcomer, Out, Outbox, Source};
use crate::track::{Shown, Track};

/// Runs an operation that shares its connection with others, if this node takes it on; its answers go into the lane, and
/// it is cut off when the lane ends.
pub(super) fn run(endpoint: &Endpoint, prepared: Prepared, viewer: Option<&Viewer>, lane: &Lane) {
    let place = if prepared.kind == OperationType::Subscription {
        endpoint.admission.subscription()
    } else {
        lane.answers_once();
        endpoint.admission.request()
    };
    match place {
        Some(place) => track(endpoint, prepared, viewer, lane, (Arc::default(), Some(place))),
        None => lane.finish(Ending::Errors(admission::refusal().into_errors())),
    }
}

fn track(
    endpoint: &Endpoint,
    prepared: Prepared,
    viewer: Option<&Viewer>,
    lane: &Lane,
    (track, place): (Arc<Track>, Option<Place>),
) {
    let (filled, endpoint) = (lane.clone(), endpoint.clone());
    if prepared.kind == OperationType::Subscription {
        let equals = prepared.equals(viewer);
        if let Some(place) = place {
            lane.hold(place);
        }
        let newcomer = Newcomer { equals, begun: Arc::clone(&track), lane: filled };
        let fanout = endpoint.fanout.clone();
        // Made when it is its turn, for what the executor keeps of an operation is large.
        let source = move || {
            let finish = Arc::clone(&prepared.finish);
            let responses = endpoint.schema.execute_stream(prepared.into_request().data(Arc::clone(&track)));
            Source::new(frames(responses, Arc::clone(&track), finish), track)
        };
        lane.spawn(newcomer.subscribe(fanout, source));
    } else {
        lane.spawn(async move {
            let answer = execute(&endpoint, prepared).await;
            // What was answered waits for its client at that one's own expense.
            drop(place);
            match answer {
                Answer::Rejected(errors) => filled.finish(Ending::Errors(errors.into())),
                Answer::Executed { body, .. } => {
                    filled.push(Arc::new(Frame { body, shown: Shown::default() })).await;
                    filled.finish(Ending::Complete);
                }
            }
        });
    }
}

/// The frames of a subscription; errors end it.
fn frames(
    responses: BoxStream<'static, Response>,
    track: Arc<Track>,
    finish: Arc<Finish>,
) -> BoxStream<'static, Result<Frame, String>> {
    let mut first = true;
    let frame = move |mut response: Response| {
        // An event stream that could not be made has answered once, for its field, and is an operation not executed.
        let no_stream = matches!(response.data, async_graphql::Value::Null) && !response.errors.is_empty();
        let unexecuted = std::mem::take(&mut first) && no_stream;
        if !unexecuted {
            finish.apply(&mut response);
        }
        match if unexecuted { Answer::unexecuted(response) } else { Answer::of(response) } {
            Answer::Rejected(errors) => Err(errors.into()),
            Answer::Executed { body, .. } => Ok(Frame { body, shown: track.shown() }),
        }
    };
    // What a resolver that panicked has left behind is its own, and nothing is asked of it any more.
    let frames = AssertUnwindSafe(responses.map(frame)).catch_unwind();
    frames.map(|caught| caught.unwrap_or_else(|_| Err(panicked().into_errors()))).boxed()
}

/// The answers of an operation as a stream, for transports that carry one operation a connection.
pub(super) fn answers(
    endpoint: &Endpoint,
    prepared: Prepared,
    viewer: Option<&Viewer>,
) -> impl Stream<Item = Answer> + Send + 'static {
    tracked(endpoint, prepared, viewer, Arc::default())
}

/// The same, and on the track whether it has begun.
pub(super) fn tracked(
    endpoint: &Endpoint,
    prepared: Prepared,
    viewer: Option<&Viewer>,
    told: Arc<Track>,
) -> impl Stream<Item = Answer> + Send + 'static {
    let outbox = Outbox::new(endpoint.limits.queue_bytes);
    if let Ok(lane) = outbox.begin("", 1) {
        track(endpoint, prepared, viewer, &lane, (told, None));
    }
    stream::unfold(Some(Open(outbox)), async |open| {
        let open = open?;
        // One at a time: what is not taken yet can still be replaced by something newer.
        match open.0.take(1).await.into_iter().next()? {
            Out::Next(_, frame) => Some((Answer::Executed { body: frame.body.clone(), partial: false }, Some(open))),
            Out::Last(_, Ending::Errors(errors)) => Some((Answer::rejection(errors), None)),
            Out::Last(_, Ending::TooSlow) => Some((too_slow(), None)),
            Out::Last(_, Ending::Complete) | Out::Control(_) => None,
        }
    })
}

/// An outbox whose operation ends with whoever takes from it.
struct Open(Arc<Outbox>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// What a client is told that takes too slowly.
pub(super) fn too_slow() -> Answer {
    let message = "this client takes too slowly; nothing is lost: go on after the last cursor";
    Answer::rejected(coded(code::SLOW_CONSUMER, message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_stream_that_panics_ends_with_an_error_that_says_nothing_of_it() {
        let mut left = 1;
        let broken = stream::poll_fn(move |_| {
            assert!(left > 0, "secret");
            left -= 1;
            std::task::Poll::Ready(Some(Response::new(async_graphql::Value::from(true))))
        });
        let frames: Vec<_> =
            frames(broken.boxed(), Arc::default(), Arc::new(Finish::nothing())).take(2).collect().await;
        assert!(frames[0].as_ref().is_ok_and(|frame| frame.body.contains("true")));
        assert!(frames[1].as_ref().is_err_and(|e| e.contains("INTERNAL_SERVER_ERROR") && !e.contains("secret")));
    }
}
