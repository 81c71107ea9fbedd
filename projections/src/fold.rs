//! One batch of events into the tables of one read model: what the projector and the rebuild have in common.
//!
//! The distinction that matters here: is an event at fault, or the machinery? An event that can't be decoded or folded
//! parks its key, and everything later of the same key waits behind it. When the machinery fails, nothing is decided.

use std::any::Any;
use std::collections::HashSet;
use std::error::Error;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use domain::{Position, Recorded};
use futures_util::FutureExt;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::feed::Followed;
use crate::read_model::{Change, Decoded, ReadModel};

/// Most keys that one projection may have parked. Beyond it the fault is hardly in the events.
pub(crate) const PARKED_KEYS_MAX: usize = 10_000;
/// Longest error text that is stored with a parked event.
const ERROR_BYTES_MAX: usize = 2_000;

/// Why a batch was not folded. Nothing of it was.
#[derive(Debug)]
pub(crate) enum Failure {
    /// One of the events can't be folded.
    Poison(String),
    /// The database, the network, or tables that are not there: worth another try.
    Machinery(sqlx::Error),
}

/// An event that is not folded, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Parked {
    pub(crate) position: Position,
    pub(crate) key: Uuid,
    pub(crate) error: String,
}

/// Consecutive events, sorted into those to fold and those to park.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    /// Position of the last event.
    pub(crate) upto: Position,
    pub(crate) decoded: Vec<Arc<Followed>>,
    pub(crate) parked: Vec<Parked>,
}

impl Batch {
    /// Decodes events. Those of a parked key, and those that can't be decoded, are parked.
    pub(crate) fn of(events: &[Arc<Followed>], parked_keys: &HashSet<Uuid>) -> Self {
        let mut batch = Self::default();
        let mut parked_here: HashSet<Uuid> = HashSet::new();
        for event in events {
            let recorded = &event.recorded;
            let (position, key) = (recorded.position, recorded.stream.id);
            batch.upto = position;
            if parked_keys.contains(&key) || parked_here.contains(&key) {
                let error = "waits behind an earlier event of its key".to_owned();
                batch.parked.push(Parked { position, key, error });
                continue;
            }
            match event.decoded() {
                Ok(_) => batch.decoded.push(Arc::clone(event)),
                Err(error) => {
                    parked_here.insert(key);
                    batch.parked.push(Parked { position, key, error: chain(error) });
                }
            }
        }
        batch
    }

    /// What is to be folded.
    pub(crate) fn events(&self) -> Vec<&Decoded> {
        // None of them is left out: those that can't be decoded are parked.
        self.decoded.iter().filter_map(|event| event.decoded().ok()).collect()
    }

    /// One event that was tried by itself and could not be folded.
    pub(crate) fn parking(event: &Recorded, error: String) -> Self {
        let parked = Parked { position: event.position, key: event.stream.id, error };
        Self { upto: event.position, decoded: Vec::new(), parked: vec![parked] }
    }

    /// Marks the keys of what was parked, once that is committed. `false`: they are too many.
    #[must_use]
    pub(crate) fn mark_parked(&self, parked_keys: &mut HashSet<Uuid>) -> bool {
        parked_keys.extend(self.parked.iter().map(|parked| parked.key));
        parked_keys.len() <= PARKED_KEYS_MAX
    }
}

/// Folds decoded events inside a transaction of the caller, whose `search_path` names the tables' schema. A panic counts
/// as the fault of an event. After a failure the transaction is of no use any more.
pub(crate) async fn apply(
    model: &dyn ReadModel,
    connection: &mut PgConnection,
    decoded: &[&Decoded],
) -> Result<Vec<Change>, Failure> {
    if decoded.is_empty() {
        return Ok(Vec::new());
    }
    match AssertUnwindSafe(model.apply(connection, decoded)).catch_unwind().await {
        Ok(folded) => folded.map_err(failure),
        Err(panic) => Err(Failure::Poison(format!("panicked: {}", panic_text(panic.as_ref())))),
    }
}

/// Sorts an error of a statement, or of a commit that checks what was put off.
pub(crate) fn failure(error: sqlx::Error) -> Failure {
    if is_machinery(&error) { Failure::Machinery(error) } else { Failure::Poison(chain(&error)) }
}

/// Stores what is parked, under the name of a projection.
pub(crate) async fn park(
    connection: &mut PgConnection,
    projection: &str,
    parked: &[Parked],
) -> Result<(), sqlx::Error> {
    if parked.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "INSERT INTO public.parked_events (projection, position, key, error)
         SELECT $1, p.position, p.key, p.error FROM unnest($2::bigint[], $3::uuid[], $4::text[]) p (position, key, error)",
    )
    .bind(projection)
    .bind(parked.iter().map(|p| p.position).collect::<Vec<_>>())
    .bind(parked.iter().map(|p| p.key).collect::<Vec<_>>())
    .bind(parked.iter().map(|p| shortened(&p.error)).collect::<Vec<_>>())
    .execute(connection)
    .await?;
    for event in parked {
        tracing::warn!(projection, position = event.position, key = %event.key, error = event.error, "event parked");
    }
    Ok(())
}

/// Whether an error says nothing about the events: connections, locks, resources, shutdown, and statements that don't fit
/// the tables they find. Codes of PostgreSQL, appendix A, by class.
fn is_machinery(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Database(database) => match database.code().as_deref().map(|code| code.get(..2).unwrap_or(code)) {
            // Data exceptions, violated constraints, too many rows, errors raised by functions, limits on sizes.
            Some("21" | "22" | "23" | "44" | "P0" | "54") => false,
            Some(_) | None => true,
        },
        sqlx::Error::RowNotFound
        | sqlx::Error::ColumnDecode { .. }
        | sqlx::Error::Decode(_)
        | sqlx::Error::Encode(_)
        | sqlx::Error::InvalidArgument(_) => false,
        _ => true,
    }
}

/// An error with its causes.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let said = cause.to_string();
        // Some errors repeat their cause.
        if !text.ends_with(&said) {
            text.push_str(": ");
            text.push_str(&said);
        }
        source = cause.source();
    }
    text
}

fn panic_text(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("without a text")
}

fn shortened(text: &str) -> &str {
    let mut end = text.len().min(ERROR_BYTES_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}
