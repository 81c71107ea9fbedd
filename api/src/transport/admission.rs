//! What this node takes on at a time, whoever asks. Who comes when everything is taken is refused at once, with a hint when
//! to come back: whether somebody is let in is decided before anything is read, looked up or waited for.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::Response;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::answer::{Answer, Fault};
use super::negotiation::Media;
use super::{Endpoint, http, websocket};
use crate::error::{OVERLOADED_RETRY, going_away, overloaded};
use crate::limits::Limits;

/// How much longer than what is executed the rest of a request may take when this node goes away.
const AROUND_EXECUTION: Duration = Duration::from_millis(500);

/// A place among those that are taken; free when dropped.
pub(super) type Place = OwnedSemaphorePermit;

/// The places of this node.
pub(super) struct Admission {
    /// For requests over HTTP from their first byte to their answer, and for queries and mutations on sockets.
    requests: Arc<Semaphore>,
    /// For subscriptions, and for whatever else is answered as a stream.
    subscriptions: Arc<Semaphore>,
    /// For sockets, whether or not anything runs on them.
    sockets: Arc<Semaphore>,
}

impl Admission {
    pub(super) fn new(limits: &Limits) -> Self {
        let places = |count: usize| Arc::new(Semaphore::new(count.min(Semaphore::MAX_PERMITS)));
        Self {
            requests: places(limits.requests),
            subscriptions: places(limits.subscriptions),
            sockets: places(limits.sockets),
        }
    }

    pub(super) fn request(&self) -> Option<Place> {
        Arc::clone(&self.requests).try_acquire_owned().ok()
    }

    pub(super) fn subscription(&self) -> Option<Place> {
        Arc::clone(&self.subscriptions).try_acquire_owned().ok()
    }

    pub(super) fn socket(&self) -> Option<Place> {
        Arc::clone(&self.sockets).try_acquire_owned().ok()
    }
}

impl Endpoint {
    /// Waits until this node goes away and what was begun has had its time.
    pub(super) async fn out_of_time(&self) {
        self.shutdown.cancelled().await;
        tokio::time::sleep(self.limits.drain_time).await;
    }

    /// The same for what is around the execution, such as finding out who asks.
    pub(super) async fn long_out_of_time(&self) {
        self.out_of_time().await;
        tokio::time::sleep(AROUND_EXECUTION).await;
    }
}

/// Lets a request in, or refuses it. Sockets have places of their own.
pub(super) async fn admit(State(endpoint): State<Endpoint>, request: Request, next: Next) -> Response {
    if websocket::is_asked_for(request.headers()) {
        return next.run(request).await;
    }
    let media = http::accepted(request.headers(), &endpoint).unwrap_or(Media::Json);
    let Some(_place) = endpoint.admission.request() else { return refuse(media) };
    tokio::select! {
        response = next.run(request) => response,
        () = endpoint.long_out_of_time() => http::failed(media, going_away(false)),
    }
}

/// Refuses over HTTP for want of places.
pub(super) fn refuse(media: Media) -> Response {
    http::failed(media, overloaded())
}

/// What is said on a socket for want of places.
pub(super) fn refusal() -> Answer {
    Answer::rejected_as(Fault::Unavailable(OVERLOADED_RETRY), overloaded())
}

/// The status of every such refusal over HTTP.
pub(super) const STATUS: StatusCode = StatusCode::SERVICE_UNAVAILABLE;
