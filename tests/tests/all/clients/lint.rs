//! The published schema, as linters see it.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;
use tests::script::{clients, installed};

/// What graphql-schema-linter looks at; its rules on alphabetical order are not ours.
const RULES: &str = "fields-have-descriptions,types-have-descriptions,fields-are-camel-cased,defined-types-are-used,\
                     deprecations-have-a-reason,enum-values-have-descriptions,relay-connection-types-spec,\
                     relay-page-info-spec";

fn schema() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../api/schema.graphql");
    std::fs::read_to_string(path).unwrap()
}

/// A schema beside the linters, which look at nothing outside their directory.
fn written(text: &str) -> (TempDir, PathBuf) {
    let among = clients().join(".snippets");
    std::fs::create_dir_all(&among).unwrap();
    let directory = tempfile::tempdir_in(among).unwrap();
    let path = directory.path().join("schema.graphql");
    std::fs::write(&path, text).unwrap();
    (directory, path)
}

fn run(program: &str, arguments: &[&str], schema: &Path) -> Output {
    let mut command = Command::new(installed("node"));
    command.current_dir(clients()).arg(installed(program)).args(arguments).arg(schema).env("VOICE_SCHEMA", schema);
    command.output().unwrap()
}

/// Problems that @graphql-eslint has with a schema.
fn eslint(text: &str) -> Vec<String> {
    let (_directory, path) = written(text);
    let output = run("eslint", &["--no-ignore", "--format", "json"], &path);
    let told = String::from_utf8_lossy(&output.stdout);
    let files: Value =
        serde_json::from_str(&told).unwrap_or_else(|_| panic!("{told}\n{}", String::from_utf8_lossy(&output.stderr)));
    let [file] = files.as_array().unwrap().as_slice() else { panic!("one file was to be looked at: {files}") };
    assert_eq!(file["filePath"], path.to_str().unwrap());
    let problem = |of: &Value| format!("{}: {} (line {})", of["ruleId"], of["message"], of["line"]);
    file["messages"].as_array().unwrap().iter().map(problem).collect()
}

#[test]
fn eslint_finds_nothing_by_its_own_rules_and_by_relays() {
    assert_eq!(eslint(&schema()), Vec::<String>::new());
    // And would find something.
    let broken = schema().replace("type PageInfo {", "type PageInfo {\n  wrong_name: Int\n");
    let found = eslint(&broken);
    assert!(found.iter().any(|problem| problem.contains("wrong_name")), "{found:#?}");
}

#[test]
fn graphql_schema_linter_finds_nothing() {
    let lint = |text: &str| {
        let (_directory, path) = written(text);
        run("graphql-schema-linter", &["--rules", RULES], &path)
    };
    let output = lint(&schema());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    let broken = schema() + "\ntype Unused {\n  plain: Int\n}\n";
    let output = lint(&broken);
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(!output.status.success() && told.contains("Unused"), "{told}");
}
