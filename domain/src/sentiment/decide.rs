//! The rules of sentiment.

use std::collections::BTreeMap;

use super::event::*;
use super::{Command, EMOTION_NAME_LENGTH_MAX, EMOTIONS_MAX, Refusal, Sentiment};

pub(super) fn decide(sentiment: &Sentiment, command: Command) -> Result<Vec<Event>, Refusal> {
    let Command::Score { segment, score, emotions, model, model_version } = command;
    let segment = segment.ok_or(Refusal::SegmentUnknown)?;
    // A range holds no NaN, so this also keeps out what JSON can't write; the same goes for emotions.
    if !(-1.0..=1.0).contains(&score) {
        return Err(Refusal::ScoreOutOfRange);
    }
    check_emotions(&emotions)?;
    if sentiment.is_scored(segment.sequence, &model, &model_version) {
        return Err(Refusal::AlreadyScored { segment: segment.sequence, model, model_version });
    }
    let (speaker, begin_ms, end_ms) = (segment.speaker, segment.begin_ms, segment.end_ms);
    let segment = segment.sequence;
    Ok(vec![Scored { segment, speaker, begin_ms, end_ms, score, emotions, model, model_version }.into()])
}

fn check_emotions(emotions: &BTreeMap<String, f64>) -> Result<(), Refusal> {
    if emotions.len() > EMOTIONS_MAX {
        return Err(Refusal::TooManyEmotions);
    }
    for (name, share) in emotions {
        let letters_only = name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
        if name.is_empty() || name.len() > EMOTION_NAME_LENGTH_MAX || !letters_only {
            return Err(Refusal::EmotionNameInvalid);
        }
        if !(0.0..=1.0).contains(share) {
            return Err(Refusal::EmotionOutOfRange(name.clone()));
        }
    }
    Ok(())
}
