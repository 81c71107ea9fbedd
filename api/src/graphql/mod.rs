//! The schema: one file a concept, commands beside their concept.

mod agent_commands;
mod agent_types;
mod agents;
mod agents_past;
mod call_commands;
mod call_direct;
mod call_related;
mod call_types;
mod calls;
mod checked;
mod command;
mod cost;
mod dashboard;
mod direct;
mod events;
mod node;
mod pages;
mod parked;
mod permit;
mod queues;
mod recording_commands;
mod scalars;
mod sentiment;
mod transcript_commands;
mod transcripts;
mod transfer_commands;
mod users;

use async_graphql::{MergedObject, MergedSubscription, Schema, SchemaBuilder};

pub(crate) use dashboard::Zone;
pub(crate) use direct::{TakesWritten, written};

use crate::limits::Limits;

/// The `traceparent` header of a request.
#[derive(Debug, Clone)]
pub(crate) struct TraceParent(pub(crate) String);

impl TraceParent {
    /// Longest header that is kept: the format has 55 characters and may grow.
    const LENGTH_MAX: usize = 128;

    /// Takes a header over as it is, if it could be one.
    pub(crate) fn parse(header: &str) -> Option<Self> {
        let plain = header.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
        (plain && !header.is_empty() && header.len() <= Self::LENGTH_MAX).then(|| Self(header.to_owned()))
    }
}

/// Selections inside one another; every selection has a bracket, of which a document may have fewer open at once, but
/// fragments may use one another.
const RECURSION_MAX: usize = 128;

/// Questions.
///
/// An operation costs points: each field 1, and what is asked for below a list counts once for each of its elements, as
/// many as `first`, `last` or `ids` say. A list without such an argument has an assumed length: 100 for a whole transcript,
/// the scores of a call and the agents of a board, 30 for queues, 10 for the callers in a queue, 5 for the legs of a
/// call. An operation of more than 100,000 points is refused with `COMPLEXITY_LIMIT`; 100 calls with every field of their
/// legs, their agents and the last 10 lines of their transcripts have fewer. An installation may allow other numbers than
/// these and those of the arguments.
#[derive(MergedObject, Default)]
pub(crate) struct Query(
    checked::CheckedScalars,
    calls::CallQuery,
    agents::AgentQuery,
    queues::QueueQuery,
    dashboard::DashboardQuery,
    transcripts::TranscriptQuery,
    events::EventQuery,
    users::UserQuery,
    parked::ParkedQuery,
    node::NodeQuery,
);

/// Commands.
#[derive(MergedObject, Default)]
pub(crate) struct Mutation(
    call_commands::CallCommands,
    transfer_commands::TransferCommands,
    recording_commands::RecordingCommands,
    agent_commands::AgentCommands,
    transcript_commands::TranscriptCommands,
    users::UserCommands,
    parked::ParkedCommands,
);

/// What is pushed. Every payload carries a cursor; `after` goes on from there without gap or repetition.
#[derive(MergedSubscription, Default)]
pub(crate) struct Subscription(
    calls::CallSubscription,
    transcripts::TranscriptSubscription,
    sentiment::SentimentSubscription,
    agents::AgentSubscription,
    queues::QueueSubscription,
    dashboard::DashboardSubscription,
    events::EventSubscription,
);

/// The schema without what its resolvers need.
pub(crate) type VoiceSchema = Schema<Query, Mutation, Subscription>;

/// The schema, to be given its data. Its documents are measured before (`transport::documents`); the executor's own bounds
/// stand behind that.
pub(crate) fn builder(limits: &Limits) -> SchemaBuilder<Query, Mutation, Subscription> {
    let (query, mutation, subscription) = (Query::default(), Mutation::default(), Subscription::default());
    Schema::build_with_ignore_name_conflicts(query, mutation, subscription, checked::NAMES)
        .limit_recursive_depth(RECURSION_MAX)
        .limit_directives(limits.directives)
}
