//! The rules of a transcript, as given events, when command, then events.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod properties;

use super::*;
use crate::call::Party;
use crate::testing::{self, Given, label, short};
use crate::{Personal, SpokenText};

fn given(events: &[Event]) -> Given<Transcript> {
    testing::given(events)
}

fn spoken(text: &str) -> Personal<SpokenText> {
    Personal::new(SpokenText::parse(text).unwrap())
}

/// The customer greets from 1.0 to 2.5 seconds.
fn segment(sequence: Sequence) -> Segment {
    Segment {
        sequence,
        speaker: Party::Customer,
        begin_ms: 1_000,
        end_ms: 2_500,
        text: spoken("Dobrý den."),
        confidence: Some(0.9),
        model: label("nova-3"),
    }
}

fn add(segment: Segment) -> Command {
    let Segment { speaker, begin_ms, end_ms, text, confidence, model, .. } = segment;
    Command::AddSegment { call_known: true, speaker, begin_ms, end_ms, text, confidence, model }
}

fn added(segment: Segment) -> Event {
    SegmentAdded { segment }.into()
}

fn correct(supersedes: Sequence, begin_ms: Option<u32>, end_ms: Option<u32>) -> Command {
    let (text, confidence, model) = (spoken("Dobrý večer."), None, label("person"));
    let reason = Some(short("misheard"));
    Command::CorrectSegment { supersedes, begin_ms, end_ms, text, confidence, model, reason }
}

fn corrected(sequence: Sequence, supersedes: Sequence, begin_ms: u32, end_ms: u32) -> Event {
    let (text, confidence, model) = (spoken("Dobrý večer."), None, label("person"));
    let segment = Segment { begin_ms, end_ms, text, confidence, model, ..segment(sequence) };
    SegmentCorrected { segment, supersedes, reason: Some(short("misheard")) }.into()
}

#[test]
fn segments_are_numbered_in_the_order_of_storing() {
    given(&[]).when(add(segment(0))).then(&[added(segment(1))]);
    // Speech overlaps and recognisers finish out of order: an earlier time is no reason to refuse.
    let earlier = Segment { begin_ms: 0, end_ms: 0, speaker: Party::Agent, confidence: None, ..segment(2) };
    given(&[added(segment(1))]).when(add(earlier.clone())).then(&[added(earlier)]);
}

#[test]
fn a_segment_belongs_to_a_call() {
    let Command::AddSegment { speaker, begin_ms, end_ms, text, confidence, model, .. } = add(segment(1)) else {
        unreachable!()
    };
    let command = Command::AddSegment { call_known: false, speaker, begin_ms, end_ms, text, confidence, model };
    given(&[]).when(command).then_refused("CALL_UNKNOWN");
}

#[test]
fn a_segment_keeps_the_bounds() {
    let reversed = Segment { begin_ms: 2_501, ..segment(1) };
    given(&[]).when(add(reversed)).then_refused("SEGMENT_TIMES_REVERSED");
    for confidence in [-0.01, 1.01, f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let unsure = Segment { confidence: Some(confidence), ..segment(1) };
        given(&[]).when(add(unsure)).then_refused("CONFIDENCE_OUT_OF_RANGE");
    }
    for confidence in [0.0, 1.0] {
        let sure = Segment { confidence: Some(confidence), ..segment(1) };
        given(&[]).when(add(sure.clone())).then(&[added(sure)]);
    }
}

#[test]
fn a_correction_keeps_the_speaker_and_the_times_it_does_not_name() {
    let said = [added(segment(1))];
    given(&said).when(correct(1, None, None)).then(&[corrected(2, 1, 1_000, 2_500)]);
    given(&said).when(correct(1, Some(900), None)).then(&[corrected(2, 1, 900, 2_500)]);
    given(&said).when(correct(1, None, Some(3_000))).then(&[corrected(2, 1, 1_000, 3_000)]);
}

#[test]
fn a_correction_keeps_the_bounds() {
    let said = [added(segment(1))];
    given(&said).when(correct(2, None, None)).then_refused("SEGMENT_UNKNOWN");
    given(&said).when(correct(0, None, None)).then_refused("SEGMENT_UNKNOWN");
    given(&said).when(correct(1, Some(2_600), None)).then_refused("SEGMENT_TIMES_REVERSED");
    let (text, model) = (spoken("Dobrý večer."), label("person"));
    let confidence = Some(f64::NAN);
    let (begin_ms, end_ms, reason) = (None, None, None);
    let unsure = Command::CorrectSegment { supersedes: 1, begin_ms, end_ms, text, confidence, model, reason };
    given(&said).when(unsure).then_refused("CONFIDENCE_OUT_OF_RANGE");
}

#[test]
fn only_the_newest_of_a_line_is_corrected() {
    let events = [added(segment(1)), corrected(2, 1, 1_000, 2_500), added(segment(3)), corrected(4, 2, 900, 2_500)];
    given(&events).when(correct(1, None, None)).then_refused("SEGMENT_SUPERSEDED");
    given(&events).when(correct(2, None, None)).then_refused("SEGMENT_SUPERSEDED");
    given(&events).when(correct(4, None, None)).then(&[corrected(5, 4, 900, 2_500)]);
    let refusal = crate::Aggregate::decide(&testing::fold::<Transcript>(&events), correct(1, None, None));
    assert_eq!(refusal, Err(Refusal::SegmentSuperseded { segment: 1, newest: 4 }), "it names the one to correct");
}

#[test]
fn the_number_of_segments_is_bounded() {
    let full = [added(segment(SEGMENTS_MAX))];
    given(&full).when(add(segment(0))).then_refused("TOO_MANY_SEGMENTS");
    given(&full).when(correct(SEGMENTS_MAX, None, None)).then_refused("TOO_MANY_SEGMENTS");
    given(&[added(segment(SEGMENTS_MAX - 1))]).when(add(segment(0))).then(&full);
}

#[test]
fn others_look_segments_up() {
    let events = [added(segment(1)), corrected(2, 1, 900, 2_500)];
    let transcript = testing::fold::<Transcript>(&events);
    let facts = |sequence, begin_ms| SegmentFacts { sequence, speaker: Party::Customer, begin_ms, end_ms: 2_500 };
    assert_eq!(transcript.segment(1), Some(facts(1, 1_000)));
    assert_eq!(transcript.segment(2), Some(facts(2, 900)));
    assert_eq!(transcript.segment(3), None);
    assert_eq!(transcript.last_sequence(), 2);
    assert_eq!(Transcript::default().last_sequence(), 0);
}

#[test]
fn every_rule_is_named_and_tested() {
    testing::assert_rules(include_str!("refusal.rs"), &[include_str!("tests.rs")]);
}
