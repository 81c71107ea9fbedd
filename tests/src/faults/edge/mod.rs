//! A network edge that can go wrong: a TCP proxy in front of one server, for one process that speaks to it.

mod pump;
mod wire;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use pump::carry;

/// How long a lost packet takes to be sent again: what TCP makes of loss, as the two sides see it.
const RETRANSMITTED_AFTER: Duration = Duration::from_millis(200);

/// What an edge does to the bytes it carries.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Weather {
    /// New connections are closed at once.
    pub refuses: bool,
    /// Nothing goes from the process to the server; connections stay open and nobody is told.
    pub frozen_up: bool,
    /// Nothing comes back.
    pub frozen_down: bool,
    /// Every byte arrives this much later.
    pub delay: Duration,
    /// Share of packets that are lost and sent again, in percent.
    pub loss_percent: u8,
}

/// A single cut, at a moment of the conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trap {
    /// After so many bytes to the server: in the middle of a message, as likely as not.
    BytesUp(usize),
    /// After so many bytes from the server.
    BytesDown(usize),
    /// As soon as an append was sent to PostgreSQL, whether or not it will commit.
    AppendSent,
    /// When the answer to an append comes, without letting it through: it has been committed, and nobody knows.
    AppendAnswered,
}

/// A proxy. Dropping it cuts everything and closes its port.
pub struct Edge {
    /// Where it listens: the server's address, as the process sees it.
    pub address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    server: Mutex<Option<SocketAddr>>,
    weather: watch::Sender<Weather>,
    /// Moves with each cut; every connection of before ends.
    cuts: watch::Sender<u64>,
    trap: Mutex<Option<Trap>>,
    /// Moves when the trap has sprung.
    sprung: watch::Sender<u64>,
    carried: AtomicU64,
    statements: AtomicU64,
    open: AtomicU64,
    seed: u64,
}

impl Edge {
    /// Listens on a free port. `seed` decides which packets are lost.
    ///
    /// # Panics
    /// There is no free port.
    pub async fn new(seed: u64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let shared = Arc::new(Shared {
            server: Mutex::new(None),
            weather: watch::Sender::new(Weather::default()),
            cuts: watch::Sender::new(0),
            trap: Mutex::new(None),
            sprung: watch::Sender::new(0),
            carried: AtomicU64::new(0),
            statements: AtomicU64::new(0),
            open: AtomicU64::new(0),
            seed,
        });
        tokio::spawn(accept(listener, Arc::downgrade(&shared)));
        Self { address, shared }
    }

    /// Where new connections go from now on.
    pub fn lead_to(&self, server: SocketAddr) {
        *self.shared.server.lock().unwrap_or_else(PoisonError::into_inner) = Some(server);
    }

    /// The server behind it, for those who go there themselves.
    #[must_use]
    pub fn target(&self) -> Target {
        Target(Arc::downgrade(&self.shared))
    }

    /// Changes what happens to the bytes, of open connections and new ones.
    pub fn weather(&self, weather: Weather) {
        self.shared.weather.send_replace(weather);
    }

    /// Everything is carried again, at once.
    pub fn clear(&self) {
        self.weather(Weather::default());
        *self.shared.trap.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Cuts every open connection, in the middle of whatever it carries. New ones are taken.
    pub fn cut(&self) {
        self.shared.cuts.send_modify(|cuts| *cuts += 1);
    }

    /// Sets a trap; the receiver moves when a connection was cut by it.
    pub fn set(&self, trap: Trap) -> watch::Receiver<u64> {
        let sprung = self.shared.sprung.subscribe();
        *self.shared.trap.lock().unwrap_or_else(PoisonError::into_inner) = Some(trap);
        sprung
    }

    /// How many connections there were.
    #[must_use]
    pub fn carried(&self) -> u64 {
        self.shared.carried.load(Ordering::Relaxed)
    }

    /// How many statements PostgreSQL was asked to execute by way of this edge.
    #[must_use]
    pub fn statements(&self) -> u64 {
        self.shared.statements.load(Ordering::Relaxed)
    }

    /// How many connections there are.
    #[must_use]
    pub fn open(&self) -> u64 {
        self.shared.open.load(Ordering::Relaxed)
    }
}

/// The server behind an edge, wherever that leads by now.
#[derive(Clone)]
pub struct Target(Weak<Shared>);

impl Target {
    /// Its address; none before it was ever there.
    #[must_use]
    pub fn server(&self) -> Option<SocketAddr> {
        *self.0.upgrade()?.server.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Edge {
    fn drop(&mut self) {
        self.cut();
    }
}

async fn accept(listener: TcpListener, shared: Weak<Shared>) {
    let Some(mut gone) = shared.upgrade().map(|shared| shared.cuts.subscribe()) else { return };
    loop {
        let client = tokio::select! {
            // Ends with the edge.
            () = async { while gone.changed().await.is_ok() {} } => return,
            client = listener.accept() => match client { Ok((client, _)) => client, Err(_) => continue },
        };
        let Some(shared) = shared.upgrade() else { return };
        let server = *shared.server.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(server) = server.filter(|_| !shared.weather.borrow().refuses) else { continue };
        let number = shared.carried.fetch_add(1, Ordering::Relaxed);
        let mut cut = shared.cuts.subscribe();
        tokio::spawn(async move {
            let Ok(upstream) = TcpStream::connect(server).await else { return };
            drop((client.set_nodelay(true), upstream.set_nodelay(true)));
            shared.open.fetch_add(1, Ordering::Relaxed);
            // Both sockets are closed as they are dropped: what is under way is lost, as on a broken line.
            tokio::select! {
                _ = cut.changed() => {}
                () = carry(client, upstream, &shared, number) => {}
            }
            shared.open.fetch_sub(1, Ordering::Relaxed);
        });
    }
}
