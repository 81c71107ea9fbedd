//! The rules of sentiment, as given events, when command, then events.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeMap;

use super::*;
use crate::call::Party;
use crate::testing::{self, Given, label};
use crate::transcript::SegmentFacts;

fn given(events: &[Event]) -> Given<Sentiment> {
    testing::given(events)
}

fn emotions(shares: &[(&str, f64)]) -> BTreeMap<String, f64> {
    shares.iter().map(|(name, share)| ((*name).to_owned(), *share)).collect()
}

fn facts(sequence: u32) -> SegmentFacts {
    SegmentFacts { sequence, speaker: Party::Customer, begin_ms: 1_000, end_ms: 2_500 }
}

/// What a model made of segment 3.
fn scored(score: f64, shares: &[(&str, f64)], model_version: &str) -> Scored {
    Scored {
        segment: 3,
        speaker: Party::Customer,
        begin_ms: 1_000,
        end_ms: 2_500,
        score,
        emotions: emotions(shares),
        model: label("lexicon"),
        model_version: label(model_version),
    }
}

fn score(scored: &Scored) -> Command {
    Command::Score {
        segment: Some(facts(3)),
        score: scored.score,
        emotions: scored.emotions.clone(),
        model: scored.model.clone(),
        model_version: scored.model_version.clone(),
    }
}

#[test]
fn a_segment_is_scored_with_its_speaker_and_times() {
    for value in [-1.0, -0.25, 0.0, 1.0] {
        let expected = scored(value, &[("anger", 0.0), ("joy_of_life", 1.0)], "1");
        given(&[]).when(score(&expected)).then(&[expected.into()]);
    }
}

#[test]
fn a_score_needs_its_segment() {
    let command = Command::Score {
        segment: None,
        score: 0.0,
        emotions: BTreeMap::new(),
        model: label("lexicon"),
        model_version: label("1"),
    };
    given(&[]).when(command).then_refused("SEGMENT_UNKNOWN");
}

#[test]
fn scores_and_shares_keep_their_bounds() {
    for value in [-1.01, 1.01, f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        given(&[]).when(score(&scored(value, &[], "1"))).then_refused("SCORE_OUT_OF_RANGE");
    }
    for share in [-0.01, 1.01, f64::NAN, f64::INFINITY] {
        given(&[]).when(score(&scored(0.0, &[("joy", share)], "1"))).then_refused("EMOTION_OUT_OF_RANGE");
    }
}

#[test]
fn names_of_emotions_are_short_lower_case_words() {
    let longest = "a".repeat(EMOTION_NAME_LENGTH_MAX);
    let too_long = "a".repeat(EMOTION_NAME_LENGTH_MAX + 1);
    for name in ["", "Joy", "joy!", "joy 2", "radost\u{ed}", &too_long] {
        given(&[]).when(score(&scored(0.0, &[(name, 0.5)], "1"))).then_refused("EMOTION_NAME_INVALID");
    }
    let expected = scored(0.0, &[(&longest, 0.5)], "1");
    given(&[]).when(score(&expected)).then(&[expected.into()]);
}

#[test]
fn the_number_of_emotions_is_bounded() {
    let names: Vec<String> = (1..=EMOTIONS_MAX + 1).map(|length| "a".repeat(length.min(32)) + "_").collect();
    let shares = |count: usize| {
        let mut shares: Vec<(&str, f64)> = names.iter().take(count - 2).map(|name| (name.as_str(), 0.5)).collect();
        shares.extend([("joy", 0.5), ("anger", 0.5)]);
        shares
    };
    let most = scored(0.0, &shares(EMOTIONS_MAX), "1");
    assert_eq!(most.emotions.len(), EMOTIONS_MAX);
    given(&[]).when(score(&most)).then(&[most.into()]);
    let too_many = scored(0.0, &shares(EMOTIONS_MAX + 1), "1");
    given(&[]).when(score(&too_many)).then_refused("TOO_MANY_EMOTIONS");
}

#[test]
fn a_model_scores_a_segment_once_in_each_version() {
    let first = scored(0.5, &[], "1");
    let history = [Event::from(first.clone())];
    given(&history).when(score(&scored(-0.5, &[], "1"))).then_refused("ALREADY_SCORED");
    let newer = scored(-0.5, &[], "2");
    given(&history).when(score(&newer)).then(&[newer.into()]);
    let other_model = Scored { model: label("large"), ..first.clone() };
    given(&history).when(score(&other_model)).then(&[other_model.into()]);
    let Command::Score { score, emotions, model, model_version, .. } = score(&first);
    let other_segment = Command::Score { segment: Some(facts(4)), score, emotions, model, model_version };
    given(&history).when(other_segment).then(&[Scored { segment: 4, ..first }.into()]);
}

#[test]
fn every_rule_is_named_and_tested() {
    testing::assert_rules(include_str!("refusal.rs"), &[include_str!("tests.rs")]);
}
