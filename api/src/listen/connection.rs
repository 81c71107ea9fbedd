//! A connection that counts, and one that is not let in.

use std::io::{IoSlice, Result};
use std::pin::Pin;
use std::task::{Context, Poll};

use serde_json::json;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;

use crate::error::{OVERLOADED_RETRY, code};

/// A connection with its place, which is free when it is closed.
pub(super) struct Connection {
    stream: TcpStream,
    _place: OwnedSemaphorePermit,
}

impl Connection {
    pub(super) fn new(stream: TcpStream, place: OwnedSemaphorePermit) -> Self {
        Self { stream, _place: place }
    }

    pub(super) fn stream(&self) -> &TcpStream {
        &self.stream
    }
}

impl AsyncRead for Connection {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

/// Tells a client to come back later, without reading what it says, and closes. The answer fits what the kernel takes from a
/// new connection at once; a client for which it does not sees the connection closed, which says as much.
pub(super) fn turn_away(stream: TcpStream) {
    // Blocking is switched off, so neither call waits; what comes of them is the client's matter.
    if let Ok(stream) = stream.into_std() {
        use std::io::Write;
        let mut writer = &stream;
        drop(writer.write_all(refusal().as_bytes()));
        drop(stream.shutdown(std::net::Shutdown::Write));
    }
}

fn refusal() -> String {
    let error = json!({ "message": "this node has as many connections as it takes; try again shortly", "extensions": {
        "code": code::UNAVAILABLE, "reason": "OVERLOADED", "retryAfterMs": OVERLOADED_RETRY.as_millis() } });
    let body = json!({ "errors": [error] }).to_string();
    let (seconds, length) = (OVERLOADED_RETRY.as_secs().max(1), body.len());
    format!(
        "HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\nretry-after: {seconds}\r\n\
         connection: close\r\ncontent-length: {length}\r\n\r\n{body}"
    )
}
