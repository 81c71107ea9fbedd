//! The one program. It reads its configuration, starts roles in order and stops them in order; it has no rules of its own.

mod accounts;
mod config;
mod drain;
mod edge;
mod embedded;
mod files;
mod health;
mod import;
mod limits;
mod node;
mod parked;
mod terminal;
mod tools;
mod up;

use std::io::IsTerminal;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::Parser;
use commands::Users;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

use accounts::ADMIN;
use config::{Cli, Command, RoleArgs};
use edge::EdgeArgs;
use node::{Node, Roles};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = Cli::parse();
    // PostgreSQL's notices, such as "does not exist, skipping", say nothing to who runs the system.
    let filter =
        EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info,sqlx::postgres::notice=warn"));
    // Standard output belongs to what was asked for.
    let ansi = std::io::stderr().is_terminal();
    tracing_subscriber::fmt().with_env_filter(filter).with_ansi(ansi).with_writer(std::io::stderr).init();
    let ran = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => {
            let ran = runtime.block_on(run(cli.command));
            // What was cut off at its bound must not keep the process from ending.
            runtime.shutdown_background();
            ran
        }
        Err(error) => Err(error.into()),
    };
    match ran {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            terminal::complain(format_args!("voice: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

async fn run(command: Command) -> Result<()> {
    let shutdown = CancellationToken::new();
    tokio::spawn(signals(shutdown.clone()));
    let role = |api, ingest, projections, relay| Roles { api, ingest, projections, relay };
    match command {
        Command::Up(args) => up::run(args, shutdown).await,
        Command::Api(args) => serve(role(true, false, false, false), &args.role, Some(&args.edge), shutdown).await,
        Command::Ingest(args) => serve(role(false, true, false, false), &args, None, shutdown).await,
        Command::Projections(args) => serve(role(false, false, true, false), &args, None, shutdown).await,
        Command::Relay(args) => match args.from {
            Some(from) => unless_stopped(&shutdown, tools::publish_again(&args, from)).await,
            None => serve(role(false, false, false, true), &args.role, None, shutdown).await,
        },
        Command::Migrate(args) => unless_stopped(&shutdown, tools::migrate(&args)).await,
        Command::Rebuild(args) => unless_stopped(&shutdown, tools::rebuild_model(&args)).await,
        Command::Parked(args) => unless_stopped(&shutdown, parked::run(&args)).await,
        Command::Replay(args) => tools::replay(&args, shutdown).await,
        Command::Import(args) => tools::import(&args, shutdown).await,
        Command::Schema => {
            terminal::say(format_args!("{}", api::schema_sdl().trim_end()));
            Ok(())
        }
    }
}

async fn serve(roles: Roles, args: &RoleArgs, edge: Option<&EdgeArgs>, shutdown: CancellationToken) -> Result<()> {
    let edge = edge.map(EdgeArgs::read).transpose()?.unwrap_or_default();
    let listen = args.common.listen.listen;
    let listener = api::listen(listen).with_context(|| format!("listening on {listen}"))?;
    let database = commands::connect(&args.database.database_url, args.common.database_connections).await?;
    let node = Node::start(roles, database.clone(), &args.common, edge).await?;
    terminal::say(format_args!("ready on http://{}", listener.local_addr()?));
    if roles.api
        && let Some(password) = accounts::first_administrator(&Users::new(database)).await?
    {
        terminal::say(format_args!("Login      {ADMIN}   password {password}   (shown this once)"));
    }
    node.serve(listener, shutdown).await
}

/// Does a thing that can be cut off anywhere, until it is done or the process is to end.
async fn unless_stopped(shutdown: &CancellationToken, work: impl Future<Output = Result<()>>) -> Result<()> {
    shutdown.run_until_cancelled(work).await.unwrap_or_else(|| bail!("stopped before it was done"))
}

/// Ends the process in order at the first SIGTERM or SIGINT.
async fn signals(shutdown: CancellationToken) {
    let (Ok(mut terminate), Ok(mut interrupt)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        tracing::error!("signals can't be received; only a kill will end this process");
        return;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::info!("stopping");
    shutdown.cancel();
}
