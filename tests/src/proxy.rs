//! A TCP proxy in front of a server, whose connections can be cut in the middle.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// Carries bytes to a server and back. Dropping it cuts everything and closes its port.
pub struct Proxy {
    /// Where it listens.
    pub address: SocketAddr,
    /// Counts the cuts; every connection ends when it moves.
    cuts: watch::Sender<usize>,
    carried: Arc<AtomicUsize>,
}

impl Proxy {
    /// Listens on a free port, for one server.
    ///
    /// # Panics
    /// There is no free port.
    pub async fn to(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (cuts, cut) = watch::channel(0);
        let carried = Arc::new(AtomicUsize::new(0));
        tokio::spawn(accept(listener, server, cut, Arc::clone(&carried)));
        Self { address, cuts, carried }
    }

    /// Cuts every connection there is, without a word to either side. New ones are taken.
    pub fn cut(&self) {
        self.cuts.send_modify(|cuts| *cuts += 1);
    }

    /// How many connections there were.
    #[must_use]
    pub fn carried(&self) -> usize {
        self.carried.load(Ordering::Relaxed)
    }
}

async fn accept(listener: TcpListener, server: SocketAddr, cut: watch::Receiver<usize>, carried: Arc<AtomicUsize>) {
    let mut gone = cut.clone();
    loop {
        let mut client = tokio::select! {
            // Ends with the proxy.
            () = async { while gone.changed().await.is_ok() {} } => return,
            client = listener.accept() => client.unwrap().0,
        };
        carried.fetch_add(1, Ordering::Relaxed);
        let mut cut = cut.clone();
        cut.mark_unchanged();
        tokio::spawn(async move {
            let Ok(mut upstream) = TcpStream::connect(server).await else { return };
            // Both sockets are closed as they are dropped: what is under way is lost, as on a broken line.
            tokio::select! {
                _ = cut.changed() => {}
                _ = copy_bidirectional(&mut client, &mut upstream) => {}
            }
        });
    }
}
