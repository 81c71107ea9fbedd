//! Segments from the columns of their table.

use crate::models::columns::{from_row, number, number_if_any, personal, plain, word};

use super::{SegmentRow, SpokenRow};

from_row!(in order: SegmentRow {
    call_id: plain,
    sequence: number::<i64, _>,
    speaker: word,
    begin_ms: number::<i64, _>,
    end_ms: number::<i64, _>,
    text: personal,
    confidence: plain,
    model: plain,
    supersedes: number_if_any::<i64, _>,
    superseded_by: number_if_any::<i64, _>,
    reason: plain,
    occurred_at: plain,
    position: plain,
});

from_row!(in order: SpokenRow {
    call_id: plain,
    sequence: number::<i64, _>,
    speaker: word,
    begin_ms: number::<i64, _>,
    end_ms: number::<i64, _>,
    text: personal,
});
