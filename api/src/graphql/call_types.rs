//! A call and its legs, as clients see them.

use async_graphql::{ContextSelectionSet, Enum, SimpleObject};
use chrono::{DateTime, Utc};
use domain::{AgentId, Personal};
use projections::Snapshot;
use projections::models::calls::{CallView, LegRow};
use uuid::Uuid;

use super::call_direct::{column_of_related, load_related};
use super::call_related::Related;
use super::cost;
use super::direct::{Chosen, Column, Plain, stored, words};
use super::scalars::{Channel, Direction, EndReason, EndedBy, Position};

/// Where a call is. Exactly one holds at any time.
#[derive(Enum, Debug, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "projections::models::calls::CallState")]
pub(crate) enum CallState {
    /// Set up, and nobody has it yet: neither a queue nor an agent.
    Initiated,
    /// The caller waits in a queue and nobody's phone rings.
    Waiting,
    /// An agent's phone rings, and no agent has the customer.
    Offered,
    /// An agent speaks to the customer.
    Connected,
    /// An agent has the customer on hold.
    OnHold,
    /// Passed on, and nobody has it yet.
    Transferring,
    /// Over, by one side hanging up or by a rule.
    Ended,
    /// Over: the caller hung up while waiting.
    Abandoned,
    /// Over, by a technical fault.
    Failed,
}

/// Whether a call is being recorded.
#[derive(Enum, Debug, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "projections::models::calls::RecordingState")]
pub(crate) enum RecordingState {
    /// Not recorded, or no more.
    Off,
    /// Being recorded.
    On,
    /// Recording is paused.
    Paused,
}

/// How a leg was opened.
#[derive(Enum, Debug, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "projections::models::calls::LegKind")]
pub(crate) enum LegKind {
    /// Offered for the customer.
    Primary,
    /// Asked by a colleague.
    Consult,
}

/// What happens on a leg.
#[derive(Enum, Debug, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "projections::models::LegState")]
pub(crate) enum LegState {
    /// The agent's phone rings.
    Ringing,
    /// The agent, asked by a colleague, speaks to that colleague.
    Consulting,
    /// The agent speaks to the customer.
    Connected,
    /// The agent has the customer on hold.
    OnHold,
    /// The agent works after the conversation.
    WrapUp,
    /// Nothing more happens.
    Closed,
}

/// How a leg's ringing or conversation ended.
#[derive(Enum, Debug, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "projections::models::calls::LegOutcome")]
pub(crate) enum LegOutcome {
    /// Never answered: the agent refused.
    Declined,
    /// Never answered: rang for too long.
    Expired,
    /// Never answered: taken back, because the call ended or the colleague gave up asking.
    Withdrawn,
    /// The call ended on it.
    Completed,
    /// The call was lost on it by a technical fault.
    Failed,
    /// The customer was passed on without speaking to the target first.
    TransferredBlind,
    /// The customer was passed on after a consultation.
    TransferredConsult,
    /// A consultation that ended, and the customer stayed with the one who asked.
    ConsultCancelled,
}

/// A call.
#[derive(SimpleObject)]
#[graphql(complex)]
pub(crate) struct Call {
    /// Identity.
    pub(crate) call_id: Uuid,
    /// Who called whom.
    direction: Direction,
    /// By telephone or in writing.
    channel: Channel,
    /// The calling number, E.164.
    from: String,
    /// The called number, E.164.
    to: String,
    /// Name shown for the customer.
    customer_name: Option<String>,
    /// Language, BCP 47.
    language: Option<String>,
    /// Where the call is.
    state: CallState,
    /// Since when.
    state_since: DateTime<Utc>,
    /// An agent works after the conversation, whether or not the call is over.
    wrap_up_open: bool,
    /// The queue last entered; the caller waits in it while `waitingSince` is set.
    queue: Option<String>,
    /// The agent who has the customer, or who had it last.
    pub(crate) agent_id: Option<Uuid>,
    /// Begin.
    pub(crate) initiated_at: DateTime<Utc>,
    /// First time in a queue.
    first_queued_at: Option<DateTime<Utc>>,
    /// Begin of the present wait.
    waiting_since: Option<DateTime<Utc>>,
    /// First answer by an agent.
    answered_at: Option<DateTime<Utc>>,
    /// End of the call. Wrap-up may go on.
    ended_at: Option<DateTime<Utc>>,
    /// Who ended it.
    ended_by: Option<EndedBy>,
    /// Why it ended; none if abandoned or failed.
    end_reason: Option<EndReason>,
    /// What went wrong, if failed.
    failure: Option<String>,
    /// Wait of the first answer in milliseconds, from entering the queue it was answered from. None: not answered from a
    /// queue.
    wait_ms: Option<i64>,
    /// All waits in all queues that have ended, milliseconds.
    wait_total_ms: i64,
    /// Agents speaking to the customer, finished stretches, milliseconds. Holds are not part of it.
    talk_ms: i64,
    /// Customer on hold, finished holds, milliseconds.
    hold_ms: i64,
    /// Work after the conversation, finished, milliseconds; of several agents, the sum.
    wrap_up_ms: i64,
    /// Times the customer was passed on.
    transfers: i32,
    /// The customer can't be heard now.
    customer_muted: bool,
    /// The agent who has the customer can't be heard now.
    agent_muted: bool,
    /// Whether it is recorded now.
    recording: RecordingState,
    /// The last recording.
    recording_id: Option<Uuid>,
    /// Result of the wrap-up completed last.
    disposition: Option<String>,
    /// Version of the call's stream; for `expectedVersion`.
    version: i64,
    /// Place of the call's last event in the log.
    pub(crate) position: Position,
    /// Offers to agents and what became of them, in order.
    #[graphql(complexity = "cost::list(cost::LEGS, child_complexity)")]
    legs: Vec<Leg>,
    #[graphql(skip)]
    pub(crate) owners: Vec<AgentId>,
    #[graphql(skip)]
    pub(crate) related: Related,
}

/// One offer to one agent and what became of it.
#[derive(SimpleObject)]
pub(crate) struct Leg {
    /// Number within the call, from 1.
    leg: u32,
    /// The agent.
    agent_id: Uuid,
    /// How it was opened.
    kind: LegKind,
    /// What happens on it now.
    state: LegState,
    /// The leg whose agent asked, on a consult leg.
    consulted_by: Option<u32>,
    /// The queue the caller waited in when it was offered.
    queue: Option<String>,
    /// When that wait had begun.
    enqueued_at: Option<DateTime<Utc>>,
    /// The phone began to ring.
    offered_at: DateTime<Utc>,
    /// How long it may ring, milliseconds.
    ring_timeout_ms: i64,
    /// The agent answered.
    answered_at: Option<DateTime<Utc>>,
    /// The customer was passed on to this consult leg.
    took_over_at: Option<DateTime<Utc>>,
    /// The ringing or the conversation ended.
    ended_at: Option<DateTime<Utc>>,
    /// How it ended.
    outcome: Option<LegOutcome>,
    /// Why it was declined.
    decline_reason: Option<String>,
    /// The agent began the work after the conversation.
    wrap_up_started_at: Option<DateTime<Utc>>,
    /// The agent finished it.
    wrap_up_completed_at: Option<DateTime<Utc>>,
    /// Ringing, milliseconds.
    ring_ms: i64,
    /// Speaking to the customer and not on hold, finished stretches, milliseconds.
    talk_ms: i64,
    /// Customer on hold, finished holds, milliseconds.
    hold_ms: i64,
    /// Times the customer was put on hold.
    hold_count: i32,
    /// Speaking to the colleague who asked, milliseconds.
    consult_ms: i64,
    /// Work after the conversation, milliseconds.
    wrap_up_ms: i64,
    /// What came of the conversation.
    disposition: Option<String>,
    /// What the agent wrote down.
    notes: Option<String>,
}

words!(CallState, RecordingState, LegKind, LegState, LegOutcome);

impl Plain for Call {
    type Shown = Self;

    fn column(field: &Chosen<'_>) -> Option<Column<Self>> {
        stored!(field, {
            "callId": call_id, "direction": direction, "channel": channel, "from": from, "to": to,
            "customerName": customer_name, "language": language, "state": state, "stateSince": state_since,
            "wrapUpOpen": wrap_up_open, "queue": queue, "agentId": agent_id, "initiatedAt": initiated_at,
            "firstQueuedAt": first_queued_at, "waitingSince": waiting_since, "answeredAt": answered_at,
            "endedAt": ended_at, "endedBy": ended_by, "endReason": end_reason, "failure": failure, "waitMs": wait_ms,
            "waitTotalMs": wait_total_ms, "talkMs": talk_ms, "holdMs": hold_ms, "wrapUpMs": wrap_up_ms,
            "transfers": transfers, "customerMuted": customer_muted, "agentMuted": agent_muted,
            "recording": recording, "recordingId": recording_id, "disposition": disposition, "version": version,
            "position": position,
        })
        .or_else(|| match field.name() {
            "legs" => field.list(|call| call.legs.as_slice()),
            _ => column_of_related(field),
        })
    }

    async fn load(calls: &[&Self], context: &ContextSelectionSet<'_>) -> bool {
        load_related(calls, context).await
    }
}

impl Plain for Leg {
    type Shown = Self;

    fn column(field: &Chosen<'_>) -> Option<Column<Self>> {
        stored!(field, {
            "leg": leg, "agentId": agent_id, "kind": kind, "state": state, "consultedBy": consulted_by,
            "queue": queue, "enqueuedAt": enqueued_at, "offeredAt": offered_at, "ringTimeoutMs": ring_timeout_ms,
            "answeredAt": answered_at, "tookOverAt": took_over_at, "endedAt": ended_at, "outcome": outcome,
            "declineReason": decline_reason, "wrapUpStartedAt": wrap_up_started_at,
            "wrapUpCompletedAt": wrap_up_completed_at, "ringMs": ring_ms, "talkMs": talk_ms, "holdMs": hold_ms,
            "holdCount": hold_count, "consultMs": consult_ms, "wrapUpMs": wrap_up_ms, "disposition": disposition,
            "notes": notes,
        })
    }
}

fn plain(value: Option<Personal<String>>) -> Option<String> {
    value.map(Personal::into_revealed)
}

impl From<LegRow> for Leg {
    fn from(row: LegRow) -> Self {
        Self {
            leg: row.leg,
            agent_id: row.agent_id,
            kind: row.kind.into(),
            state: row.times.state.into(),
            consulted_by: row.consulted_by,
            queue: row.queue,
            enqueued_at: row.enqueued_at,
            offered_at: row.offered_at,
            ring_timeout_ms: row.ring_timeout_ms,
            answered_at: row.answered_at,
            took_over_at: row.took_over_at,
            ended_at: row.ended_at,
            outcome: row.outcome.map(Into::into),
            decline_reason: row.decline_reason,
            wrap_up_started_at: row.wrap_up_started_at,
            wrap_up_completed_at: row.wrap_up_completed_at,
            ring_ms: row.times.ring_ms,
            talk_ms: row.times.talk_ms,
            hold_ms: row.times.hold_ms,
            hold_count: row.times.hold_count,
            consult_ms: row.times.consult_ms,
            wrap_up_ms: row.times.wrap_up_ms,
            disposition: row.disposition,
            notes: plain(row.notes),
        }
    }
}

impl From<CallView> for Call {
    fn from(view: CallView) -> Self {
        let related = Related::of(std::slice::from_ref(&view), None);
        Self::new(view, related)
    }
}

impl Call {
    /// The calls of one list, which share what belongs to them. `snapshot`: where they come from.
    pub(crate) fn listed(views: Vec<CallView>, snapshot: Option<Snapshot>) -> Vec<Self> {
        let related = Related::of(&views, snapshot);
        views.into_iter().map(|view| Self::new(view, related.clone())).collect()
    }

    fn new(CallView { call: row, legs }: CallView, related: Related) -> Self {
        Self {
            call_id: row.call_id,
            direction: row.direction.into(),
            channel: row.channel.into(),
            from: row.from_number.into_revealed(),
            to: row.to_number.into_revealed(),
            customer_name: plain(row.customer_name),
            language: row.language,
            state: row.state.into(),
            state_since: row.state_since,
            wrap_up_open: row.wrap_up_open,
            queue: row.queue,
            agent_id: row.agent_id,
            initiated_at: row.initiated_at,
            first_queued_at: row.first_queued_at,
            waiting_since: row.waiting_since,
            answered_at: row.answered_at,
            ended_at: row.ended_at,
            ended_by: row.ended_by.map(Into::into),
            end_reason: row.end_reason.map(Into::into),
            failure: row.failure,
            wait_ms: row.wait_ms,
            wait_total_ms: row.wait_total_ms,
            talk_ms: row.talk_ms,
            hold_ms: row.hold_ms,
            wrap_up_ms: row.wrap_up_ms,
            transfers: row.transfers,
            customer_muted: row.customer_muted,
            agent_muted: row.agent_muted,
            recording: row.recording.into(),
            recording_id: row.recording_id,
            disposition: row.disposition,
            version: row.version,
            position: Position(row.position),
            related,
            owners: legs.iter().map(|leg| leg.agent_id).collect(),
            legs: legs.into_iter().map(Into::into).collect(),
        }
    }
}
