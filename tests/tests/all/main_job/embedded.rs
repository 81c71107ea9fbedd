//! `voice up` with nothing configured: a private PostgreSQL under a data directory.

use std::cell::OnceCell;
use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::PathBuf;

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, Uid};
use serde_json::json;
use sqlx::PgPool;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use tempfile::TempDir;
use tests::Voice;
use tests::process::Ended;

use super::{conversations, sign_in, stored};
use crate::view::until;

/// A data directory. Dropping it ends the server that a killed process left behind.
struct Data {
    directory: TempDir,
}

impl Data {
    fn new() -> Self {
        let directory = TempDir::new().unwrap();
        fs::set_permissions(directory.path(), Permissions::from_mode(0o711)).unwrap();
        Self { directory }
    }

    fn postgres(&self) -> PathBuf {
        self.directory.path().join("postgres")
    }

    fn up(&self) -> Voice {
        self.up_with(&[])
    }

    fn up_with(&self, more: &[&str]) -> Voice {
        let directory = self.directory.path().to_str().unwrap();
        let up = ["up", "--listen", "127.0.0.1:0", "--data-dir", directory];
        // As somebody may have it who has another PostgreSQL beside.
        Voice::start(&[&up[..], more].concat(), &[("PGPORT", "1"), ("PGUSER", "nobody"), ("PGDATABASE", "nowhere")])
    }

    /// Connections to the private server, as soon as it takes them.
    async fn connect(&self) -> PgPool {
        let connected = OnceCell::new();
        until("PostgreSQL takes connections", async || {
            let noted = fs::read_to_string(self.postgres().join("data/postmaster.pid")).unwrap_or_default();
            let Some(socket) = noted.lines().nth(4).filter(|socket| !socket.is_empty()) else { return false };
            let options =
                PgConnectOptions::new_without_pgpass().socket(socket).port(5432).username("voice").database("voice");
            PgPoolOptions::new()
                .max_connections(2)
                .connect_with(options)
                .await
                .is_ok_and(|pool| connected.set(pool).is_ok())
        })
        .await;
        connected.into_inner().unwrap()
    }

    /// The private server's process, if it says that it runs.
    fn server(&self) -> Option<Pid> {
        let text = fs::read_to_string(self.postgres().join("data/postmaster.pid")).ok()?;
        text.lines().next()?.trim().parse().ok().map(Pid::from_raw)
    }
}

impl Drop for Data {
    fn drop(&mut self) {
        if let Some(server) = self.server() {
            kill(server, Signal::SIGQUIT).ok();
        }
    }
}

fn runs(server: Pid) -> bool {
    // A process that has ended may still wait to be buried, by whoever its parent is now.
    let stat = fs::read_to_string(format!("/proc/{server}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, state)| !state.starts_with('Z'))
}

async fn ended(server: Pid) {
    until("PostgreSQL has ended", async || !runs(server)).await;
}

/// The password that a start shows.
async fn password(voice: &Voice) -> Option<String> {
    let line = voice.line("Login").await;
    let shown = line.split_once("password ").map(|(_, rest)| rest.split_whitespace().next().unwrap().to_owned());
    assert_eq!(line.contains("shown this once"), shown.is_some());
    shown
}

#[tokio::test]
async fn one_directory_from_the_first_start_to_the_last() {
    let data = Data::new();
    let voice = data.up();
    let address = voice.address().await;
    for (what, path) in [("GraphQL", "graphql"), ("GraphiQL", "graphiql"), ("Health", "health/ready")] {
        assert!(voice.line(what).await.contains(&format!("http://{address}/{path}")));
    }
    let secret = password(&voice).await.expect("a password");
    let ready = || reqwest::get(format!("http://{address}/health/ready"));
    until("it is ready", async || ready().await.unwrap().status() == 200).await;
    let told = ready().await.unwrap().text().await.unwrap();
    assert!(told.contains(r#""ready":true"#) && told.contains(r#""name":"projection:calls""#), "{told}");
    let graphiql = reqwest::get(format!("http://{address}/graphiql")).await.unwrap().text().await.unwrap();
    assert!(graphiql.contains("/graphql"));
    let client = sign_in(address, "admin@voice.local", &secret).await;
    let initiate = json!({ "direction": "INBOUND", "from": "+12025550100", "to": "+12025550101" });
    let position = client.accepted("initiateCall", initiate).await;
    let server = data.server().expect("a server");
    if Uid::effective().is_root() {
        assert_ne!(fs::metadata(format!("/proc/{server}")).unwrap().uid(), 0, "PostgreSQL never runs as root");
    }

    let second = Voice::ended_of(data.up()).await;
    assert_eq!(second.status.code(), Some(1), "{second:?}");
    assert!(second.log.contains("another `voice up` uses"), "{second:?}");

    // The server outlives a process that is killed, and the next process takes it over.
    voice.kill().await;
    assert!(runs(server));
    let voice = data.up();
    voice.logged("taking it over").await;
    assert_eq!(password(&voice).await, None);
    assert_eq!(data.server(), Some(server));
    let client = sign_in(voice.address().await, "admin@voice.local", &secret).await;
    assert_eq!(client.query("{ logPosition }", json!({})).await, json!({ "logPosition": position }));
    assert!(voice.terminate().await.success());
    assert_eq!(data.server(), None);
    ended(server).await;

    // And a new one finds everything.
    let voice = data.up();
    let client = sign_in(voice.address().await, "admin@voice.local", &secret).await;
    assert_eq!(client.query("{ logPosition }", json!({})).await, json!({ "logPosition": position }));
    let server = data.server().expect("a server");
    assert!(voice.terminate().await.success());
    ended(server).await;
}

/// An orchestrator that is in a hurry: killed while PostgreSQL is being made, and while it starts, and started again at
/// once.
#[tokio::test]
async fn a_first_start_that_was_killed_is_begun_anew() {
    let data = Data::new();
    let voice = data.up();
    until("PostgreSQL is being made", async || {
        let entries = fs::read_dir(data.postgres()).into_iter().flatten().flatten();
        entries.filter(|entry| entry.file_name() != "run").count() > 0
    })
    .await;
    voice.kill().await;
    let voice = data.up();
    until("PostgreSQL starts", async || data.server().is_some()).await;
    voice.kill().await;
    let voice = data.up();
    let secret = password(&voice).await.expect("nobody has seen it yet");
    sign_in(voice.address().await, "admin@voice.local", &secret).await;
    assert!(voice.terminate().await.success());
    until("nothing is left of the first try", async || {
        let entries = fs::read_dir(data.postgres()).unwrap().map(|entry| entry.unwrap().file_name());
        entries.filter(|name| !["data", "run", "server.log"].iter().any(|known| name == known)).count() == 0
    })
    .await;
}

/// `kill -9` of one of PostgreSQL's processes, then of its first, in the middle of an import.
#[tokio::test]
async fn a_private_server_that_crashes_comes_back_and_nothing_is_lost() {
    let data = Data::new();
    let conversations = data.directory.path().join("conversations");
    conversations::short(conversations.to_str().unwrap());
    let expected = conversations::sentences(&conversations);
    let said = i64::try_from(expected.iter().map(Vec::len).sum::<usize>()).unwrap();
    let import = ["--import", conversations.to_str().unwrap(), "--speed", "40", "--gap-s", "2", "--agents", "2"];
    let voice = data.up_with(&import);
    voice.line("import: ").await;
    let server = data.server().expect("a server");

    let pool = data.connect().await;
    until("a part was said", async || stored::segments(&pool).await >= said / 4).await;
    let mut writer = None;
    until("one of its processes appends", async || {
        let appends = "SELECT pid FROM pg_stat_activity WHERE query LIKE 'WITH log AS%' LIMIT 1";
        writer = sqlx::query_scalar(appends).fetch_optional(&pool).await.unwrap();
        writer.is_some()
    })
    .await;
    kill(Pid::from_raw(writer.unwrap()), Signal::SIGKILL).unwrap();
    pool.close().await;
    assert_eq!(data.server(), Some(server), "it recovers by itself");

    let pool = data.connect().await;
    // It may be a moment before the server notices, and ends all connections.
    let more = async || stored::segments_if_it_answers(&pool).await.is_ok_and(|segments| segments >= said / 2);
    until("more was said", more).await;
    kill(server, Signal::SIGKILL).unwrap();
    pool.close().await;
    voice.logged("starting it again").await;
    voice.line("import finished").await;

    assert_ne!(data.server(), Some(server));
    let pool = data.connect().await;
    let head = stored::scored(&pool).await;
    stored::projected(&pool, head).await;
    let found = stored::stories(&pool).await.into_values().map(|story| story.sentences).collect();
    conversations::assert_said(found, &expected);
    pool.close().await;
    let server = data.server().expect("a server");
    assert!(voice.terminate().await.success());
    ended(server).await;
}

async fn refused(directory: &str, says: &str) {
    let ended: Ended = Voice::run(&["up", "--listen", "127.0.0.1:0", "--data-dir", directory], &[]).await;
    assert_eq!(ended.status.code(), Some(1), "{ended:?}");
    assert!(ended.log.contains(says), "{ended:?}");
}

#[tokio::test]
async fn a_directory_that_can_not_be_used_is_named() {
    let closed = TempDir::new().unwrap();
    let file = closed.path().join("file");
    fs::write(&file, "").unwrap();
    refused(file.join("data").to_str().unwrap(), file.to_str().unwrap()).await;
    if Uid::effective().is_root() {
        fs::set_permissions(closed.path(), Permissions::from_mode(0o700)).unwrap();
        let data = closed.path().join("data");
        refused(data.to_str().unwrap(), &format!("{} is closed to user", closed.path().display())).await;
    }
}
