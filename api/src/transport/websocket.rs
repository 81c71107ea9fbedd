//! GraphQL over WebSocket, subprotocol `graphql-transport-ws`.
//!
//! The token comes with `connection_init`, because browsers can't send headers with a WebSocket; a header is taken as
//! well, from clients that can.

use async_graphql::Data;
use async_graphql::http::ALL_WEBSOCKET_PROTOCOLS;
use async_graphql_axum::{GraphQLProtocol, GraphQLWebSocket};
use axum::extract::{State, WebSocketUpgrade};
use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use axum::response::Response;
use serde_json::Value;

use super::Endpoint;
use crate::auth::AuthError;
use crate::error::{internal, unauthenticated};

/// Largest message from a client, in bytes.
const MESSAGE_BYTES_MAX: usize = 64 * 1024;

/// Takes a socket over.
pub(super) async fn upgrade(
    State(endpoint): State<Endpoint>,
    protocol: GraphQLProtocol,
    headers: HeaderMap,
    upgrade: WebSocketUpgrade,
) -> Response {
    let header = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()).map(str::to_owned);
    upgrade
        .max_message_size(MESSAGE_BYTES_MAX)
        .max_frame_size(MESSAGE_BYTES_MAX)
        .protocols(ALL_WEBSOCKET_PROTOCOLS)
        .on_upgrade(move |socket| async move {
            let auth = endpoint.auth.clone();
            let init = move |payload: Value| async move {
                let given = ["authorization", "Authorization"].iter().find_map(|key| payload[key].as_str());
                let authorization = given.map(str::to_owned).or(header);
                let mut data = Data::default();
                if let Some(authorization) = authorization {
                    match auth.viewer(&authorization).await {
                        Ok(viewer) => drop(data.insert(viewer)),
                        Err(AuthError::Token) => return Err(unauthenticated()),
                        Err(AuthError::Users(error)) => return Err(internal(&error)),
                    }
                }
                Ok(data)
            };
            GraphQLWebSocket::new(socket, endpoint.schema, protocol).on_connection_init(init).serve().await;
        })
}
