//! What a transcript's rules remember, folded from its events. The texts are not among it.

use std::collections::BTreeMap;

use super::{Event, Segment, Sequence};
use crate::call::Party;

/// Who spoke when: what others need to know of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SegmentFacts {
    /// Number of the segment.
    pub sequence: Sequence,
    /// Who spoke.
    pub speaker: Party,
    /// Begin of speech, milliseconds from the start of the call.
    pub begin_ms: u32,
    /// End of speech, milliseconds from the start of the call.
    pub end_ms: u32,
}

/// What a superseded segment takes in a tree whose nodes are half full.
const BYTES_OF_SUPERSEDED: usize = 4 * size_of::<Sequence>();

/// A transcript, as far as its rules need it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Transcript {
    /// Every segment ever stored, superseded ones too, in the order of their numbers.
    segments: Vec<SegmentFacts>,
    /// For a superseded segment, the one that took its place.
    superseded_by: BTreeMap<Sequence, Sequence>,
}

impl Transcript {
    /// What is known of a segment, superseded or not; `None`: there is no such segment.
    #[must_use]
    pub fn segment(&self, sequence: Sequence) -> Option<SegmentFacts> {
        self.index_of(sequence).ok().map(|index| self.segments[index])
    }

    /// The number of the last segment; 0: there is none yet.
    #[must_use]
    pub fn last_sequence(&self) -> Sequence {
        self.segments.last().map_or(0, |segment| segment.sequence)
    }

    /// The newest of a segment's line of corrections: the segment itself when it was never superseded.
    pub(super) fn newest(&self, sequence: Sequence) -> Sequence {
        let mut newest = sequence;
        while let Some(next) = self.superseded_by.get(&newest).copied().filter(|next| *next > newest) {
            newest = next;
        }
        newest
    }

    fn keep(&mut self, segment: &Segment) {
        let Segment { sequence, speaker, begin_ms, end_ms, .. } = *segment;
        let facts = SegmentFacts { sequence, speaker, begin_ms, end_ms };
        // Numbers are given out one after another, so this is nearly always the end.
        match self.index_of(sequence) {
            Ok(index) => self.segments[index] = facts,
            Err(index) => self.segments.insert(index, facts),
        }
    }

    /// Where a segment is, or where it would have to be.
    fn index_of(&self, sequence: Sequence) -> Result<usize, usize> {
        match self.segments.last() {
            Some(last) if last.sequence >= sequence => self.segments.binary_search_by_key(&sequence, |s| s.sequence),
            _ => Err(self.segments.len()),
        }
    }

    /// See [`crate::Aggregate::heap_bytes`].
    pub(super) fn heap_bytes(&self) -> usize {
        self.segments.capacity() * size_of::<SegmentFacts>() + self.superseded_by.len() * BYTES_OF_SUPERSEDED
    }

    /// Takes one event into the state.
    pub(super) fn fold(&mut self, event: &Event) {
        match event {
            Event::SegmentAdded(e) => self.keep(&e.segment),
            Event::SegmentCorrected(e) => {
                self.keep(&e.segment);
                self.superseded_by.insert(e.supersedes, e.segment.sequence);
            }
        }
    }
}
