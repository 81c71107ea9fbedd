//! `voice parked`: what read models could not take, and taking it up again once the fault has been mended.

use anyhow::{Result, bail};
use projections::{ParkedEvent, parked_events, read_model, read_models, retry_parked};

use crate::config::ParkedArgs;
use crate::terminal::say;

/// Connections of this command.
const CONNECTIONS: u32 = 2;
/// Most events shown at once.
const SHOWN_MAX: i64 = 1_000;

/// Lists what is parked, or takes a key up again.
pub(crate) async fn run(args: &ParkedArgs) -> Result<()> {
    let database = commands::connect(&args.database.database_url, CONNECTIONS).await?;
    let named = args.projection.as_deref();
    let models = match named {
        Some(name) => vec![read_model(args.time_zone, name)?],
        None => read_models(args.time_zone),
    };
    let Some(key) = args.retry else {
        let parked = parked_events(&database, named, SHOWN_MAX + 1).await?;
        let shown = usize::try_from(SHOWN_MAX).unwrap_or(usize::MAX).min(parked.len());
        parked[..shown].iter().for_each(show);
        match (parked.len(), parked.len() - shown) {
            (0, _) => say("nothing is parked"),
            (_, 0) => {}
            (_, _) => say(format_args!("and more: these are the first {shown}")),
        }
        return Ok(());
    };
    let mut folded = 0;
    for model in models {
        let retried = retry_parked(&database, model.as_ref(), key).await?;
        folded += retried.folded;
        if let Some((position, error)) = retried.stopped_at {
            bail!(
                "{}: {} events were folded; the one at position {position} still can't be: {error}",
                model.name(),
                retried.folded
            );
        }
    }
    say(format_args!("{folded} parked events of {key} were folded"));
    Ok(())
}

/// One event a line: where, what, since when, how often it was tried, and why it could not be taken.
fn show(event: &ParkedEvent) {
    let ParkedEvent { projection, position, key, event_type, error, attempts, parked_at } = event;
    let since = parked_at.format("%Y-%m-%dT%H:%M:%SZ");
    say(format_args!(
        "{projection}  position {position}  key {key}  {event_type}  since {since}  tried {attempts}  {error}"
    ));
}
