//! The schema as it is published.

use std::path::Path;

use domain::permission::Role;
use serde_json::{Value, json};
use tests::{TestDatabase, TestServer};

/// `UPDATE_SCHEMA=1 .dev/test api::schema` writes it anew; look at the difference before you commit it.
#[test]
fn the_committed_schema_is_the_one_that_is_served() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../api/schema.graphql");
    let served = format!("{}\n", api::schema_sdl().trim_end());
    if std::env::var_os("UPDATE_SCHEMA").is_some() {
        std::fs::write(&path, &served).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    let differs = committed.lines().zip(served.lines()).position(|(committed, served)| committed != served);
    assert!(committed == served, "api/schema.graphql differs from line {differs:?} on; UPDATE_SCHEMA=1 writes it anew");
}

/// Types that a specification describes: GraphQL's own, and connections, which are Relay's.
fn is_ours(name: &str) -> bool {
    !name.starts_with("__")
        && !name.ends_with("Connection")
        && !["Boolean", "Float", "ID", "Int", "String"].contains(&name)
}

#[tokio::test]
async fn everything_is_described() {
    let database = TestDatabase::new().await;
    let server = TestServer::start(&database).await;
    let admin = server.signed_in(Role::Admin).await;
    let document = "{ __schema { types { name description enumValues { name description }
        fields { name description args { name description } } inputFields { name description } } } }";
    let schema = admin.query(document, json!({})).await;
    let (mut looked_at, mut bare) = (0, Vec::new());
    let mut look = |path: String, thing: &Value| {
        looked_at += 1;
        if thing["description"].as_str().is_none_or(|text| text.trim().is_empty()) {
            bare.push(path);
        }
    };
    let all = |value: &Value| value.as_array().cloned().unwrap_or_default();
    for of in all(&schema["__schema"]["types"]).iter().filter(|of| is_ours(of["name"].as_str().unwrap())) {
        let name = of["name"].as_str().unwrap();
        look(name.to_owned(), of);
        for kind in ["fields", "inputFields", "enumValues"] {
            for part in all(&of[kind]) {
                let path = format!("{name}.{}", part["name"].as_str().unwrap());
                for argument in all(&part["args"]) {
                    look(format!("{path}({})", argument["name"].as_str().unwrap()), &argument);
                }
                look(path, &part);
            }
        }
    }
    assert!(looked_at > 500, "{looked_at}");
    assert!(bare.is_empty(), "without a description: {bare:#?}");
    server.stop().await;
}
