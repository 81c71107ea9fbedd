//! Everything in the schema says what it is.

use domain::permission::Role;
use serde_json::{Value, json};
use tests::{TestDatabase, TestServer};

const INTROSPECTION: &str = "query { __schema {
    types { name kind description
        fields(includeDeprecated: true) { name description isDeprecated deprecationReason
            args(includeDeprecated: true) { name description } }
        inputFields(includeDeprecated: true) { name description }
        enumValues(includeDeprecated: true) { name description isDeprecated deprecationReason } }
    directives { name description args { name description } } } }";

/// The names of those that have no description, and of what is deprecated without a reason.
fn silent(owner: &str, things: &Value, found: &mut Vec<String>) -> usize {
    let things = things.as_array().map_or(&[][..], Vec::as_slice);
    for thing in things {
        let name = format!("{owner}{}", thing["name"].as_str().unwrap());
        if thing["description"].as_str().is_none_or(|text| text.trim().is_empty()) {
            found.push(name.clone());
        }
        if thing["isDeprecated"] == json!(true) && thing["deprecationReason"].as_str().is_none_or(str::is_empty) {
            found.push(format!("{name} is deprecated without a reason"));
        }
        silent(&format!("{name}."), &thing["args"], found);
    }
    things.len()
}

#[tokio::test]
async fn everything_has_a_description() {
    let database = TestDatabase::new().await;
    let server = TestServer::start(&database).await;
    let admin = server.signed_in(Role::Admin).await;
    let schema = admin.query(INTROSPECTION, json!({})).await["__schema"].take();
    let (mut found, mut count) = (Vec::new(), 0);
    // Not ours: the types of introspection, and the one scalar of the language that the executor leaves without a word.
    let ours = |kind: &Value| kind["name"].as_str().is_some_and(|name| !name.starts_with("__") && name != "ID");
    let types: Vec<Value> = schema["types"].as_array().unwrap().iter().filter(|kind| ours(kind)).cloned().collect();
    for kind in &types {
        let owner = format!("{}.", kind["name"].as_str().unwrap());
        for things in ["fields", "inputFields", "enumValues"] {
            count += silent(&owner, &kind[things], &mut found);
        }
    }
    silent("", &json!(types), &mut found);
    silent("@", &schema["directives"], &mut found);
    assert!(found.is_empty(), "{} have no description:\n{}", found.len(), found.join("\n"));
    // What was walked through is the whole schema.
    assert!(types.len() > 80 && count > 400, "{} types, {count} fields and values", types.len());
    server.stop().await;
}
