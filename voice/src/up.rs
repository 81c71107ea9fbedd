//! `voice up`: everything in one process, on a private PostgreSQL unless one is named.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use api::{Limits, Policy};
use commands::{Database, Users};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::accounts::{ADMIN, IMPORTER, first_administrator, importer_password};
use crate::config::UpArgs;
use crate::embedded::{self, Embedded};
use crate::import::{self, Conversation, Import};
use crate::node::{Node, Roles};
use crate::terminal::say;

/// Runs until shutdown.
pub(crate) async fn run(args: UpArgs, shutdown: CancellationToken) -> Result<()> {
    let directory = args.data_dir.clone().unwrap_or_else(embedded::default_directory);
    let listen = args.common.listen.listen;
    // Before anything is started: a wrong path and a taken port are the most likely mistakes.
    let conversations = args.import.as_deref().map(import::read).transpose()?;
    let edge = args.edge.read()?;
    let listener = api::listen(listen).with_context(|| format!("listening on {listen}"))?;
    let (server, url) = match &args.database_url {
        Some(url) => (None, url.clone()),
        None => {
            let server = Embedded::start(&directory).await?;
            let url = server.url.clone();
            (Some(server), url)
        }
    };
    let serving = serve(&args, edge, &url, &directory, conversations, listener, shutdown);
    let Some(server) = server else { return serving.await };
    let ran = tokio::select! {
        ran = serving => ran,
        never = server.keep_running() => match never {},
    };
    ran.and(server.stop().await.context("stopping the private PostgreSQL"))
}

async fn serve(
    args: &UpArgs,
    edge: (Limits, Policy),
    url: &str,
    directory: &Path,
    conversations: Option<Vec<Conversation>>,
    listener: TcpListener,
    shutdown: CancellationToken,
) -> Result<()> {
    let database = commands::connect(url, args.common.database_connections).await?;
    commands::migrate(&database).await?;
    let users = Users::new(database.clone());
    let address = listener.local_addr()?;
    let shows_graphiql = !edge.1.production;
    let node = Node::start(Roles::ALL, database.clone(), &args.common, edge).await?;
    // Nothing may fail between the making of the password and the showing of it.
    let password = first_administrator(&users).await?;
    say(format_args!("GraphQL    http://{address}/graphql   (POST, and WebSocket graphql-transport-ws)"));
    if shows_graphiql {
        say(format_args!("GraphiQL   http://{address}/graphiql"));
    }
    say(format_args!("Health     http://{address}/health/ready"));
    match password {
        Some(password) => say(format_args!("Login      {ADMIN}   password {password}   (shown this once)")),
        None => say(format_args!("Login      as before; the first administrator is {ADMIN}")),
    }
    let serving = node.serve(listener, shutdown.clone());
    let Some(conversations) = conversations else { return serving.await };
    let url = format!("http://{address}");
    let playing = play(args, &conversations, directory, &url, users, database, shutdown.clone());
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
    conversations: &[Conversation],
    directory: &Path,
    url: &str,
    users: Users,
    database: Database,
    shutdown: CancellationToken,
) -> Result<()> {
    let password = importer_password(&users).await?;
    let log = projections::log::epoch(&database).await?;
    let note = Note { path: directory.join("import-run"), log };
    let run = match note.read() {
        Some(run) => run,
        None => note.write()?,
    };
    let import = Import { conversations, url, email: IMPORTER, password: &password, run: &run, pace: &args.pace };
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

    /// Notes a new run before anything is played.
    fn write(&self) -> Result<String> {
        if let Some(directory) = self.path.parent() {
            std::fs::create_dir_all(directory)?;
        }
        let run = Uuid::new_v4().to_string();
        std::fs::write(&self.path, format!("{} {run}\n", self.log)).context("noting the import's run")?;
        Ok(run)
    }

    fn remove(&self) {
        if let Err(error) = std::fs::remove_file(&self.path) {
            tracing::warn!(%error, "the note of the finished run could not be removed");
        }
    }
}
