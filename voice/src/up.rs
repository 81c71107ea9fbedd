//! `voice up`: everything in one process, on a private PostgreSQL unless one is named.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use commands::{Database, NewUser, UserError, Users};
use domain::permission::Role;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::config::UpArgs;
use crate::embedded::{self, Embedded};
use crate::import::{self, Import};
use crate::node::{Node, Roles};
use crate::terminal::say;

const ADMIN: &str = "admin@voice.local";
const IMPORTER: &str = "importer@voice.local";
/// Bytes of a password that is made here.
const PASSWORD_BYTES: usize = 18;

/// Runs until shutdown.
pub(crate) async fn run(args: UpArgs, shutdown: CancellationToken) -> Result<()> {
    let directory = args.data_dir.clone().unwrap_or_else(embedded::default_directory);
    let listen = args.common.listen.listen;
    // Before anything is started: a taken port is the most likely mistake.
    let listener = TcpListener::bind(listen).await.with_context(|| format!("listening on {listen}"))?;
    let (server, url) = match &args.database_url {
        Some(url) => (None, url.clone()),
        None => {
            let server = Embedded::start(&directory).await?;
            let url = server.url.clone();
            (Some(server), url)
        }
    };
    let ran = serve(&args, &url, &directory, listener, shutdown).await;
    if let Some(server) = server {
        server.stop().await.context("stopping the private PostgreSQL")?;
    }
    ran
}

async fn serve(
    args: &UpArgs,
    url: &str,
    directory: &Path,
    listener: TcpListener,
    shutdown: CancellationToken,
) -> Result<()> {
    let database = commands::connect(url, args.common.database_connections).await?;
    commands::migrate(&database).await?;
    let users = Users::new(database.clone());
    let password = first_administrator(&users).await?;
    let address = listener.local_addr()?;
    let node = Node::start(Roles::ALL, database.clone(), &args.common).await?;
    say(format_args!("GraphQL    http://{address}/graphql   (POST, and WebSocket graphql-transport-ws)"));
    say(format_args!("GraphiQL   http://{address}/graphiql"));
    say(format_args!("Health     http://{address}/health/ready"));
    match password {
        Some(password) => say(format_args!("Login      {ADMIN}   password {password}   (shown this once)")),
        None => say(format_args!("Login      as before; the first administrator is {ADMIN}")),
    }
    let serving = node.serve(listener, shutdown.clone());
    let Some(path) = &args.import else { return serving.await };
    let playing = play(args, path.clone(), directory, format!("http://{address}"), users, database, shutdown.clone());
    let playing = async {
        if let Err(error) = playing.await
            && !shutdown.is_cancelled()
        {
            tracing::error!(error = format!("{error:#}"), "the import failed");
        }
        std::future::pending::<()>().await;
    };
    tokio::select! {
        served = serving => served,
        () = playing => Ok(()),
    }
}

/// Plays conversations under a run's name that is kept until the run is done, so that a run that was cut off goes on.
async fn play(
    args: &UpArgs,
    path: PathBuf,
    directory: &Path,
    url: String,
    users: Users,
    database: Database,
    shutdown: CancellationToken,
) -> Result<()> {
    let password = importer_password(&users).await?;
    let log = projections::log::epoch(&database).await?;
    let note = Note { path: directory.join("import-run"), log };
    let run = note.read().unwrap_or_else(|| Uuid::new_v4().to_string());
    note.write(&run)?;
    let import = Import { path: &path, url: &url, email: IMPORTER, password: &password, run: &run, pace: &args.pace };
    import::run(import, shutdown).await?;
    note.remove();
    Ok(())
}

/// The name of the run that is under way, and of the log it plays into.
struct Note {
    path: PathBuf,
    log: Uuid,
}

impl Note {
    fn read(&self) -> Option<String> {
        let text = std::fs::read_to_string(&self.path).ok()?;
        let (log, run) = text.trim().split_once(' ')?;
        (log == self.log.to_string()).then(|| run.to_owned())
    }

    fn write(&self, run: &str) -> Result<()> {
        if let Some(directory) = self.path.parent() {
            std::fs::create_dir_all(directory)?;
        }
        std::fs::write(&self.path, format!("{} {run}\n", self.log)).context("noting the import's run")
    }

    fn remove(&self) {
        if let Err(error) = std::fs::remove_file(&self.path) {
            tracing::warn!(%error, "the note of the finished run could not be removed");
        }
    }
}

/// Makes the first administrator on an empty system; the password is returned once and kept nowhere.
async fn first_administrator(users: &Users) -> Result<Option<String>> {
    let password = password();
    let new = NewUser {
        email: ADMIN.to_owned(),
        name: "Administrator".to_owned(),
        role: Role::Admin,
        permissions: Vec::new(),
        agent_id: None,
        password: password.clone(),
    };
    Ok(users.create_first(new).await?.map(|_| password))
}

/// A user for the import that this process runs, with a password that nobody else ever knows.
async fn importer_password(users: &Users) -> Result<String> {
    let password = password();
    let new = NewUser {
        email: IMPORTER.to_owned(),
        name: "Importer".to_owned(),
        role: Role::Supervisor,
        permissions: Vec::new(),
        agent_id: None,
        password: password.clone(),
    };
    match users.create(new).await {
        Ok(_) => {}
        Err(UserError::EmailTaken) => {
            let user = users.find_by_email(IMPORTER).await?.context("the importer's account is gone")?;
            users.set_password(user.id, password.clone()).await?;
        }
        Err(error) => return Err(error.into()),
    }
    Ok(password)
}

fn password() -> String {
    // Letters and digits that are not mistaken for one another; 32 of them, so that a byte's low bits choose evenly.
    const ALPHABET: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
    let bytes: [u8; PASSWORD_BYTES] = rand::random();
    bytes.iter().map(|byte| char::from(ALPHABET[usize::from(byte % 32)])).collect()
}
