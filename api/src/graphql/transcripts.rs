//! Transcripts: search, and the live stream of what is said.

use std::sync::Arc;

use async_graphql::{Context, Object, Result, SimpleObject, Subscription};
use chrono::{DateTime, Utc};
use domain::Personal;
use futures_util::Stream;
use projections::models::spoken_words::{SearchFilter, SearchHit, search_newest};
use projections::models::transcripts::{self, SegmentRow, SpokenRow};
use projections::{Interim, LiveLane};
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;
use uuid::Uuid;

use super::calls::permit_watch;
use super::cost;
use super::direct::{Chosen, Column, Plain, stored};
use super::pages::{Connection, PageArgs, resume};
use super::scalars::{Party, Position, instant, sought};
use crate::auth::{Require, RequireAll};
use crate::cursor::Cursors;
use crate::error::{bad_input, internal};
use crate::track::{Place, Push, Shows};
use crate::views::{PageError, Pages, Views, Watch, flatten};

/// Segments read at once.
const PAGE_SEGMENTS: i64 = 200;
/// Longest search text, in characters.
const SEARCH_LENGTH_MAX: usize = 200;
const MODEL: &str = "transcripts";
/// Answers a search, with the transcripts.
const WORDS: &str = "spoken_words";

/// What was said in one go by one party.
#[derive(SimpleObject)]
pub(crate) struct TranscriptSegment {
    /// The call.
    call_id: Uuid,
    /// Number within the transcript, in the order of storing.
    sequence: u32,
    /// Who spoke.
    speaker: Party,
    /// Begin of speech, milliseconds from the start of the call.
    begin_ms: u32,
    /// End of speech, milliseconds from the start of the call.
    end_ms: u32,
    /// What was said.
    text: String,
    /// How sure the transcriber was, 0 to 1.
    confidence: Option<f64>,
    /// Who or what transcribed.
    model: String,
    /// The segment that this one corrects.
    supersedes: Option<u32>,
    /// The segment that corrects this one: it counts no more.
    superseded_by: Option<u32>,
    /// Why it was corrected.
    reason: Option<String>,
    /// When it was transcribed.
    occurred_at: DateTime<Utc>,
    /// Place of its event in the log.
    position: Position,
}

impl From<SegmentRow> for TranscriptSegment {
    fn from(row: SegmentRow) -> Self {
        Self {
            call_id: row.call_id,
            sequence: row.sequence,
            speaker: row.speaker.into(),
            begin_ms: row.begin_ms,
            end_ms: row.end_ms,
            text: row.text.into_revealed(),
            confidence: row.confidence,
            model: row.model,
            supersedes: row.supersedes,
            superseded_by: row.superseded_by,
            reason: row.reason,
            occurred_at: row.occurred_at,
            position: Position(row.position),
        }
    }
}

impl Plain for TranscriptSegment {
    type Shown = Self;

    fn column(field: &Chosen<'_>) -> Option<Column<Self>> {
        stored!(field, {
            "callId": call_id, "sequence": sequence, "speaker": speaker, "beginMs": begin_ms, "endMs": end_ms,
            "text": text, "confidence": confidence, "model": model, "supersedes": supersedes,
            "supersededBy": superseded_by, "reason": reason, "occurredAt": occurred_at, "position": position,
        })
    }
}

/// A segment of which no more is shown than what a reader sees.
pub(crate) struct Line {
    call_id: Uuid,
    sequence: u32,
    speaker: Party,
    begin_ms: u32,
    end_ms: u32,
    text: String,
}

impl From<SpokenRow> for Line {
    fn from(row: SpokenRow) -> Self {
        Self {
            call_id: row.call_id,
            sequence: row.sequence,
            speaker: row.speaker.into(),
            begin_ms: row.begin_ms,
            end_ms: row.end_ms,
            text: row.text.into_revealed(),
        }
    }
}

impl Plain for Line {
    type Shown = TranscriptSegment;

    fn column(field: &Chosen<'_>) -> Option<Column<Self>> {
        stored!(field, {
            "callId": call_id, "sequence": sequence, "speaker": speaker, "beginMs": begin_ms, "endMs": end_ms, "text": text,
        })
    }
}

/// A segment that holds the words searched for.
#[derive(SimpleObject)]
struct TranscriptHit {
    /// The segment.
    segment: TranscriptSegment,
    /// The place of the words, between « and ».
    snippet: String,
}

impl From<SearchHit> for TranscriptHit {
    fn from(hit: SearchHit) -> Self {
        Self { snippet: hit.snippet.reveal().clone(), segment: hit.segment.into() }
    }
}

/// Queries about transcripts.
#[derive(Default)]
pub(crate) struct TranscriptQuery;

#[Object]
impl TranscriptQuery {
    /// Segments that hold some words, newest first. Superseded segments are not searched. Needs `transcript:read` for all
    /// calls: who may read own calls only finds them by `calls`.
    #[graphql(guard = "RequireAll(\"transcript\", \"read\")", complexity = "cost::page(first, last, child_complexity)")]
    #[allow(clippy::too_many_arguments, reason = "the arguments of a connection and its filters")]
    async fn search_transcripts(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "Words as in a web search: all of them, `or`, `-without`, \"a phrase\".")] text: String,
        #[graphql(desc = "Said by this party.")] speaker: Option<Party>,
        #[graphql(desc = "In one of these calls.")] call_ids: Option<Vec<Uuid>>,
        #[graphql(desc = "Transcribed at this instant or later.")] from: Option<DateTime<Utc>>,
        #[graphql(desc = "Transcribed before this instant.")] before_time: Option<DateTime<Utc>>,
        #[graphql(desc = "How many from the newest on, 1 to 100; 20 when absent.")] first: Option<i32>,
        #[graphql(desc = "Older than this cursor.")] after: Option<String>,
        #[graphql(desc = "How many from the oldest on, 1 to 100.")] last: Option<i32>,
        #[graphql(desc = "Newer than this cursor.")] before: Option<String>,
        #[graphql(desc = "Answer when the read model has reached this position.")] at_least: Option<Position>,
    ) -> Result<Connection<TranscriptHit>> {
        if text.trim().is_empty() || text.chars().count() > SEARCH_LENGTH_MAX {
            let message = format!("from 1 to {SEARCH_LENGTH_MAX} characters");
            return Err(bad_input("text", "SEARCH_TEXT_LENGTH", message));
        }
        let filter = SearchFilter {
            words: Personal::new(sought("text", Some(text))?.unwrap_or_default()),
            speaker: speaker.map(Into::into),
            call_ids,
            occurred_from: from.map(|from| instant("from", from)).transpose()?,
            occurred_before: before_time.map(|before| instant("beforeTime", before)).transpose()?,
        };
        let args = PageArgs { first, after, last, before };
        let page = args.query::<domain::Position>(context, "page:transcripts")?;
        let views = context.data::<Views>()?;
        let mut snapshot = views.snapshot(&[MODEL, WORDS], at_least.map(|position| position.0)).await?;
        let hits = search_newest(&mut snapshot, &filter, page.cursor, page.limit, page.scroll).await;
        let hits = hits.map_err(|error| internal(&error))?;
        page.connection(context, hits, |hit| hit.segment.position, TranscriptHit::from)
    }
}

/// Something that is still being spoken.
#[derive(SimpleObject)]
struct InterimTranscript {
    /// Who speaks.
    speaker: Party,
    /// Begin of speech, milliseconds from the start of the call.
    begin_ms: u32,
    /// What was heard so far. Replaces what came before for the same speaker and begin.
    text: String,
}

/// Something was said: for good (`segment`), or still on its way (`interim`).
#[derive(SimpleObject)]
struct TranscriptChanged {
    /// Goes on after this segment: `after` of the next subscription. None on interims, which are not stored.
    cursor: Option<String>,
    /// A final segment, or the correction of one.
    segment: Option<TranscriptSegment>,
    /// What is still being spoken.
    interim: Option<InterimTranscript>,
}

struct TranscriptPages {
    views: Views,
    watch: Watch,
    live: Option<broadcast::Receiver<Arc<Interim>>>,
    cursors: Cursors,
    scope: String,
    call_id: Uuid,
    seen: domain::Position,
    /// There may be stored segments that were not shown yet.
    more: bool,
}

impl TranscriptPages {
    async fn stored(&mut self) -> Result<Vec<Push<TranscriptChanged>>, PageError> {
        let rows = {
            let _place = self.views.place_of_page().await?;
            // One statement sees one moment by itself.
            let mut connection = self.views.database.acquire().await?;
            transcripts::added_after(&mut connection, self.call_id, self.seen, PAGE_SEGMENTS).await?
        };
        self.more = i64::try_from(rows.len()).is_ok_and(|count| count == PAGE_SEGMENTS);
        let changed = |row: SegmentRow| {
            self.seen = row.position;
            let cursor = Some(self.cursors.at(&self.scope, row.position));
            let position = row.position;
            let payload = TranscriptChanged { cursor, segment: Some(row.into()), interim: None };
            Push::new(payload, position, Shows::Every)
        };
        Ok(rows.into_iter().map(changed).collect())
    }

    fn spoken(&self, interim: &Interim) -> Vec<Push<TranscriptChanged>> {
        if interim.call_id != self.call_id {
            return Vec::new();
        }
        let Interim { speaker, begin_ms, text, .. } = interim;
        let (begin_ms, text) = (*begin_ms, text.as_str().to_owned());
        let interim = InterimTranscript { speaker: (*speaker).into(), begin_ms, text };
        vec![Push::passing(TranscriptChanged { cursor: None, segment: None, interim: Some(interim) })]
    }
}

impl Pages for TranscriptPages {
    type Item = TranscriptChanged;

    async fn next(&mut self) -> Result<Option<Vec<Push<TranscriptChanged>>>, PageError> {
        while !self.more {
            let interim = async {
                match &mut self.live {
                    Some(live) => live.recv().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                changed = self.watch.changed() => {
                    if changed.is_none() {
                        return Ok(None);
                    }
                    self.more = true;
                }
                interim = interim => match interim {
                    Ok(interim) => return Ok(Some(self.spoken(&interim))),
                    Err(RecvError::Lagged(_)) => {}
                    Err(RecvError::Closed) => self.live = None,
                },
            }
        }
        self.stored().await.map(Some)
    }

    fn place(&self) -> Option<Place> {
        Some(Place { seen: self.seen, live: !self.more })
    }
}

/// Subscriptions to transcripts.
#[derive(Default)]
pub(crate) struct TranscriptSubscription;

#[Subscription]
impl TranscriptSubscription {
    /// What is said in a call: every final segment and every correction once, in the order of storing, none left out. With
    /// `after`, those since that cursor first; without, all so far first. With `interim`, also what is still being
    /// spoken, as far as it can be kept up with.
    #[graphql(guard = "Require(\"transcript\", \"read\")")]
    async fn transcript(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "The call.")] call_id: Uuid,
        #[graphql(desc = "Only segments after this cursor.")] after: Option<String>,
        #[graphql(desc = "Show what is still being spoken, too.", default_with = "Some(false)")] interim: Option<bool>,
    ) -> Result<impl Stream<Item = TranscriptChanged> + use<>> {
        permit_watch(context, "transcript", call_id).await?;
        let (cursors, scope) = (context.data::<Cursors>()?.clone(), format!("transcript:{call_id}"));
        let seen = resume(context, &scope, after)?.unwrap_or(0);
        let views = context.data::<Views>()?.clone();
        let live = if interim.unwrap_or(false) { Some(context.data::<LiveLane>()?.subscribe()) } else { None };
        // Before the first page is read, so that no change falls between the two.
        let watch = views.watch(MODEL, Some(call_id));
        Ok(flatten(context, TranscriptPages { views, watch, live, cursors, scope, call_id, seen, more: true }))
    }
}
