//! What belongs to a call and is kept elsewhere: agents, transcript, sentiment, history.
//!
//! A list reads it for all its calls at once, as far as the document asks for it; a single call reads it when asked.

use std::collections::HashMap;
use std::sync::Arc;

use async_graphql::connection::Connection;
use async_graphql::{ComplexObject, Context, Lookahead, Result};
use domain::CallId;
use projections::Snapshot;
use projections::models::agents::{self, AgentView};
use projections::models::sentiment::{self, ScoreRow, summarise};
use projections::models::transcripts::{self, SegmentRow};
use uuid::Uuid;

use super::agents::Agent;
use super::call_types::Call;
use super::events::{StoredEvent, history_of};
use super::sentiment::{SentimentScore, SentimentSummary};
use super::transcripts::TranscriptSegment;
use crate::auth::{Permit, Require};
use crate::error::internal;
use crate::views::Views;

/// What was read for a whole list of calls. What is `None` was not asked for there.
#[derive(Clone, Default)]
pub(crate) struct Related(Arc<Rows>);

#[derive(Default)]
struct Rows {
    agents: Option<HashMap<Uuid, AgentView>>,
    segments: Option<HashMap<CallId, Vec<SegmentRow>>>,
    scores: Option<HashMap<CallId, Vec<ScoreRow>>>,
}

impl Related {
    /// Reads for these calls what the document asks of each: one statement a kind, however many calls there are.
    pub(crate) async fn read(snapshot: &mut Snapshot, node: &Lookahead<'_>, calls: &[Call]) -> Result<Self> {
        let asked = |field: &str| node.field(field).exists();
        let ids: Vec<CallId> = calls.iter().map(|call| call.call_id).collect();
        let mut rows = Rows::default();
        if asked("agent") {
            let mut wanted: Vec<Uuid> = calls.iter().filter_map(|call| call.agent_id).collect();
            wanted.sort_unstable();
            wanted.dedup();
            let found = agents::by_ids(snapshot, &wanted).await.map_err(|error| internal(&error))?;
            rows.agents = Some(found.into_iter().map(|view| (view.profile.agent_id, view)).collect());
        }
        if asked("transcript") {
            let found = transcripts::current(snapshot, &ids).await.map_err(|error| internal(&error))?;
            rows.segments = Some(grouped(found, |row| row.call_id));
        }
        if asked("sentiment") || asked("sentimentSummary") {
            let found = sentiment::timeline(snapshot, &ids).await.map_err(|error| internal(&error))?;
            rows.scores = Some(grouped(found, |row| row.call_id));
        }
        Ok(Self(Arc::new(rows)))
    }
}

fn grouped<T>(rows: Vec<T>, call_id: impl Fn(&T) -> CallId) -> HashMap<CallId, Vec<T>> {
    let mut groups: HashMap<CallId, Vec<T>> = HashMap::new();
    for row in rows {
        groups.entry(call_id(&row)).or_default().push(row);
    }
    groups
}

impl Call {
    async fn scores(&self, context: &Context<'_>) -> Result<Vec<ScoreRow>> {
        context.permit("sentiment", "read", &self.owners)?;
        if let Some(scores) = &self.related.0.scores {
            return Ok(scores.get(&self.call_id).cloned().unwrap_or_default());
        }
        let mut snapshot = context.data::<Views>()?.snapshot(&[], None).await?;
        sentiment::timeline(&mut snapshot, &[self.call_id]).await.map_err(|error| internal(&error))
    }
}

#[ComplexObject]
impl Call {
    /// The agent who has the customer, or who had it last, as that agent is now.
    #[graphql(guard = "Require(\"agent\", \"read\")")]
    async fn agent(&self, context: &Context<'_>) -> Result<Option<Agent>> {
        let Some(agent_id) = self.agent_id else { return Ok(None) };
        context.permit("agent", "read", &[agent_id])?;
        if let Some(agents) = &self.related.0.agents {
            return Ok(agents.get(&agent_id).cloned().map(Into::into));
        }
        let mut snapshot = context.data::<Views>()?.snapshot(&[], None).await?;
        let found = agents::by_ids(&mut snapshot, &[agent_id]).await.map_err(|error| internal(&error))?;
        Ok(found.into_iter().next().map(Into::into))
    }

    /// What was said, as it stands now: superseded segments left out, in the order of speaking.
    #[graphql(guard = "Require(\"transcript\", \"read\")")]
    async fn transcript(&self, context: &Context<'_>) -> Result<Vec<TranscriptSegment>> {
        context.permit("transcript", "read", &self.owners)?;
        let rows = match &self.related.0.segments {
            Some(segments) => segments.get(&self.call_id).cloned().unwrap_or_default(),
            None => {
                let mut snapshot = context.data::<Views>()?.snapshot(&[], None).await?;
                transcripts::current(&mut snapshot, &[self.call_id]).await.map_err(|error| internal(&error))?
            }
        };
        Ok(rows.into_iter().map(Into::into).collect())
    }

    /// The mood, segment by segment, in the order of speaking.
    #[graphql(guard = "Require(\"sentiment\", \"read\")")]
    async fn sentiment(&self, context: &Context<'_>) -> Result<Vec<SentimentScore>> {
        Ok(self.scores(context).await?.into_iter().map(Into::into).collect())
    }

    /// The mood of each speaker over the call.
    #[graphql(guard = "Require(\"sentiment\", \"read\")")]
    async fn sentiment_summary(&self, context: &Context<'_>) -> Result<Vec<SentimentSummary>> {
        Ok(summarise(self.scores(context).await?).into_iter().map(Into::into).collect())
    }

    /// Every event of the call over all its streams, in order, with actor and cause.
    async fn history(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "How many, 1 to 100; 50 when absent.")] first: Option<i32>,
        #[graphql(desc = "Those after this cursor.")] after: Option<String>,
    ) -> Result<Connection<String, StoredEvent>> {
        context.permit("call", "read", &self.owners)?;
        history_of(context, self.call_id, first, after).await
    }
}
