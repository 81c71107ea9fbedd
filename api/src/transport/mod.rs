//! GraphQL over HTTP, server-sent events, multipart answers and WebSocket, after the specifications: the executor is a
//! library's, what goes over the wire is ours.

mod admission;
mod answer;
mod batch;
mod budget;
mod check;
mod complete;
mod cut_off;
mod dashboard_feed;
mod documents;
mod hollow;
mod http;
mod json;
mod measure;
mod multipart;
mod negotiation;
mod operation;
mod origin;
mod protocol;
mod running;
mod seats;
mod shapes;
mod socket;
mod sse;
mod status;
mod tokens;
mod trusted;
mod variables;
mod websocket;

use std::sync::Arc;

use async_graphql::http::GraphiQLSource;
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::{from_fn_with_state, map_response};
use axum::response::{Html, Response};
use axum::routing::{get, post};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use admission::Admission;
use budget::Budget;
use check::Checker;
use documents::Documents;
pub(crate) use hollow::MARK;
use negotiation::Media;
use operation::Caller;
use seats::{Seat, Seats};
use shapes::Shapes;
pub use trusted::{ManifestError, TrustedDocuments};

use crate::auth::Auth;
use crate::fanout::Fanout;
use crate::graphql::VoiceSchema;
use crate::limits::Limits;
use crate::policy::Policy;

/// What requests are answered with.
#[derive(Clone)]
pub(crate) struct Endpoint {
    schema: VoiceSchema,
    checker: Arc<Checker>,
    shapes: Arc<Shapes>,
    documents: Arc<Documents>,
    budget: Arc<Budget>,
    auth: Arc<Auth>,
    limits: Arc<Limits>,
    policy: Arc<Policy>,
    fanout: Fanout,
    admission: Arc<Admission>,
    /// Sockets of each viewer.
    seats: Seats,
    /// Event streams and multipart answers of each viewer.
    streams: Seats,
    /// Sockets are closed, to be resumed elsewhere, when it fires.
    shutdown: CancellationToken,
    /// Sockets that are open.
    open: TaskTracker,
}

impl Endpoint {
    /// An endpoint of a schema in the mode that leaves the rules of the language to the endpoint.
    pub(crate) fn new(
        schema: VoiceSchema,
        auth: Auth,
        limits: Limits,
        policy: Policy,
        (shutdown, open): (CancellationToken, TaskTracker),
    ) -> Self {
        Self {
            shapes: Arc::new(Shapes::of(&schema.sdl())),
            schema,
            checker: Arc::new(Checker::new(&limits, !policy.production)),
            documents: Arc::new(Documents::new(&limits)),
            budget: Arc::new(Budget::new(&limits)),
            admission: Arc::new(Admission::new(&limits)),
            auth: Arc::new(auth),
            limits: Arc::new(limits),
            policy: Arc::new(policy),
            fanout: Fanout::default(),
            seats: Seats::default(),
            streams: Seats::default(),
            shutdown,
            open,
        }
    }

    /// A seat for another stream of a caller, or what is answered for want of one.
    fn stream_seat(&self, caller: &Caller, media: Media) -> Result<Seat, Box<Response>> {
        let viewer = caller.viewer.as_ref().map(|viewer| viewer.user.id);
        let seat = self.streams.take(viewer, self.limits.streams_per_viewer);
        let seat = seat.ok_or_else(|| http::too_many_streams(media, self))?;
        let place = self.admission.subscription().ok_or_else(|| admission::refuse(media))?;
        Ok(seat.with(place))
    }
}

/// `/graphql` (GET, POST, WebSocket), `/graphiql` unless in production, and the dashboard as plain events.
pub(crate) fn router(endpoint: Endpoint) -> Router {
    let mut router = Router::new()
        .route("/graphql", get(websocket::upgrade_or_get).post(http::post))
        .route("/events/dashboard", get(dashboard_feed::feed))
        .route("/events/ticket", post(dashboard_feed::ticket))
        .layer(from_fn_with_state(endpoint.clone(), admission::admit))
        .layer(map_response(origin::harmless))
        .layer(DefaultBodyLimit::max(endpoint.limits.body_bytes))
        .layer(origin::shared(&endpoint.policy.origins));
    if !endpoint.policy.production {
        router = router.route("/graphiql", get(graphiql));
    }
    router.with_state(endpoint)
}

async fn graphiql() -> Html<String> {
    Html(GraphiQLSource::build().endpoint("/graphql").subscription_endpoint("/graphql").title("Voice").finish())
}
