//! What belongs to a call and is kept elsewhere: agents, transcript, sentiment, history.
//!
//! The calls of one list share a [`Related`]: the first of them that is asked for its transcript reads those of all, in one
//! statement and in the snapshot that the calls come from. So the number of statements depends on the document, not on
//! the length of the list.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};

use async_graphql::{ComplexObject, Context, ID, Result};
use domain::{AgentId, CallId, Recorded};
use projections::Snapshot;
use projections::log::{of_stream_id, of_stream_id_before, of_stream_ids};
use projections::models::agents;
use projections::models::sentiment::{self, ScoreRow, summarise};
use projections::models::transcripts;
use projections::models::{Scroll, calls::CallView};
use tokio::sync::{MappedMutexGuard, Mutex as AsyncMutex, MutexGuard, OnceCell};

use super::agent_types::Agent;
use super::call_types::Call;
use super::cost;
use super::events::{HISTORY_DEFAULT, StoredEvent, history_place};
use super::node::{GlobalId, Kind};
use super::pages::{Connection, PageArgs, count_of};
use super::sentiment::{SentimentScore, SentimentSummary};
use super::transcripts::{Line, TranscriptSegment};
use crate::auth::{Permit, Require};
use crate::error::{beyond_limit, internal};
use crate::views::Views;

/// Most segments, or scores, that are read for all calls of a list together.
const ROWS_MAX: usize = 20_000;

/// What belongs to the calls of one list.
#[derive(Clone)]
pub(crate) struct Related(Arc<List>);

struct List {
    calls: Vec<CallId>,
    /// Of the calls' agents.
    agent_ids: Vec<AgentId>,
    /// Where the calls come from; begun when needed where they come from elsewhere.
    snapshot: AsyncMutex<Option<Snapshot>>,
    /// By whether their lists are asked for.
    agents: Asked<bool, AgentId, Arc<Agent>>,
    segments: Asked<Option<i64>, CallId, Arc<[TranscriptSegment]>>,
    /// Segments of which no more is shown.
    lines: Asked<Option<i64>, CallId, Arc<[Line]>>,
    scores: Asked<Option<i64>, CallId, Vec<ScoreRow>>,
    histories: Asked<(Scroll, usize), CallId, Vec<Recorded>>,
}

/// Rows by what they belong to.
type Rows<K, V> = HashMap<K, V>;

/// Answers to one kind of question, by its arguments. Each is asked once, and a failure is everybody's answer, too.
struct Asked<A, K, V>(Mutex<HashMap<A, Answer<K, V>>>);

/// Rows that are being read, or were.
type Answer<K, V> = Arc<OnceCell<Result<Rows<K, V>>>>;

impl<A, K, V> Default for Asked<A, K, V> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<A: Eq + Hash, K: Eq + Hash, V: Clone> Asked<A, K, V> {
    fn cell(&self, arguments: A) -> Answer<K, V> {
        let mut asked = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(asked.entry(arguments).or_default())
    }

    /// What belongs to one of the list, reading the rows of the whole list at the first question.
    async fn of(&self, arguments: A, key: &K, read: impl Future<Output = Result<Rows<K, V>>>) -> Result<Option<V>> {
        match self.cell(arguments).get_or_init(|| read).await {
            Ok(rows) => Ok(rows.get(key).cloned()),
            Err(error) => Err(error.clone()),
        }
    }

    /// Reads the rows of the whole list, if nobody did.
    async fn read(&self, arguments: A, read: impl Future<Output = Result<Rows<K, V>>>) -> Result<()> {
        self.cell(arguments).get_or_init(|| read).await.as_ref().map(drop).map_err(Clone::clone)
    }

    /// The same of rows that were read.
    fn known(&self, arguments: &A, key: &K) -> Option<V> {
        let asked = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        asked.get(arguments)?.get()?.as_ref().ok()?.get(key).cloned()
    }
}

impl Related {
    /// What belongs to these calls, which come from a snapshot or, where there is none, from elsewhere.
    pub(crate) fn of(calls: &[CallView], snapshot: Option<Snapshot>) -> Self {
        let mut agent_ids: Vec<AgentId> = calls.iter().filter_map(|view| view.call.agent_id).collect();
        agent_ids.sort_unstable();
        agent_ids.dedup();
        Self(Arc::new(List {
            calls: calls.iter().map(|view| view.call.call_id).collect(),
            agent_ids,
            snapshot: AsyncMutex::new(snapshot),
            agents: Asked::default(),
            segments: Asked::default(),
            lines: Asked::default(),
            scores: Asked::default(),
            histories: Asked::default(),
        }))
    }

    /// Whether these are the same list's.
    pub(super) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Reads what [`Call::known_agent`] shows.
    pub(super) async fn read_agents(&self, context: &Context<'_>) -> Result<()> {
        if self.0.agent_ids.is_empty() {
            return Ok(());
        }
        let lists = shows_lists(context);
        self.0.agents.read(lists, self.0.agents(context, lists)).await
    }

    /// Reads what [`Call::known_transcript`] shows.
    pub(super) async fn read_transcripts(&self, context: &Context<'_>, last: Option<i64>) -> Result<()> {
        self.0.segments.read(last, self.0.segments(context, last)).await
    }

    /// Reads what [`Call::known_lines`] shows.
    pub(super) async fn read_lines(&self, context: &Context<'_>, last: Option<i64>) -> Result<()> {
        self.0.lines.read(last, self.0.lines(context, last)).await
    }

    /// Reads what [`Call::known_scores`] shows.
    pub(super) async fn read_scores(&self, context: &Context<'_>, last: Option<i64>) -> Result<()> {
        self.0.scores.read(last, self.0.scores(context, last)).await
    }
}

impl List {
    async fn snapshot(&self, context: &Context<'_>) -> Result<MappedMutexGuard<'_, Snapshot>> {
        let mut kept = self.snapshot.lock().await;
        if kept.is_none() {
            *kept = Some(context.data::<Views>()?.snapshot(&[], None).await?);
        }
        MutexGuard::try_map(kept, Option::as_mut).map_err(|_| internal(&Lost))
    }

    async fn agents(&self, context: &Context<'_>, lists: bool) -> Result<Rows<AgentId, Arc<Agent>>> {
        let mut snapshot = self.snapshot(context).await?;
        let found = match lists {
            true => agents::by_ids(&mut snapshot, &self.agent_ids).await,
            false => agents::tiles_by_ids(&mut snapshot, &self.agent_ids).await,
        };
        let found = found.map_err(|error| internal(&error))?;
        Ok(found.into_iter().map(|view| (view.profile.agent_id, Arc::new(view.into()))).collect())
    }

    async fn segments(
        &self,
        context: &Context<'_>,
        last: Option<i64>,
    ) -> Result<Rows<CallId, Arc<[TranscriptSegment]>>> {
        let mut snapshot = self.snapshot(context).await?;
        let found = transcripts::current(&mut snapshot, &self.calls, last, bound()).await;
        Ok(shown(grouped(found.map_err(|error| internal(&error))?, |row| row.call_id)?))
    }

    async fn lines(&self, context: &Context<'_>, last: Option<i64>) -> Result<Rows<CallId, Arc<[Line]>>> {
        let mut snapshot = self.snapshot(context).await?;
        let found = transcripts::spoken(&mut snapshot, &self.calls, last, bound()).await;
        Ok(shown(grouped(found.map_err(|error| internal(&error))?, |row| row.call_id)?))
    }

    async fn scores(&self, context: &Context<'_>, last: Option<i64>) -> Result<Rows<CallId, Vec<ScoreRow>>> {
        let mut snapshot = self.snapshot(context).await?;
        let found = sentiment::timeline(&mut snapshot, &self.calls, last, bound()).await;
        grouped(found.map_err(|error| internal(&error))?, |row| row.call_id)
    }

    async fn histories(
        &self,
        context: &Context<'_>,
        scroll: Scroll,
        limit: usize,
    ) -> Result<Rows<CallId, Vec<Recorded>>> {
        let mut snapshot = self.snapshot(context).await?;
        let found = of_stream_ids(snapshot.connection(), &self.calls, scroll, limit).await;
        grouped(found.map_err(|error| internal(&error))?, |event| event.stream.id)
    }
}

#[derive(Debug, thiserror::Error)]
#[error("a snapshot that was begun is not there")]
struct Lost;

/// One more than may be shown, to know whether there are more.
fn bound() -> i64 {
    i64::try_from(ROWS_MAX).map_or(i64::MAX, |most| most + 1)
}

fn grouped<T>(rows: Vec<T>, call_id: impl Fn(&T) -> CallId) -> Result<Rows<CallId, Vec<T>>> {
    if rows.len() > ROWS_MAX {
        return Err(beyond_limit("ROWS", ROWS_MAX));
    }
    let mut groups: Rows<CallId, Vec<T>> = HashMap::new();
    for row in rows {
        groups.entry(call_id(&row)).or_default().push(row);
    }
    Ok(groups)
}

/// Rows as clients see them, to be shared.
fn shown<R, T: From<R>>(groups: Rows<CallId, Vec<R>>) -> Rows<CallId, Arc<[T]>> {
    groups.into_iter().map(|(id, rows)| (id, rows.into_iter().map(T::from).collect())).collect()
}

/// Checks how many of the last elements are asked for.
pub(super) fn checked(context: &Context<'_>, last: Option<i32>) -> Result<Option<i64>> {
    last.map(|last| count_of(context, "last", last).map(i64::from)).transpose()
}

/// Whether more of an agent is selected than what the agent's own row holds.
pub(super) fn shows_lists(context: &Context<'_>) -> bool {
    let selected = context.look_ahead();
    selected.field("capabilities").exists() || selected.field("contacts").exists()
}

impl Call {
    /// The agent, who was read for a field of this selection.
    pub(super) fn known_agent(&self, lists: bool) -> Option<Arc<Agent>> {
        self.related.0.agents.known(&lists, &self.agent_id?)
    }

    /// The transcript, which was read.
    pub(super) fn known_transcript(&self, last: Option<i64>) -> Arc<[TranscriptSegment]> {
        self.related.0.segments.known(&last, &self.call_id).unwrap_or_default()
    }

    /// The same, of each segment what a reader sees.
    pub(super) fn known_lines(&self, last: Option<i64>) -> Arc<[Line]> {
        self.related.0.lines.known(&last, &self.call_id).unwrap_or_default()
    }

    /// The scores, which were read.
    pub(super) fn known_scores(&self, last: Option<i64>) -> Vec<ScoreRow> {
        self.related.0.scores.known(&last, &self.call_id).unwrap_or_default()
    }

    async fn scores(&self, context: &Context<'_>, last: Option<i64>) -> Result<Vec<ScoreRow>> {
        context.permit("sentiment", "read", &self.owners)?;
        let list = &self.related.0;
        Ok(list.scores.of(last, &self.call_id, list.scores(context, last)).await?.unwrap_or_default())
    }
}

#[ComplexObject]
impl Call {
    /// Identity among everything: for `node` and for the caches of clients.
    pub(super) async fn id(&self) -> ID {
        GlobalId::new(Kind::Call, self.call_id).to_id()
    }

    /// The agent who has the customer, or who had it last, as that agent is now.
    #[graphql(guard = "Require(\"agent\", \"read\")")]
    async fn agent(&self, context: &Context<'_>) -> Result<Option<Arc<Agent>>> {
        let Some(agent_id) = self.agent_id else { return Ok(None) };
        context.permit("agent", "read", &[agent_id])?;
        let list = &self.related.0;
        let lists = shows_lists(context);
        list.agents.of(lists, &agent_id, list.agents(context, lists)).await
    }

    /// What was said, as it stands now: superseded segments left out, in the order of speaking. Of a call with more than
    /// 10,000 segments, the last 10,000. Where the calls of a list have more than 20,000 segments together, the list is
    /// refused with `COMPLEXITY_LIMIT`: ask for the last ones. Counts as 100 segments where `last` is absent.
    #[graphql(
        guard = "Require(\"transcript\", \"read\")",
        complexity = "cost::tail(last, cost::TRANSCRIPT, child_complexity)"
    )]
    async fn transcript(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "Only so many from the end, 1 to 100; absent: all of them.")] last: Option<i32>,
    ) -> Result<Arc<[TranscriptSegment]>> {
        context.permit("transcript", "read", &self.owners)?;
        let (last, list) = (checked(context, last)?, &self.related.0);
        Ok(list.segments.of(last, &self.call_id, list.segments(context, last)).await?.unwrap_or_default())
    }

    /// The mood, segment by segment, in the order of speaking. Of a call with more than 10,000 scores, the last 10,000;
    /// the calls of a list are bound like their transcripts. Counts as 100 scores where `last` is absent.
    #[graphql(
        guard = "Require(\"sentiment\", \"read\")",
        complexity = "cost::tail(last, cost::SCORES, child_complexity)"
    )]
    async fn sentiment(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "Only so many from the end, 1 to 100; absent: all of them.")] last: Option<i32>,
    ) -> Result<Vec<SentimentScore>> {
        Ok(self.scores(context, checked(context, last)?).await?.into_iter().map(Into::into).collect())
    }

    /// The mood of each speaker over the call. Of a call with more than 10,000 scores, over the last 10,000.
    #[graphql(guard = "Require(\"sentiment\", \"read\")", complexity = "cost::list(cost::SUMMARIES, child_complexity)")]
    async fn sentiment_summary(&self, context: &Context<'_>) -> Result<Vec<SentimentSummary>> {
        Ok(summarise(self.scores(context, None).await?).into_iter().map(Into::into).collect())
    }

    /// Every event of the call over all its streams, in order, with actor and cause.
    #[graphql(complexity = "cost::page(first.or(last).or(HISTORY_DEFAULT), None, child_complexity)")]
    async fn history(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "How many from the beginning, 1 to 100; 50 when neither is given.")] first: Option<i32>,
        #[graphql(desc = "Those after this cursor.")] after: Option<String>,
        #[graphql(desc = "How many from the end, 1 to 100.")] last: Option<i32>,
        #[graphql(desc = "Those before this cursor.")] before: Option<String>,
    ) -> Result<Connection<StoredEvent>> {
        context.permit("call", "read", &self.owners)?;
        let (page, place) = history_place(context, self.call_id, PageArgs { first, after, last, before })?;
        let (list, limit) = (&self.related.0, usize::try_from(page.limit).unwrap_or(0));
        let events = match (place, page.scroll) {
            (None, scroll) => {
                let read = list.histories(context, scroll, limit);
                list.histories.of((scroll, limit), &self.call_id, read).await?.unwrap_or_default()
            }
            // A place is one call's, so this is asked for one call of the list at most.
            (Some(place), scroll) => {
                let mut snapshot = list.snapshot(context).await?;
                let connection = snapshot.connection();
                let found = match scroll {
                    Scroll::Forward => of_stream_id(connection, self.call_id, place, limit).await,
                    Scroll::Backward => of_stream_id_before(connection, self.call_id, place, limit).await,
                };
                found.map_err(|error| internal(&error))?
            }
        };
        page.connection(context, events, |event| (self.call_id, event.position), |event| StoredEvent::from(&event))
    }
}
