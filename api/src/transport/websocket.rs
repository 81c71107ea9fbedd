//! The way a socket comes to be: upgrade, subprotocol, handing over to `socket`.

use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::{Query, State, WebSocketUpgrade};
use axum::http::header::AUTHORIZATION;
use axum::http::{Extensions, HeaderMap};
use axum::response::{IntoResponse, Response};
use std::collections::BTreeMap;

use super::negotiation::Media;
use super::operation::Caller;
use super::protocol::SUBPROTOCOL;
use super::{Endpoint, admission, http, origin, socket};
use crate::graphql::TraceParent;

/// What is read from a socket at once, in bytes: allocated for each socket, and most of what clients say is short.
const READ_BYTES: usize = 2 * 1024;

/// A message of so many times the limit is not even read to its end, and the connection is cut; one between the two is
/// refused with a code that tells the client not to send it again.
const HARD_FACTOR: usize = 4;

/// GET is a query, unless it asks for a WebSocket.
pub(super) async fn upgrade_or_get(
    State(endpoint): State<Endpoint>,
    extensions: Extensions,
    headers: HeaderMap,
    parameters: Query<BTreeMap<String, String>>,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Response {
    let upgrade = match upgrade {
        Ok(upgrade) => upgrade,
        Err(rejection) if is_asked_for(&headers) => return rejection.into_response(),
        Err(_) => return http::get(State(endpoint), extensions, headers, parameters).await,
    };
    if !origin::may_connect(&headers, &endpoint.policy.origins) {
        return origin::refused();
    }
    let Some(place) = endpoint.admission.socket() else { return admission::refuse(Media::Json) };
    let header = |name| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let authorization = header(AUTHORIZATION.as_str());
    let address = http::address(&extensions);
    let trace = header("traceparent").as_deref().and_then(TraceParent::parse);
    let held = (place, endpoint.open.token());
    let hard_bytes = endpoint.limits.message_bytes.saturating_mul(HARD_FACTOR);
    upgrade
        .read_buffer_size(READ_BYTES)
        .max_message_size(hard_bytes)
        .max_frame_size(hard_bytes)
        .protocols([SUBPROTOCOL])
        .on_upgrade(async move |socket| {
            let _held = held;
            socket::serve(socket, endpoint, authorization, Caller { viewer: None, address, trace }).await;
        })
}

/// Whether a request asks for a WebSocket.
pub(super) fn is_asked_for(headers: &HeaderMap) -> bool {
    headers.get("upgrade").is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"websocket"))
}
