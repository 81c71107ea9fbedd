//! What holds for a transcript whatever is asked, and in whatever order.

use std::collections::BTreeSet;

use proptest::prelude::*;
use proptest::sample::select;

use super::*;

proptest! {
    #[test]
    fn rules_hold_under_any_commands(commands in prop::collection::vec(command(), 0..60)) {
        testing::run::<Transcript>(commands, check);
    }
}

#[test]
fn random_commands_reach_every_event() {
    let reached = testing::types_reached::<Transcript>(&prop::collection::vec(command(), 0..60).boxed(), 50);
    assert_eq!(reached, Event::SCHEMAS.iter().map(|(name, _)| *name).collect());
}

fn check(transcript: &Transcript, history: &[Event]) {
    let mut superseded = BTreeSet::new();
    for (event, expected) in history.iter().zip(1..) {
        let segment = match event {
            Event::SegmentAdded(e) => &e.segment,
            Event::SegmentCorrected(e) => {
                let old = transcript.segment(e.supersedes).expect("a correction supersedes what there is");
                assert!(e.supersedes < e.segment.sequence);
                assert_eq!(old.speaker, e.segment.speaker, "a correction keeps the speaker");
                assert!(superseded.insert(e.supersedes), "segment {} is superseded twice", e.supersedes);
                &e.segment
            }
        };
        assert_eq!(segment.sequence, expected, "numbers are dense");
        assert!(segment.begin_ms <= segment.end_ms);
        let Segment { sequence, speaker, begin_ms, end_ms, .. } = *segment;
        assert_eq!(transcript.segment(sequence), Some(SegmentFacts { sequence, speaker, begin_ms, end_ms }));
    }
    assert_eq!(transcript.last_sequence() as usize, history.len());
}

fn command() -> impl Strategy<Value = Command> {
    let time = || 0..1_000u32;
    let party = select(vec![Party::Customer, Party::Agent]);
    let confidence = || prop::option::of(prop_oneof![4 => 0.0..=1.0, 1 => any::<f64>()]);
    let add = (prop::bool::weighted(0.9), party, time(), time(), confidence()).prop_map(
        |(call_known, speaker, begin_ms, end_ms, confidence)| {
            let (text, model) = (spoken("Dobrý den."), label("nova-3"));
            Command::AddSegment { call_known, speaker, begin_ms, end_ms, text, confidence, model }
        },
    );
    let correct = (0..20u32, prop::option::of(time()), prop::option::of(time()), confidence()).prop_map(
        |(supersedes, begin_ms, end_ms, confidence)| {
            let (text, model, reason) = (spoken("Dobrý večer."), label("person"), None);
            Command::CorrectSegment { supersedes, begin_ms, end_ms, text, confidence, model, reason }
        },
    );
    prop_oneof![add, correct]
}
