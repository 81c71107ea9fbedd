//! Questions about the mood in calls.

use std::collections::BTreeMap;

use domain::call::Party;
use domain::{CallId, Position};
use sqlx::PgConnection;
use sqlx::types::Json;

use super::{ScoreRow, SpeakerSummary};
use crate::metrics::sentiment::{Turn, quarters};
use crate::models::rows::unwrapped;

/// Most scores of one call that one query returns.
pub const SCORES_MAX: i64 = 10_000;

/// A score as one JSON value, with whether it still counts.
macro_rules! select_scores {
    ($from:literal) => {
        concat!(
            "SELECT to_jsonb(s) || jsonb_build_object('superseded', EXISTS (SELECT FROM read.sentiment_superseded p
             WHERE p.call_id = s.call_id AND p.segment = s.segment)) ",
            $from
        )
    };
}

/// Scores of a call that were added after a position, in order of adding. Position 0: all of them.
///
/// # Errors
/// The database refused.
pub async fn added_after(
    connection: &mut PgConnection,
    call_id: CallId,
    position: Position,
    limit: i64,
) -> Result<Vec<ScoreRow>, sqlx::Error> {
    let sql = concat!(
        select_scores!("FROM read.sentiment s "),
        "WHERE s.call_id = $1 AND s.position > $2 ORDER BY s.position LIMIT $3"
    );
    let query = sqlx::query_scalar(sql).bind(call_id).bind(position).bind(limit.clamp(0, SCORES_MAX));
    let rows: Vec<Json<ScoreRow>> = query.fetch_all(connection).await?;
    Ok(unwrapped(rows))
}

/// The timelines of calls: by call and in the order of speaking; of one segment, by model. Of each call, the scores of the
/// segments that begin last, at most `last` and never more than [`SCORES_MAX`]; of all calls together, at most `most`.
///
/// # Errors
/// The database refused.
pub async fn timeline(
    connection: &mut PgConnection,
    ids: &[CallId],
    last: Option<i64>,
    most: i64,
) -> Result<Vec<ScoreRow>, sqlx::Error> {
    let sql = concat!(
        select_scores!(
            "FROM unnest($1::uuid[]) AS asked (call_id) CROSS JOIN LATERAL (
             SELECT * FROM read.sentiment t WHERE t.call_id = asked.call_id
             ORDER BY t.begin_ms DESC, t.segment DESC, t.model DESC, t.model_version DESC LIMIT $2) AS s "
        ),
        "ORDER BY s.call_id, s.begin_ms, s.segment, s.model, s.model_version LIMIT $3"
    );
    let query = sqlx::query_scalar(sql).bind(ids).bind(last.unwrap_or(SCORES_MAX).clamp(0, SCORES_MAX));
    let rows: Vec<Json<ScoreRow>> = query.bind(most.max(0)).fetch_all(connection).await?;
    Ok(unwrapped(rows))
}

/// The mood of each speaker over each call, apart for each model and version, those that scored last first. Of a call
/// with more than [`SCORES_MAX`] scores, over the last of them.
///
/// Computed when asked: scores come late and from several models, a correction takes some back, and the quarters move
/// with the end of the call.
///
/// # Errors
/// The database refused.
pub async fn summaries(connection: &mut PgConnection, ids: &[CallId]) -> Result<Vec<SpeakerSummary>, sqlx::Error> {
    Ok(summarise(timeline(connection, ids, None, i64::MAX).await?))
}

/// Puts the scores of calls together by call, speaker and model.
#[must_use]
pub fn summarise(scores: Vec<ScoreRow>) -> Vec<SpeakerSummary> {
    let mut groups: BTreeMap<(CallId, Party, String, String), Vec<ScoreRow>> = BTreeMap::new();
    for score in scores.into_iter().filter(|score| !score.superseded) {
        let key = (score.call_id, score.speaker, score.model.clone(), score.model_version.clone());
        groups.entry(key).or_default().push(score);
    }
    let mut summaries: Vec<SpeakerSummary> = groups.into_values().filter_map(summary).collect();
    summaries.sort_by_key(|summary| (summary.call_id, summary.speaker, -summary.position));
    summaries
}

/// The summary of one group. `None`: it is empty.
#[allow(clippy::cast_precision_loss, reason = "a conversation has far fewer than 2^53 turns")]
fn summary(mut scores: Vec<ScoreRow>) -> Option<SpeakerSummary> {
    scores.sort_by_key(|score| (score.begin_ms, score.segment));
    let turn = |score: &ScoreRow| Turn { begin_ms: score.begin_ms, end_ms: score.end_ms, label: score.label() };
    let turns: Vec<Turn> = scores.iter().map(turn).collect();
    let last = scores.last()?;
    Some(SpeakerSummary {
        call_id: last.call_id,
        speaker: last.speaker,
        model: last.model.clone(),
        model_version: last.model_version.clone(),
        turns: scores.len(),
        mean: scores.iter().map(|score| score.score).sum::<f64>() / scores.len() as f64,
        minimum: scores.iter().map(|score| score.score).fold(f64::INFINITY, f64::min),
        last: last.score,
        quarters: quarters(&turns)?,
        position: scores.iter().map(|score| score.position).max()?,
    })
}
