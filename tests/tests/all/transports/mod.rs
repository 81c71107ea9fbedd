//! The transports, sentence by sentence of their protocols, spoken by hand.

mod streams;
mod websocket;
mod websocket_bounds;
mod wire;
