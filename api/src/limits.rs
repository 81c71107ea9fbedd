//! How much one client may ask for.

use std::time::Duration;

/// How much one client may ask for, and how often clients are looked after. Every bound of the edge is here.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Largest request body, in bytes.
    pub body_bytes: usize,
    /// Deepest document. The deepest useful one, a page of calls with legs, has 6 levels; introspection has 13.
    pub depth: usize,
    /// Most points of one document: a field counts 1, a page its nodes.
    pub complexity: usize,
    /// Most directives on one field.
    pub directives: usize,
    /// Largest message from a client on a WebSocket, in bytes.
    pub message_bytes: usize,
    /// How long a client may take to send `connection_init`.
    pub init_within: Duration,
    /// Sockets of one viewer on this node; those that nobody is signed in on count as one viewer's.
    pub sockets_per_viewer: usize,
    /// Operations on one socket at a time.
    pub operations_per_socket: usize,
    /// What waits to be sent for one operation, in bytes, before it counts as too slow.
    pub queue_bytes: usize,
    /// How often a socket's token and account are looked at.
    pub recheck_every: Duration,
    /// Shortest time between two pushes of a dashboard: a person does not read faster, and a busy floor changes a hundred
    /// times a second.
    pub dashboard_every: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body_bytes: 256 * 1024,
            depth: 15,
            complexity: 2_000,
            directives: 5,
            message_bytes: 64 * 1024,
            init_within: Duration::from_secs(10),
            sockets_per_viewer: 1_000,
            operations_per_socket: 100,
            queue_bytes: 256 * 1024,
            recheck_every: Duration::from_secs(10),
            dashboard_every: Duration::from_millis(250),
        }
    }
}
