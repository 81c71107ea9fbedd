//! The sockets that clients come in by.

use std::net::SocketAddr;

use axum::Router;
use axum::serve::ListenerExt;
use tokio::net::{TcpListener, TcpSocket};
use tokio_util::sync::CancellationToken;

/// Connections that wait to be accepted.
const BACKLOG: u32 = 1_024;
/// What the kernel holds for a client that takes nothing, in bytes; Linux doubles it for its own accounts. Without a bound it
/// grows to megabytes for each such client.
const SEND_BYTES: u32 = 128 * 1024;

/// A listener for [`serve`]. Call it within a runtime.
///
/// # Errors
/// The address is in use, or not one of this machine.
pub fn listen(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.set_reuseaddr(true)?;
    // Accepted sockets inherit it.
    socket.set_send_buffer_size(SEND_BYTES)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Serves until `shutdown` fires and open requests have ended.
///
/// # Errors
/// The listener failed.
pub async fn serve(listener: TcpListener, router: Router, shutdown: CancellationToken) -> std::io::Result<()> {
    // What is written goes out at once, not when the client has acknowledged what was written before.
    let listener = listener.tap_io(|stream| {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "a socket stays with delays");
        }
    });
    // The address tells apart those who are not signed in.
    let service = router.into_make_service_with_connect_info::<SocketAddr>();
    axum::serve(listener, service).with_graceful_shutdown(shutdown.cancelled_owned()).await
}
