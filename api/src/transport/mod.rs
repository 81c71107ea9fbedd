//! GraphQL over HTTP, server-sent events and WebSocket, after the specifications: the executor is a library's, what goes over the wire is ours.

mod http;
mod negotiation;
mod operation;
mod protocol;
mod running;
mod seats;
mod socket;
mod sse;
mod websocket;

use std::sync::Arc;

use async_graphql::http::GraphiQLSource;
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::response::Html;
use axum::routing::get;
use tokio_util::sync::CancellationToken;

pub(crate) use seats::Seats;

use crate::auth::Auth;
use crate::fanout::Fanout;
use crate::graphql::VoiceSchema;
use crate::limits::Limits;

/// What requests are answered with.
#[derive(Clone)]
pub(crate) struct Endpoint {
    pub(crate) schema: VoiceSchema,
    pub(crate) auth: Arc<Auth>,
    pub(crate) limits: Arc<Limits>,
    pub(crate) fanout: Fanout,
    pub(crate) seats: Seats,
    /// Sockets are closed, to be resumed elsewhere, when it fires.
    pub(crate) shutdown: CancellationToken,
}

/// `/graphql` (GET, POST, WebSocket) and `/graphiql`.
pub(crate) fn router(endpoint: Endpoint) -> Router {
    Router::new()
        .route("/graphql", get(websocket::upgrade_or_get).post(http::post))
        .route("/graphiql", get(graphiql))
        .layer(DefaultBodyLimit::max(endpoint.limits.body_bytes))
        .with_state(endpoint)
}

async fn graphiql() -> Html<String> {
    Html(GraphiQLSource::build().endpoint("/graphql").subscription_endpoint("/graphql").title("Voice").finish())
}
