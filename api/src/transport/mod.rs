//! GraphQL over HTTP, server-sent events, multipart answers and WebSocket, after the specifications: the executor is a
//! library's, what goes over the wire is ours.

mod answer;
mod budget;
mod check;
mod cut_off;
mod dashboard_feed;
mod documents;
mod hollow;
mod http;
mod measure;
mod multipart;
mod negotiation;
mod operation;
mod protocol;
mod running;
mod seats;
mod socket;
mod sse;
mod tokens;
mod variables;
mod websocket;

use std::sync::Arc;

use async_graphql::http::GraphiQLSource;
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::response::Html;
use axum::routing::{get, post};
use tokio_util::sync::CancellationToken;

use budget::Budget;
use check::Checker;
use documents::Documents;
use seats::Seats;

use crate::auth::Auth;
use crate::fanout::Fanout;
use crate::graphql::VoiceSchema;
use crate::limits::Limits;

/// What requests are answered with.
#[derive(Clone)]
pub(crate) struct Endpoint {
    schema: VoiceSchema,
    checker: Arc<Checker>,
    documents: Arc<Documents>,
    budget: Arc<Budget>,
    auth: Arc<Auth>,
    limits: Arc<Limits>,
    fanout: Fanout,
    seats: Seats,
    /// Sockets are closed, to be resumed elsewhere, when it fires.
    shutdown: CancellationToken,
}

impl Endpoint {
    /// An endpoint of a schema in the mode that leaves the rules of the language to the endpoint.
    pub(crate) fn new(schema: VoiceSchema, auth: Auth, limits: Limits, shutdown: CancellationToken) -> Self {
        Self {
            schema,
            checker: Arc::new(Checker::new(&limits)),
            documents: Arc::new(Documents::new(&limits)),
            budget: Arc::new(Budget::new(&limits)),
            auth: Arc::new(auth),
            limits: Arc::new(limits),
            fanout: Fanout::default(),
            seats: Seats::default(),
            shutdown,
        }
    }
}

/// `/graphql` (GET, POST, WebSocket), `/graphiql`, and the dashboard as plain events.
pub(crate) fn router(endpoint: Endpoint) -> Router {
    Router::new()
        .route("/graphql", get(websocket::upgrade_or_get).post(http::post))
        .route("/graphiql", get(graphiql))
        .route("/events/dashboard", get(dashboard_feed::feed))
        .route("/events/ticket", post(dashboard_feed::ticket))
        .layer(DefaultBodyLimit::max(endpoint.limits.body_bytes))
        .with_state(endpoint)
}

async fn graphiql() -> Html<String> {
    Html(GraphiQLSource::build().endpoint("/graphql").subscription_endpoint("/graphql").title("Voice").finish())
}
