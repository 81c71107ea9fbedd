//! What belongs to a call and is kept elsewhere, for calls that are written at once: agent, transcript and mood, read for
//! all calls of a page by the same questions that the executor would ask.

use async_graphql::{Context, ContextSelectionSet, OutputType};

use super::agent_types::Agent;
use super::call_related::{checked, shows_lists};
use super::call_types::Call;
use super::direct::{Chosen, Column, Fields, Leaf, selected};
use super::node::{GlobalId, Kind};
use super::sentiment::SentimentScore;
use super::transcripts::{Line, TranscriptSegment};
use crate::auth::Permit;

/// What writes a field that a call itself does not hold, after [`load_related`].
pub(super) fn column_of_related(field: &Chosen<'_>) -> Option<Column<Call>> {
    Some(match field.name() {
        "id" => Column::Leaf(|call, text| GlobalId::new(Kind::Call, call.call_id).to_id().write(text)),
        "agent" => {
            let (lists, fields) = (shows_lists(&field.0), field.fields::<Agent>()?);
            Column::Inner(Box::new(move |call, text| match call.known_agent(lists) {
                Some(agent) => fields.write(&agent, text),
                None => text.extend_from_slice(b"null"),
            }))
        }
        "transcript" => {
            let last = checked(&field.0, last(&field.0)?).ok()?;
            match field.fields::<Line>() {
                Some(fields) => Column::Inner(Box::new(move |call, text| {
                    fields.write_all(call.known_lines(last).iter(), text);
                })),
                None => {
                    let fields = field.fields::<TranscriptSegment>()?;
                    Column::Inner(Box::new(move |call, text| {
                        fields.write_all(call.known_transcript(last).iter(), text);
                    }))
                }
            }
        }
        "sentiment" => {
            let last = checked(&field.0, last(&field.0)?).ok()?;
            let fields = field.fields::<SentimentScore>()?;
            Column::Inner(Box::new(move |call, text| {
                let scores: Vec<SentimentScore> = call.known_scores(last).into_iter().map(Into::into).collect();
                fields.write_all(&scores, text);
            }))
        }
        _ => return None,
    })
}

/// Reads what is selected of what belongs to these calls; false: something may not be seen or could not be read.
pub(super) async fn load_related(calls: &[&Call], context: &ContextSelectionSet<'_>) -> bool {
    for field in selected(context, &Call::type_name()) {
        let context = context.with_field(field);
        let loaded = match field.node.name.node.as_str() {
            "agent" => load_agents(calls, &context).await,
            "transcript" => load_transcripts(calls, &context).await,
            "sentiment" => load_scores(calls, &context).await,
            _ => true,
        };
        if !loaded {
            return false;
        }
    }
    true
}

async fn load_agents(calls: &[&Call], context: &Context<'_>) -> bool {
    if context.reach("agent", "read").is_err() {
        return false;
    }
    for call in calls {
        if call.agent(context).await.is_err() {
            return false;
        }
    }
    true
}

async fn load_transcripts(calls: &[&Call], context: &Context<'_>) -> bool {
    let Some(last) = last(context) else { return false };
    let Ok(checked) = checked(context, last) else { return false };
    let inner = context.with_selection_set(&context.item.node.selection_set);
    let as_lines = Fields::<Line>::of(&inner).is_some();
    for call in calls {
        let read = match as_lines {
            true => call.lines(context, checked).await,
            false => call.transcript(context, last).await.map(drop),
        };
        if read.is_err() {
            return false;
        }
    }
    true
}

async fn load_scores(calls: &[&Call], context: &Context<'_>) -> bool {
    let Some(Ok(last)) = last(context).map(|last| checked(context, last)) else { return false };
    for call in calls {
        if call.scores(context, last).await.is_err() {
            return false;
        }
    }
    true
}

/// The argument `last`; the outer none: it is none.
fn last(context: &Context<'_>) -> Option<Option<i32>> {
    context.param_value("last", None).ok().map(|(_, last)| last)
}
