//! What read models could not take, for those who run the system: listed, looked at, taken up again.

use std::collections::HashMap;

use async_graphql::{Context, Enum, InputObject, Object, Result, SimpleObject};
use chrono::{DateTime, Utc};
use projections::models::Scroll;
use projections::{ParkedFilter, ParkedPlace, RetryError, UnknownModel, log, parked_keys, read_model, retry_parked};
use uuid::Uuid;

use super::cost;
use super::dashboard::Zone;
use super::events::StoredEvent;
use super::pages::{Connection, PageArgs};
use super::scalars::Position;
use crate::auth::RequireAll;
use crate::error::{bad_input, code, coded, internal, unavailable};
use crate::views::Views;

/// Hint for a client whose read model was busy, in milliseconds.
const BUSY_RETRY_MS: u32 = 1_000;

/// A key that a read model has stopped to follow because it could not take one of its events. Everything else goes on.
#[derive(SimpleObject)]
struct ParkedKey {
    /// The read model.
    projection: String,
    /// The call or agent whose events are not taken.
    key: Uuid,
    /// Place of the event that could not be taken.
    position: Position,
    /// The event that could not be taken.
    event: StoredEvent,
    /// Why not.
    error: String,
    /// How often taking it was tried.
    attempts: i32,
    /// Since when it is parked.
    parked_at: DateTime<Utc>,
    /// Later events of the key, which wait behind that one.
    waiting: i64,
}

/// A parked key to take up again.
#[derive(InputObject)]
struct RetryParkedKeyInput {
    /// The read model.
    projection: String,
    /// The key.
    key: Uuid,
}

/// What became of a parked key.
#[derive(Enum, Debug, Clone, Copy, PartialEq, Eq)]
enum RetryOutcome {
    /// Its events are taken; the read model goes on with the key.
    TakenUp,
    /// One of its events still can't be taken.
    StillParked,
    /// Nothing of it was parked.
    NothingParked,
}

/// What became of a parked key, and how far it got.
#[derive(SimpleObject)]
struct RetryParkedKeyPayload {
    /// The read model.
    projection: String,
    /// The key.
    key: Uuid,
    /// What became of it.
    outcome: RetryOutcome,
    /// Events that were taken now.
    folded: i64,
    /// Place of the event that still can't be taken.
    stopped_at: Option<Position>,
    /// Why not.
    error: Option<String>,
}

fn unknown(error: UnknownModel) -> async_graphql::Error {
    bad_input("projection", "PROJECTION_UNKNOWN", error)
}

fn not_retried(error: RetryError) -> async_graphql::Error {
    match error {
        RetryError::OtherVersion { .. } => coded(code::CONFLICT, error.to_string()),
        RetryError::Busy { .. } => unavailable("PROJECTION_BUSY", &error.to_string(), BUSY_RETRY_MS),
        RetryError::Log(_) | RetryError::Database(_) => internal(&error),
    }
}

/// Parked keys with the events they stopped at: two statements, however many.
async fn with_events(context: &Context<'_>, keys: Vec<projections::ParkedKey>) -> Result<Vec<ParkedKey>> {
    let positions: Vec<domain::Position> = keys.iter().map(|parked| parked.position).collect();
    let events = log::at_positions(&context.data::<Views>()?.database, &positions).await;
    let events: HashMap<domain::Position, domain::Recorded> =
        events.map_err(|error| internal(&error))?.into_iter().map(|event| (event.position, event)).collect();
    let shown = |parked: projections::ParkedKey| {
        let event = events.get(&parked.position)?;
        Some(ParkedKey {
            projection: parked.projection,
            key: parked.key,
            position: Position(parked.position),
            event: event.into(),
            error: parked.error,
            attempts: parked.attempts,
            parked_at: parked.parked_at,
            waiting: parked.waiting,
        })
    };
    Ok(keys.into_iter().filter_map(shown).collect())
}

/// Queries about what is parked.
#[derive(Default)]
pub(crate) struct ParkedQuery;

#[Object]
impl ParkedQuery {
    /// Keys that read models have stopped to follow, by read model and by the place they stopped at.
    #[graphql(guard = "RequireAll(\"projection\", \"read\")", complexity = "cost::page(first, last, child_complexity)")]
    async fn parked_keys(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "Only those of this read model, such as `calls`.")] projection: Option<String>,
        #[graphql(desc = "How many from the beginning, 1 to 100; 20 when absent.")] first: Option<i32>,
        #[graphql(desc = "Those after this cursor.")] after: Option<String>,
        #[graphql(desc = "How many from the end, 1 to 100.")] last: Option<i32>,
        #[graphql(desc = "Those before this cursor.")] before: Option<String>,
    ) -> Result<Connection<ParkedKey>> {
        if let Some(name) = &projection {
            read_model(context.data::<Zone>()?.0, name).map_err(unknown)?;
        }
        let page = PageArgs { first, after, last, before }.query::<ParkedPlace>(context, "page:parkedKeys")?;
        let filter = ParkedFilter { projection: projection.as_deref(), key: None };
        let database = &context.data::<Views>()?.database;
        let keys = parked_keys(database, filter, page.cursor.as_ref(), page.scroll, page.limit).await;
        let keys = with_events(context, keys.map_err(|error| internal(&error))?).await?;
        page.connection(context, keys, |parked| (parked.projection.clone(), parked.position.0), |parked| parked)
    }

    /// A key that a read model has stopped to follow. Null: it follows the key.
    #[graphql(guard = "RequireAll(\"projection\", \"read\")")]
    async fn parked_key(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "The read model, such as `calls`.")] projection: String,
        #[graphql(desc = "The call or agent.")] key: Uuid,
    ) -> Result<Option<ParkedKey>> {
        read_model(context.data::<Zone>()?.0, &projection).map_err(unknown)?;
        let filter = ParkedFilter { projection: Some(&projection), key: Some(key) };
        let found = parked_keys(&context.data::<Views>()?.database, filter, None, Scroll::Forward, 1).await;
        Ok(with_events(context, found.map_err(|error| internal(&error))?).await?.pop())
    }
}

/// Commands about what is parked.
#[derive(Default)]
pub(crate) struct ParkedCommands;

#[Object]
impl ParkedCommands {
    /// Take a parked key up again, once the fault has been mended: its events are taken in order, until one can't be. Sent
    /// again, it goes on where it stopped; a key that is not parked is left alone.
    #[graphql(guard = "RequireAll(\"projection\", \"update\")")]
    async fn retry_parked_key(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "Which one.")] input: RetryParkedKeyInput,
    ) -> Result<RetryParkedKeyPayload> {
        let model = read_model(context.data::<Zone>()?.0, &input.projection).map_err(unknown)?;
        let (database, key) = (context.data::<Views>()?.database.clone(), input.key);
        // On a task of its own: who asked may go in the middle of a transaction.
        let retried = tokio::spawn(async move { retry_parked(&database, model.as_ref(), key).await }).await;
        let retried = retried.map_err(|error| internal(&error))?.map_err(not_retried)?;
        let (stopped_at, error) = retried.stopped_at.map(|(position, error)| (Position(position), error)).unzip();
        let outcome = match (retried.folded, stopped_at) {
            (_, Some(_)) => RetryOutcome::StillParked,
            (0, None) => RetryOutcome::NothingParked,
            (_, None) => RetryOutcome::TakenUp,
        };
        let folded = i64::try_from(retried.folded).unwrap_or(i64::MAX);
        Ok(RetryParkedKeyPayload { projection: input.projection, key, outcome, folded, stopped_at, error })
    }
}
