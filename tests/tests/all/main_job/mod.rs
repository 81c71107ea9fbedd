//! The program as people run it: started, watched, killed, and started again.

mod clerk;
mod command_line;
mod conversations;
mod drain;
mod embedded;
mod feeds;
mod health;
mod kills;
mod live;
mod overload;
mod parked;
mod production;
mod rebuilds;
mod roles;
mod stored;
mod watcher;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use commands::{NewUser, Users};
use domain::permission::Role;
use serde_json::json;
use tempfile::TempDir;
use tests::{Client, TestDatabase, Voice};
use tokio::sync::watch;

/// Longest wait for anything in these tests.
const PATIENCE: Duration = Duration::from_secs(180);
const EMAIL: &str = "watcher@voice.test";
const PASSWORD: &str = "correct horse battery";

/// A database, a directory for files, and an administrator whose password is known.
struct World {
    database: TestDatabase,
    directory: TempDir,
    /// Where the server is that runs now; moves with each start.
    server: watch::Sender<Option<SocketAddr>>,
}

impl World {
    async fn new() -> Self {
        let database = TestDatabase::new().await;
        let administrator = NewUser {
            email: EMAIL.to_owned(),
            name: "Watcher".to_owned(),
            role: Role::Admin,
            permissions: Vec::new(),
            agent_id: None,
            password: PASSWORD.to_owned(),
        };
        Users::new(database.pool.clone()).create(administrator).await.unwrap();
        Self { database, directory: TempDir::new().unwrap(), server: watch::Sender::new(None) }
    }

    /// A path in the world's directory, as an argument.
    fn path(&self, name: &str) -> String {
        let path: PathBuf = self.directory.path().join(name);
        path.into_os_string().into_string().unwrap()
    }

    /// Starts everything in one process.
    fn up(&self, arguments: &[&str], environment: &[(&str, &str)]) -> Voice {
        let data = self.path("data");
        let mut all = vec!["up", "--listen", "127.0.0.1:0", "--database-connections", "12", "--data-dir", &data];
        all.extend(arguments);
        Voice::start(&all, &[&[("DATABASE_URL", self.database.url.as_str())], environment].concat())
    }

    /// Waits until a process serves, and tells those who watch.
    async fn serves(&self, voice: &Voice) -> SocketAddr {
        let address = voice.address().await;
        // Printed before the first request is taken; the socket takes it in at once.
        self.server.send_replace(Some(address));
        address
    }

    /// Everything in one process, serving.
    async fn served(&self, arguments: &[&str], environment: &[(&str, &str)]) -> Voice {
        let voice = self.up(arguments, environment);
        self.serves(&voice).await;
        voice
    }

    /// Somebody who is signed in at the server that runs now.
    async fn client(&self) -> Client {
        let address = self.server.borrow().expect("a server");
        sign_in(address, EMAIL, PASSWORD).await
    }
}

async fn sign_in(address: SocketAddr, email: &str, password: &str) -> Client {
    let document = "mutation ($input: LoginInput!) { login(input: $input) { accessToken } }";
    let input = json!({ "input": { "email": email, "password": password } });
    let data = Client::new(address, None).query(document, input).await;
    Client::new(address, Some(data["login"]["accessToken"].as_str().expect("a token").to_owned()))
}
