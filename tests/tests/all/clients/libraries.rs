//! Each client library: query, command, subscription; interrupted, and going on without a gap.

use domain::permission::Role;

use super::World;
use super::interrupted::{Expected, comes_back};

#[tokio::test]
async fn graphql_ws() {
    comes_back(World::new(Role::Supervisor).await, "graphql-ws.mjs", Expected { sign_ins: 2, sees_codes: true }).await;
}
