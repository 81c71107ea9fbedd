//! Calls and legs from the columns of their tables.

use crate::models::LegTimes;
use crate::models::columns::{
    Column, from_row, number, number_if_any, personal, personal_if_any, plain, word, word_if_any,
};

use super::{CallRow, LegRow};

from_row!(in order: CallRow {
    call_id: plain,
    direction: word,
    channel: word,
    from_number: personal,
    to_number: personal,
    customer_name: personal_if_any,
    language: plain,
    state: word,
    state_since: plain,
    wrap_up_open: plain,
    queue: plain,
    agent_id: plain,
    initiated_at: plain,
    first_queued_at: plain,
    waiting_since: plain,
    answered_at: plain,
    ended_at: plain,
    ended_by: word_if_any,
    end_reason: word_if_any,
    failure: plain,
    wait_ms: plain,
    wait_total_ms: plain,
    talk_ms: plain,
    hold_ms: plain,
    wrap_up_ms: plain,
    transfers: plain,
    customer_muted: plain,
    agent_muted: plain,
    recording: word,
    recording_id: plain,
    disposition: plain,
    version: plain,
    position: plain,
});

from_row!(LegTimes {
    state: word,
    state_since: plain,
    ring_ms: plain,
    talk_ms: plain,
    hold_ms: plain,
    hold_count: plain,
    consult_ms: plain,
    wrap_up_ms: plain,
});

from_row!(LegRow {
    call_id: plain,
    leg: number::<i32, _>,
    agent_id: plain,
    kind: word,
    consulted_by: number_if_any::<i32, _>,
    queue: plain,
    enqueued_at: plain,
    offered_at: plain,
    ring_timeout_ms: plain,
    answered_at: plain,
    took_over_at: plain,
    ended_at: plain,
    outcome: word_if_any,
    decline_reason: plain,
    wrap_up_started_at: plain,
    wrap_up_completed_at: plain,
    times: times,
    customer_muted: plain,
    agent_muted: plain,
    disposition: plain,
    notes: personal_if_any,
});

fn times(row: &sqlx::postgres::PgRow, _: Column) -> Result<LegTimes, sqlx::Error> {
    sqlx::FromRow::from_row(row)
}
