//! The commands that do one thing and end.

use anyhow::{Context, Result, bail};
use commands::relay::{self, RelayConfig};
use projections::log::of_stream_id;
use projections::{Comparison, Options, RebuildProgress, read_model, rebuild};
use tokio_util::sync::CancellationToken;

use crate::config::{DatabaseArgs, ImportArgs, RebuildArgs, RelayArgs, ReplayArgs};
use crate::import::{self, Import};
use crate::terminal::say;

/// Connections of a command that does one thing.
const CONNECTIONS: u32 = 6;
/// Events of a replay read at once.
const REPLAY_EVENTS: usize = 1_000;

pub(crate) async fn migrate(args: &DatabaseArgs) -> Result<()> {
    let database = commands::connect(&args.database_url, CONNECTIONS).await?;
    commands::migrate(&database).await?;
    say("the database is up to date");
    Ok(())
}

pub(crate) async fn rebuild_model(args: &RebuildArgs) -> Result<()> {
    let database = commands::connect(&args.database.database_url, CONNECTIONS).await?;
    let model = read_model(args.time_zone, &args.name)?;
    let options = Options { accept_difference: args.accept_difference };
    let shown = |progress: RebuildProgress| {
        say(format_args!("{}: {} of {} events", args.name, progress.position, progress.target));
    };
    let report = rebuild(&database, model.as_ref(), options, &shown).await?;
    let rows: i64 = report.tables.iter().map(|(_, rows)| rows).sum();
    let found = match report.comparison {
        Comparison::Equal { .. } => "equal to the view before".to_owned(),
        Comparison::Accepted { tables, .. } => format!("different from the view before in {}", tables.join(", ")),
        Comparison::NothingStored => "the first view of its kind".to_owned(),
        Comparison::TablesMissing(tables) => format!("not compared: {} were missing", tables.join(", ")),
        Comparison::OtherVersion(version) => format!("not compared: the view before had version {version}"),
    };
    let seconds = report.duration.as_secs_f64();
    say(format_args!("{}: {rows} rows up to position {}, {found}, {seconds:.1} s", args.name, report.position));
    if report.parked_events > 0 {
        say(format_args!("{}: {} events are parked", args.name, report.parked_events));
    }
    Ok(())
}

/// One JSON event a line, in the call's own time.
pub(crate) async fn replay(args: &ReplayArgs, shutdown: CancellationToken) -> Result<()> {
    let database = commands::connect(&args.database.database_url, CONNECTIONS).await?;
    let (mut after, mut before) = (0, None);
    loop {
        let page = of_stream_id(&database, args.call_id, after, REPLAY_EVENTS).await?;
        let Some(last) = page.last() else { break };
        after = last.position;
        for event in page {
            let pause = before.map_or(chrono::TimeDelta::zero(), |before| event.occurred_at - before);
            before = Some(event.occurred_at);
            // Times of different witnesses may go backwards a little: then there is nothing to wait for.
            let pause = pause.to_std().unwrap_or_default().div_f64(args.speed);
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = shutdown.cancelled() => return Ok(()),
            }
            say(serde_json::to_string(&event)?);
        }
    }
    if before.is_none() {
        bail!("there is no call {}", args.call_id);
    }
    Ok(())
}

pub(crate) async fn import(args: &ImportArgs, shutdown: CancellationToken) -> Result<()> {
    let conversations = import::read(&args.path)?;
    let run = args.run.clone().unwrap_or_else(|| uuid::Uuid::new_v4().to_string());
    let (url, email, password, pace) = (&args.url, &args.email, &args.password, &args.pace);
    let import = Import { conversations: &conversations, url, email, password, run: &run, pace };
    let played = import::run(import, shutdown).await;
    played.with_context(|| format!("to go on where the import was cut off, give it --run {run}"))
}

/// Makes the relay publish again from a position.
pub(crate) async fn publish_again(args: &RelayArgs, from: i64) -> Result<()> {
    let kafka = &args.role.common.kafka;
    let brokers = kafka.kafka_brokers.clone().context("KAFKA_BROKERS is needed")?;
    let database = commands::connect(&args.role.database.database_url, CONNECTIONS).await?;
    let config = RelayConfig { brokers, topic: kafka.kafka_topic.clone() };
    relay::publish_from(&database, &config, from).await?;
    say(format_args!("the relay publishes again from position {from}"));
    Ok(())
}
