//! Edge to people: GraphQL over HTTP and WebSocket.
//!
//! * [`router`]: the whole edge as one axum router.
//! * `graphql`: one file a concept; commands (mutations) beside the queries and subscriptions of their concept.
//! * `auth`: who asks and what that person may do. Every field is guarded by a permission; the viewer is the actor of
//!   every event. `cursor`: signed places in the log. `views`: snapshots and streams of the read side.
//! * `transport`: how documents come in and answers go out.
//!
//! **A new field** is one function in one concept file. This crate sees no SQL and decides no rule of the call centre: the
//! first is in `projections`, the second in `domain`.

mod auth;
mod cursor;
mod error;
mod fanout;
mod graphql;
mod limits;
mod listen;
mod policy;
mod track;
mod transport;
mod views;

use axum::Router;
use chrono_tz::Tz;
use commands::{Database, EventStore};
use projections::{Changes, LiveLane, Tail};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use auth::{Auth, TOKEN_LASTS, Tokens};
pub use cursor::Cursors;
pub use limits::Limits;
pub use listen::{listen, serve};
pub use policy::{InvalidOrigin, ManifestError, Origin, Policy, Statuses, TrustedDocuments};

/// What the edge stands on.
pub struct Context {
    /// Where commands go.
    pub store: EventStore,
    /// Where queries read.
    pub database: Database,
    /// What wakes subscriptions to read models.
    pub changes: Changes,
    /// What feeds subscriptions to events.
    pub tail: Tail,
    /// What is still being spoken.
    pub live: LiveLane,
    /// Accounts and tokens.
    pub auth: Auth,
    /// Cursors of this log.
    pub cursors: Cursors,
    /// Time zone whose days the dashboard counts in.
    pub zone: Tz,
    /// How much one client may ask for.
    pub limits: Limits,
    /// What is shown, and who is answered.
    pub policy: Policy,
}

/// The edge: `/graphql` (GET, POST, WebSocket), `/graphiql` and `/events`. Sockets are closed when `shutdown` fires, with a code that
/// makes clients come back elsewhere and go on from their cursors; `sockets` tracks them, which a server does not.
pub fn router(context: Context, shutdown: CancellationToken, sockets: TaskTracker) -> Router {
    let Context { store, database, changes, tail, live, auth, cursors, zone, limits, policy } = context;
    let schema = graphql::builder(&limits)
        // Every rule of the language was asked when the document was read.
        .validation_mode(async_graphql::ValidationMode::Fast)
        .data(store)
        .data(views::Views::new(database, changes, tail))
        .data(auth.clone())
        .data(cursors)
        .data(live)
        .data(graphql::Zone(zone))
        .data(limits.clone())
        .finish();
    transport::router(transport::Endpoint::new(schema, auth, limits, policy, (shutdown, sockets)))
}

/// The schema in its own language, with descriptions; types in the order of their names. `schema.graphql` holds it.
#[must_use]
pub fn schema_sdl() -> String {
    let sdl = graphql::builder(&Limits::default()).finish().sdl();
    // The executor leaves blanks at the ends of some lines.
    let lines: Vec<&str> = sdl.trim().lines().map(str::trim_end).collect();
    lines.join("\n") + "\n"
}
