//! `api/schema.graphql` is the schema that is served: clients generate code from it, and reviews see what changes.

use std::path::{Path, PathBuf};

use tests::Voice;

/// Where the schema is kept.
fn file() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../api/schema.graphql")
}

#[test]
fn the_committed_schema_is_the_served_one() {
    let committed = std::fs::read_to_string(file()).unwrap_or_default();
    let served = api::schema_sdl();
    let differs = committed.lines().zip(served.lines()).enumerate().find(|(_, (before, now))| before != now);
    assert!(
        committed == served,
        "api/schema.graphql is not the schema of this code; first difference (line from 0): {differs:?}.\n\
         Look at the change, then write it anew: cargo run --bin voice -- schema > api/schema.graphql"
    );
}

#[tokio::test]
async fn the_program_prints_it_without_a_database() {
    let printed = Voice::run(&["schema"], &[]).await;
    assert!(printed.status.success(), "{printed:?}");
    assert_eq!(printed.output, api::schema_sdl().lines().collect::<Vec<_>>());
}
