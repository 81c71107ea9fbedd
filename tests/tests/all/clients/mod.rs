//! Real clients from npm and PyPI against the server: the audit of GraphQL over HTTP, five GraphQL clients that come back
//! after every kind of interruption, what README tells their users to write, linters of the schema,
//! and a fuzzer of all of it.

mod audit;
mod fuzz;
mod interrupted;
mod libraries;
mod lint;
mod snippets;

use std::path::Path;
use std::time::Duration;

use api::{Limits, Policy};
use commands::User;
use domain::permission::Role;
use tests::server::PASSWORD;
use tests::{Client, Proxy, Script, TestDatabase, TestServer};
use uuid::Uuid;

/// How long Relay's compiler may take.
const RELAY_COMPILER_WITHIN: Duration = Duration::from_secs(60);

/// A server behind a line that can be cut, and somebody whose token can be revoked.
struct World {
    database: TestDatabase,
    server: TestServer,
    proxy: Proxy,
    user: User,
    /// Somebody else, who is never interrupted.
    other: Client,
    call_id: Uuid,
    /// What a script finds in its environment beside where to go.
    environment: Vec<(&'static str, String)>,
}

impl World {
    async fn new(role: Role) -> Self {
        Self::under(Policy::default(), role).await
    }

    async fn under(policy: Policy, role: Role) -> Self {
        let database = TestDatabase::new().await;
        // A revoked token is noticed at once.
        let limits = Limits { recheck_every: Duration::from_millis(50), ..Limits::default() };
        let server = TestServer::start_under(&database, limits, policy).await;
        let proxy = Proxy::to(server.address).await;
        let user = server.user(role, None, &[]).await;
        // May send any document, whatever the policy.
        let other = server.signed_in(Role::Admin).await;
        Self { database, server, proxy, user, other, call_id: Uuid::now_v7(), environment: Vec::new() }
    }

    /// A script of `tests/clients` that talks to the server over the line, signed in as the user.
    fn script(&self, name: &str) -> Script {
        let url = format!("http://{}/graphql", self.proxy.address);
        let call_id = self.call_id.to_string();
        let mut environment = vec![
            ("VOICE_URL", url.as_str()),
            ("VOICE_EMAIL", &self.user.email),
            ("VOICE_PASSWORD", PASSWORD),
            ("VOICE_CALL", &call_id),
        ];
        environment.extend(self.environment.iter().map(|(name, value)| (*name, value.as_str())));
        Script::start::<&str>(Path::new(name), &[], &environment)
    }

    /// Makes every token of the user worthless; signing in gives a good one.
    async fn revoke(&self) {
        self.server.users.set_role(self.user.id, self.user.role, &[]).await.unwrap();
    }

    /// The end of the test: everything ends in order.
    async fn end(self) {
        self.server.stop().await;
        drop(self.database);
    }
}
