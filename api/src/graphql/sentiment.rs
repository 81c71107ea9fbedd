//! The mood in a call.

use async_graphql::{Context, Enum, Result, SimpleObject, Subscription};
use chrono::{DateTime, Utc};
use futures_util::Stream;
use projections::models::sentiment::{self, ScoreRow, SpeakerSummary};
use uuid::Uuid;

use super::calls::permit_watch;
use super::cost;
use super::direct::{Chosen, Column, Plain, stored, words};
use super::pages::resume;
use super::scalars::{Party, Position};
use crate::auth::Require;
use crate::cursor::Cursors;
use crate::track::{Place, Push, Shows};
use crate::views::{PageError, Pages, Views, Watch, flatten};

/// Scores read at once.
const PAGE_SCORES: i64 = 200;
const MODEL: &str = "sentiment";

/// A score as one of three words.
#[derive(Enum, Debug, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "projections::metrics::sentiment::Label")]
enum SentimentLabel {
    /// Score of -0.05 or less.
    Negative,
    /// In between.
    Neutral,
    /// Score of 0.05 or more.
    Positive,
}

words!(SentimentLabel);

/// A share of an emotion.
#[derive(SimpleObject)]
struct Emotion {
    /// The emotion as the model names it.
    name: String,
    /// Its share, 0 to 1.
    share: f64,
}

/// What a model made of one segment.
#[derive(SimpleObject)]
pub(crate) struct SentimentScore {
    /// The call.
    call_id: Uuid,
    /// Sequence of the scored transcript segment.
    segment: u32,
    /// Who spoke.
    speaker: Party,
    /// Begin of the segment, milliseconds from the start of the call.
    begin_ms: u32,
    /// End of the segment, milliseconds from the start of the call.
    end_ms: u32,
    /// From -1 (very negative) over 0 (neutral) to 1 (very positive).
    score: f64,
    /// The score as a word; bounds at -0.05 and 0.05, as the authors of VADER give them (Hutto and Gilbert 2014).
    label: SentimentLabel,
    /// Shares of emotions.
    #[graphql(complexity = "cost::list(cost::EMOTIONS, child_complexity)")]
    emotions: Vec<Emotion>,
    /// The model. Scores of different models can't be compared.
    model: String,
    /// Its version.
    model_version: String,
    /// The segment has been corrected since; the score counts no more.
    superseded: bool,
    /// When it was scored.
    occurred_at: DateTime<Utc>,
    /// Place of its event in the log.
    position: Position,
}

impl From<ScoreRow> for SentimentScore {
    fn from(row: ScoreRow) -> Self {
        Self {
            call_id: row.call_id,
            segment: row.segment,
            speaker: row.speaker.into(),
            begin_ms: row.begin_ms,
            end_ms: row.end_ms,
            score: row.score,
            label: row.label().into(),
            emotions: row.emotions.into_iter().map(|(name, share)| Emotion { name, share }).collect(),
            model: row.model,
            model_version: row.model_version,
            superseded: row.superseded,
            occurred_at: row.occurred_at,
            position: Position(row.position),
        }
    }
}

impl Plain for SentimentScore {
    type Shown = Self;

    fn column(field: &Chosen<'_>) -> Option<Column<Self>> {
        match field.name() {
            "emotions" => field.list(|score| score.emotions.as_slice()),
            _ => stored!(field, {
                "callId": call_id, "segment": segment, "speaker": speaker, "beginMs": begin_ms, "endMs": end_ms,
                "score": score, "label": label, "model": model, "modelVersion": model_version,
                "superseded": superseded, "occurredAt": occurred_at, "position": position,
            }),
        }
    }
}

impl Plain for Emotion {
    type Shown = Self;

    fn column(field: &Chosen<'_>) -> Option<Column<Self>> {
        stored!(field, { "name": name, "share": share })
    }
}

/// The mood of one speaker over a call, as one model sees it.
#[derive(SimpleObject)]
pub(crate) struct SentimentSummary {
    /// Who spoke.
    speaker: Party,
    /// The model.
    model: String,
    /// Its version.
    model_version: String,
    /// Turns scored.
    turns: usize,
    /// Mean score, -1 to 1.
    mean: f64,
    /// Lowest score.
    minimum: f64,
    /// Score of the turn that begins last.
    last: f64,
    /// Mean of +5 (positive), 0 and -5 (negative) over the turns that begin in each quarter of the conversation, -5 to
    /// +5; null where the speaker began none. After the scheme of Amazon Connect Contact Lens.
    quarters: Vec<Option<f64>>,
    /// Mean of the quarters.
    overall: f64,
    /// Last quarter less the first, -10 to +10.
    trend: Option<f64>,
}

impl From<SpeakerSummary> for SentimentSummary {
    fn from(summary: SpeakerSummary) -> Self {
        Self {
            speaker: summary.speaker.into(),
            model: summary.model,
            model_version: summary.model_version,
            turns: summary.turns,
            mean: summary.mean,
            minimum: summary.minimum,
            last: summary.last,
            quarters: summary.quarters.values.to_vec(),
            overall: summary.quarters.overall,
            trend: summary.quarters.trend,
        }
    }
}

/// A segment was scored.
#[derive(SimpleObject)]
struct SentimentScored {
    /// Goes on after this score: `after` of the next subscription.
    cursor: String,
    /// The score.
    score: SentimentScore,
}

struct SentimentPages {
    views: Views,
    watch: Watch,
    cursors: Cursors,
    scope: String,
    call_id: Uuid,
    seen: domain::Position,
    more: bool,
}

impl Pages for SentimentPages {
    type Item = SentimentScored;

    async fn next(&mut self) -> Result<Option<Vec<Push<SentimentScored>>>, PageError> {
        if !self.more && self.watch.changed().await.is_none() {
            return Ok(None);
        }
        self.more = true;
        let mut snapshot = self.views.page().await?;
        let rows = sentiment::added_after(&mut snapshot, self.call_id, self.seen, PAGE_SCORES).await?;
        self.more = i64::try_from(rows.len()).is_ok_and(|count| count == PAGE_SCORES);
        let scored = |row: ScoreRow| {
            let position = row.position;
            self.seen = position;
            let payload = SentimentScored { cursor: self.cursors.at(&self.scope, position), score: row.into() };
            Push::new(payload, position, Shows::Every)
        };
        Ok(Some(rows.into_iter().map(scored).collect()))
    }

    fn place(&self) -> Option<Place> {
        Some(Place { seen: self.seen, live: !self.more })
    }
}

/// Subscriptions to sentiment.
#[derive(Default)]
pub(crate) struct SentimentSubscription;

#[Subscription]
impl SentimentSubscription {
    /// The mood in a call, segment by segment: every score once, in the order of scoring, none left out. With `after`,
    /// those since that cursor first; without, all so far first.
    #[graphql(guard = "Require(\"sentiment\", \"read\")")]
    async fn sentiment(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "The call.")] call_id: Uuid,
        #[graphql(desc = "Only scores after this cursor.")] after: Option<String>,
    ) -> Result<impl Stream<Item = SentimentScored> + use<>> {
        permit_watch(context, "sentiment", call_id).await?;
        let (cursors, scope) = (context.data::<Cursors>()?.clone(), format!("sentiment:{call_id}"));
        let seen = resume(context, &scope, after)?.unwrap_or(0);
        let views = context.data::<Views>()?.clone();
        let watch = views.watch(MODEL, Some(call_id));
        Ok(flatten(context, SentimentPages { views, watch, cursors, scope, call_id, seen, more: true }))
    }
}
