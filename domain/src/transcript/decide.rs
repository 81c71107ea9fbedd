//! The rules of a transcript.

use super::event::*;
use super::{Command, Refusal, SEGMENTS_MAX, Transcript};

pub(super) fn decide(transcript: &Transcript, command: Command) -> Result<Vec<Event>, Refusal> {
    let event = match command {
        Command::AddSegment { call_known, speaker, begin_ms, end_ms, text, confidence, model } => {
            if !call_known {
                return Err(Refusal::CallUnknown);
            }
            let sequence = next_sequence(transcript)?;
            let segment = Segment { sequence, speaker, begin_ms, end_ms, text, confidence, model };
            SegmentAdded { segment: checked(segment)? }.into()
        }
        Command::CorrectSegment { supersedes, begin_ms, end_ms, text, confidence, model, reason } => {
            let old = transcript.segment(supersedes).ok_or(Refusal::SegmentUnknown(supersedes))?;
            let newest = transcript.newest(supersedes);
            if newest != supersedes {
                return Err(Refusal::SegmentSuperseded { segment: supersedes, newest });
            }
            let sequence = next_sequence(transcript)?;
            let (begin_ms, end_ms) = (begin_ms.unwrap_or(old.begin_ms), end_ms.unwrap_or(old.end_ms));
            let segment = Segment { sequence, speaker: old.speaker, begin_ms, end_ms, text, confidence, model };
            SegmentCorrected { segment: checked(segment)?, supersedes, reason }.into()
        }
    };
    Ok(vec![event])
}

fn next_sequence(transcript: &Transcript) -> Result<Sequence, Refusal> {
    let last = transcript.last_sequence();
    if last >= SEGMENTS_MAX { Err(Refusal::TooManySegments) } else { Ok(last + 1) }
}

fn checked(segment: Segment) -> Result<Segment, Refusal> {
    if segment.end_ms < segment.begin_ms {
        return Err(Refusal::SegmentTimesReversed);
    }
    // A range holds no NaN, so this also keeps out what JSON can't write.
    if segment.confidence.is_some_and(|confidence| !(0.0..=1.0).contains(&confidence)) {
        return Err(Refusal::ConfidenceOutOfRange);
    }
    Ok(segment)
}
