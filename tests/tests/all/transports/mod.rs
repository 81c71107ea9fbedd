//! The transports, sentence by sentence of their protocols, spoken by hand.

mod dashboard_feed;
mod expiry;
mod http;
mod http_stream;
mod multipart;
mod sse;
mod websocket;
mod websocket_bounds;
mod wire;
