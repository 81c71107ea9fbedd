//! How much one client may ask for, and all of them together.

use std::time::Duration;

/// How much one client may ask for, and all of them together, and how often clients are looked after. Every bound of the edge is here.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Connections that this node has open at a time, whatever runs on them; fewer where the system allows fewer files.
    pub connections: usize,
    /// Requests over HTTP that this node answers at a time, whoever asks, from their first byte to their answer, and queries
    /// and mutations on sockets. Those that wait for the database or for the log are among them, so this bounds how
    /// long anybody has to wait there.
    pub requests: usize,
    /// Subscriptions on this node, and whatever else is answered as a stream.
    pub subscriptions: usize,
    /// Sockets on this node.
    pub sockets: usize,
    /// How long the body of a request may take to come.
    pub body_time: Duration,
    /// How long what is being executed when this node goes away may take to its end, before it is answered that it was not
    /// done in time.
    pub drain_time: Duration,
    /// Largest request body, in bytes.
    pub body_bytes: usize,
    /// Most tokens of a document, counted before it is parsed.
    pub tokens: usize,
    /// Deepest document. The deepest useful one, a page of calls with legs, has 6 levels; introspection has 13.
    pub depth: usize,
    /// Most aliases of an operation, wherever they stand; each use of a fragment counts its own.
    pub aliases: usize,
    /// Most fields at the root of an operation. Of a subscription, the language allows one.
    pub root_fields: usize,
    /// Most fields of an operation once its fragments are written out.
    pub fields: usize,
    /// Most directives in one place: on a field, a fragment or an operation.
    pub directives: usize,
    /// Most points of one operation. A field counts 1; what is below a list counts once for each element: as many as the
    /// document asks for (`first`, `last`, `ids`), and of other lists an assumed number (`graphql/cost.rs`). The heaviest
    /// useful document, 100 calls with every field of theirs, of their legs and agents and of the last 10 lines of their
    /// transcripts, has some 35,000, and 100 calls with agent, legs, mood and their whole transcripts some 52,000; a page of
    /// calls as a wallboard shows it has a few hundred.
    pub complexity: usize,
    /// Points that a viewer regains in a minute; who is not signed in is counted by the address.
    pub points_per_minute: u32,
    /// Points that a viewer can spend at once.
    pub points_burst: u32,
    /// Most operations of one request over HTTP.
    pub batch: usize,
    /// Most elements that a page, or a list cut by `last` or named by `ids`, may ask for.
    pub page_size: u32,
    /// How long a query or a mutation may take.
    pub execution_time: Duration,
    /// Most errors told in one answer.
    pub errors: usize,
    /// Documents that are kept parsed.
    pub documents: usize,
    /// Text of the documents that are kept parsed, in bytes; parsed, a document takes some twenty times its text.
    pub documents_bytes: usize,
    /// Largest message from a client on a WebSocket, in bytes.
    pub message_bytes: usize,
    /// How long a client may take to send `connection_init`.
    pub init_within: Duration,
    /// Sockets of one viewer on this node; those that nobody is signed in on count as one viewer's.
    pub sockets_per_viewer: usize,
    /// Event streams and multipart answers of one viewer on this node, counted like sockets.
    pub streams_per_viewer: usize,
    /// Operations on one socket at a time.
    pub operations_per_socket: usize,
    /// What waits to be sent for one operation, in bytes, before it counts as too slow.
    pub queue_bytes: usize,
    /// After how much silence a socket is pinged and a stream is sent a sign of life, so that proxies keep it and a client
    /// that has gone is noticed. A socket that is silent for two and a half times as long is cut off.
    pub heartbeat_every: Duration,
    /// How often the token and account behind a socket or a stream are looked at.
    pub recheck_every: Duration,
    /// Shortest time between two pushes of a dashboard: a person does not read faster, and a busy floor changes a hundred
    /// times a second.
    pub dashboard_every: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 20_000,
            requests: 500,
            subscriptions: 10_000,
            sockets: 10_000,
            body_time: Duration::from_secs(10),
            drain_time: Duration::from_secs(3),
            body_bytes: 256 * 1024,
            tokens: 2_000,
            depth: 15,
            aliases: 30,
            root_fields: 20,
            fields: 2_000,
            directives: 5,
            complexity: 100_000,
            points_per_minute: 3_000_000,
            points_burst: 500_000,
            batch: 10,
            page_size: 100,
            execution_time: Duration::from_secs(10),
            errors: 50,
            documents: 1_000,
            documents_bytes: 2 * 1024 * 1024,
            message_bytes: 64 * 1024,
            init_within: Duration::from_secs(10),
            sockets_per_viewer: 1_000,
            streams_per_viewer: 1_000,
            operations_per_socket: 100,
            queue_bytes: 256 * 1024,
            heartbeat_every: Duration::from_secs(12),
            recheck_every: Duration::from_secs(10),
            dashboard_every: Duration::from_millis(250),
        }
    }
}
