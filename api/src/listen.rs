//! The sockets that clients come in by.

mod connection;

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::serve::{Listener, ListenerExt};
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use connection::Connection;

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

/// Serves so many connections at a time until `shutdown` fires and open requests have ended. Others are told to come back
/// later and closed, before anything of them is read.
///
/// # Errors
/// The listener failed.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    connections: usize,
    shutdown: CancellationToken,
) -> std::io::Result<()> {
    let places = Arc::new(Semaphore::new(connections.min(Semaphore::MAX_PERMITS)));
    let listener = Door { listener, places }.tap_io(|connection| {
        // What is written goes out at once, not when the client has acknowledged what was written before.
        if let Err(error) = connection.stream().set_nodelay(true) {
            tracing::debug!(%error, "a socket stays with delays");
        }
    });
    // The address tells apart those who are not signed in.
    let service = router.into_make_service_with_connect_info::<SocketAddr>();
    axum::serve(listener, service).with_graceful_shutdown(shutdown.cancelled_owned()).await
}

/// A listener that lets in as many as there are places.
struct Door {
    listener: TcpListener,
    places: Arc<Semaphore>,
}

impl Listener for Door {
    type Io = Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Connection, SocketAddr) {
        loop {
            let (stream, address) = Listener::accept(&mut self.listener).await;
            match Arc::clone(&self.places).try_acquire_owned() {
                Ok(place) => return (Connection::new(stream, place), address),
                Err(_) => connection::turn_away(stream),
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}
