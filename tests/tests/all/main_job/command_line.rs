//! What is wrong is said in one line, and the status says so too.

use std::net::TcpListener;

use tests::Voice;
use tokio::net::TcpSocket;
use uuid::Uuid;

use super::World;

#[tokio::test]
async fn help_names_every_command() {
    let help = Voice::run(&["--help"], &[]).await;
    assert!(help.status.success());
    let text = help.output.join("\n");
    for command in
        ["up", "api", "ingest", "projections", "relay", "migrate", "rebuild", "parked", "replay", "import", "schema"]
    {
        assert!(text.lines().any(|line| line.starts_with(&format!("  {command} "))), "{command}: {text}");
        let help = Voice::run(&[command, "--help"], &[]).await;
        assert!(help.status.success() && help.output.len() > 3, "{command}: {help:?}");
    }
    // Secrets in the environment are no defaults to be shown.
    let help = Voice::run(&["up", "--help"], &[("DATABASE_URL", "postgres://u:secret@h/d"), ("JWT_SECRET", "secret")]);
    assert!(!help.await.output.join("\n").contains("secret@"));
}

/// Runs it: it must fail with this status, and say this; in one line, where it has understood what it was told.
async fn refused(arguments: &[&str], environment: &[(&str, &str)], status: i32, says: &str) {
    let ended = Voice::run(arguments, environment).await;
    assert_eq!(ended.status.code(), Some(status), "{arguments:?}: {ended:?}");
    assert!(ended.log.contains(says) && !ended.log.contains("panicked"), "{arguments:?}: {ended:?}");
    let lines: Vec<&str> = ended.log.lines().filter(|line| line.starts_with("voice: ")).collect();
    let last = ended.log.lines().last().unwrap_or_default();
    assert!(status == 2 || (lines == [last] && last.contains(says)), "{arguments:?}: {ended:?}");
}

#[tokio::test]
async fn values_that_make_no_sense_are_refused_before_anything_is_done() {
    let up = |more: &'static [&'static str]| [&["up", "--listen", "127.0.0.1:0"], more].concat();
    refused(&[], &[], 2, "Usage: voice <COMMAND>").await;
    refused(&["fly"], &[], 2, "unrecognized subcommand 'fly'").await;
    refused(&up(&["--speed", "0"]), &[], 2, "a number above 0 and at most 10000 is needed").await;
    refused(&up(&["--speed", "NaN"]), &[], 2, "a number above 0 and at most 10000 is needed").await;
    refused(&up(&["--gap-s", "0"]), &[], 2, "a number above 0 and at most 86400 is needed").await;
    refused(&up(&["--agents", "0"]), &[], 2, "0 is not in 1..=500").await;
    refused(&up(&["--database-connections", "11"]), &[], 2, "11 is not in 12..=1000").await;
    refused(&up(&["--time-zone", "Mars/Olympus"]), &[], 2, "--time-zone").await;
    refused(&["up", "--listen", "nowhere"], &[], 2, "--listen").await;
    refused(&up(&["--limit", "speed=1"]), &[], 2, "there is no limit \"speed\"; there are body-bytes").await;
    refused(&up(&["--limit", "depth=0"]), &[], 2, "depth is a whole number from 1 to 100").await;
    refused(&up(&["--limit", "depth"]), &[], 2, "NAME=N is needed").await;
    refused(&up(&[]), &[("VOICE_LIMITS", "depth=5,batch=-1")], 2, "batch is a whole number from 1 to 1000").await;
    refused(&up(&["--allowed-origins", "desk.example.com"]), &[], 2, "an origin is http:// or https://").await;
    refused(&up(&["--status-codes", "mine"]), &[], 2, "possible values: audited, draft").await;
    refused(&up(&["--trusted-documents", "/nowhere.json"]), &[], 1, "reading /nowhere.json").await;
    refused(&["migrate"], &[], 2, "--database-url <URL>").await;
    refused(&["replay", "42"], &[], 2, "invalid value '42'").await;
    refused(&["relay", "--from", "0"], &[], 2, "0 is not in 1..").await;
}

#[tokio::test]
async fn a_manifest_is_read_before_anything_is_done() {
    let world = World::new().await;
    let manifest = world.path("manifest.json");
    for (text, says) in [
        ("[]", "this is no manifest"),
        (r#"{"a": "{ nothing }"}"#, "the document a can't be executed"),
        (r#"{"version": 2, "operations": []}"#, "its version is 2"),
    ] {
        std::fs::write(&manifest, text).unwrap();
        refused(&["up", "--listen", "127.0.0.1:0", "--trusted-documents", &manifest], &[], 1, says).await;
    }
    let help = Voice::run(&["up", "--help"], &[]).await.output.join("\n");
    for limit in ["body-bytes", "batch", "page-size", "cost", "sockets-per-viewer", "streams-per-viewer"] {
        assert!(help.lines().any(|line| line.trim().starts_with(limit)), "{limit}: {help}");
    }
}

#[tokio::test]
async fn a_database_that_can_not_be_used_is_named_with_the_reason() {
    let world = World::new().await;
    // Bound and never listening: nobody else is given the port, and who connects is refused.
    let nobody = TcpSocket::new_v4().unwrap();
    nobody.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let closed = format!("postgres://postgres@{}/postgres", nobody.local_addr().unwrap());
    let missing = world.database.url.replace("/test_", "/not_test_");
    for (url, reason) in
        [("mysql", "DATABASE_URL is no PostgreSQL URL"), (&closed, "Connection refused"), (&missing, "does not exist")]
    {
        refused(&["migrate"], &[("DATABASE_URL", url)], 1, reason).await;
    }
    refused(&["api", "--listen", "127.0.0.1:0"], &[("DATABASE_URL", &missing)], 1, "does not exist").await;
    refused(&["up", "--listen", "127.0.0.1:0"], &[("DATABASE_URL", &missing)], 1, "does not exist").await;
}

#[tokio::test]
async fn what_is_not_there_is_named() {
    let world = World::new().await;
    let environment = [("DATABASE_URL", world.database.url.as_str())];
    let nowhere = world.path("nowhere");
    let who = ["--email", "a@b.test", "--password", "secret secret"];
    refused(&[&["import", &nowhere], &who[..]].concat(), &[], 1, &nowhere).await;
    refused(&["up", "--listen", "127.0.0.1:0", "--import", &nowhere], &environment, 1, &nowhere).await;
    let (empty, strange) = (world.path("empty"), world.path("strange.jsonl"));
    std::fs::create_dir(&empty).unwrap();
    refused(&[&["import", &empty], &who[..]].concat(), &[], 1, "holds no conversations").await;
    std::fs::write(&strange, "\n{\"source\": \"elsewhere\"}\n").unwrap();
    refused(&[&["import", &strange], &who[..]].concat(), &[], 1, "strange.jsonl line 2").await;

    refused(&["rebuild", "weather"], &environment, 1, "there is no read model \"weather\"").await;
    let call = Uuid::now_v7().to_string();
    refused(&["replay", &call], &environment, 1, &format!("there is no call {call}")).await;
    refused(&["relay", "--listen", "127.0.0.1:0"], &environment, 1, "the relay needs KAFKA_BROKERS").await;
    refused(&["relay", "--from", "1"], &environment, 1, "KAFKA_BROKERS is needed").await;
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let listen = taken.local_addr().unwrap().to_string();
    refused(&["up", "--listen", &listen], &environment, 1, &format!("listening on {listen}")).await;
}

/// A start that fails must not use up the one time the password is shown.
#[tokio::test]
async fn the_password_is_shown_by_the_first_start_that_succeeds() {
    let world = World::new().await;
    sqlx::query("DELETE FROM users").execute(&world.database.pool).await.unwrap();
    let environment = [("DATABASE_URL", world.database.url.as_str()), ("JWT_SECRET", "too short")];
    refused(&["up", "--listen", "127.0.0.1:0"], &environment, 1, "JWT_SECRET must have at least 32 bytes").await;
    let voice = world.served(&[], &[]).await;
    assert!(voice.line("Login").await.contains("shown this once"));
    assert!(voice.terminate().await.success());
    let voice = world.served(&[], &[]).await;
    assert!(voice.line("Login").await.contains("as before"));
}
