//! The audit suite of npm `graphql-http`: what a server of GraphQL over HTTP must, should and may do.

use std::time::Duration;

use domain::permission::Role;
use serde_json::{Value, json};

use super::World;

/// Audits of `graphql-http` 1.23.
const AUDITS: usize = 61;

#[tokio::test]
async fn all_audits_pass_with_a_token_and_without() {
    let world = World::new(Role::Supervisor).await;
    let said = world.script("audit.mjs").succeeded(Duration::from_secs(60)).await;
    let of = |key: &str| said.iter().filter_map(|line| line.get(key).cloned()).collect::<Vec<Value>>();
    assert_eq!(of("failed"), Vec::<Value>::new());
    let passed = |who: &str| json!({ "who": who, "ok": AUDITS, "all": AUDITS });
    assert_eq!(of("audits"), [passed("somebody"), passed("nobody")]);
    world.end().await;
}
