//! What belongs to a call and is kept elsewhere, for calls that are written at once: agent, transcript and mood, read for
//! all calls of a page by the same questions that the executor would ask.

use async_graphql::{Context, ContextSelectionSet, OutputType};

use super::agent_types::Agent;
use super::call_related::{Related, checked, shows_lists};
use super::call_types::Call;
use super::direct::{Chosen, Column, Fields, Leaf, selected};
use super::node::{GlobalId, Kind};
use super::sentiment::SentimentScore;
use super::transcripts::{Line, TranscriptSegment};
use crate::auth::{Permit, Reach};

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
            let last = last(&field.0)?;
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
            let last = last(&field.0)?;
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
    // Calls of one list share what they read.
    let mut lists: Vec<&Related> = calls.iter().map(|call| &call.related).collect();
    lists.dedup_by(|one, other| one.is(other));
    for field in selected(context, &Call::type_name()) {
        let context = context.with_field(field);
        let loaded = match field.node.name.node.as_str() {
            "agent" => may_see_agents(calls, &context) && load_agents(&lists, &context).await,
            "transcript" => may_see(calls, &context, "transcript") && load_transcripts(&lists, &context).await,
            "sentiment" => may_see(calls, &context, "sentiment") && load_scores(&lists, &context).await,
            _ => true,
        };
        if !loaded {
            return false;
        }
    }
    true
}

fn may_see_agents(calls: &[&Call], context: &Context<'_>) -> bool {
    match context.reach("agent", "read") {
        Ok(Reach::All) => true,
        Ok(Reach::Own(own)) => calls.iter().all(|call| call.agent_id.is_none_or(|agent_id| agent_id == own)),
        Ok(Reach::Nothing) | Err(_) => false,
    }
}

/// Whether the viewer may see something of every one of the calls.
fn may_see(calls: &[&Call], context: &Context<'_>, resource: &str) -> bool {
    match context.reach(resource, "read") {
        Ok(Reach::All) => true,
        Ok(Reach::Own(own)) => calls.iter().all(|call| call.owners.contains(&own)),
        Ok(Reach::Nothing) | Err(_) => false,
    }
}

async fn load_agents(lists: &[&Related], context: &Context<'_>) -> bool {
    for list in lists {
        if list.read_agents(context).await.is_err() {
            return false;
        }
    }
    true
}

async fn load_transcripts(lists: &[&Related], context: &Context<'_>) -> bool {
    let Some(last) = last(context) else { return false };
    let inner = context.with_selection_set(&context.item.node.selection_set);
    let as_lines = Fields::<Line>::of(&inner).is_some();
    for list in lists {
        let read = match as_lines {
            true => list.read_lines(context, last).await,
            false => list.read_transcripts(context, last).await,
        };
        if read.is_err() {
            return false;
        }
    }
    true
}

async fn load_scores(lists: &[&Related], context: &Context<'_>) -> bool {
    let Some(last) = last(context) else { return false };
    for list in lists {
        if list.read_scores(context, last).await.is_err() {
            return false;
        }
    }
    true
}

/// The argument `last`; the outer none: it can't be taken.
fn last(context: &Context<'_>) -> Option<Option<i64>> {
    let (_, last) = context.param_value("last", None).ok()?;
    checked(context, last).ok()
}
