//! What the rules of sentiment remember, folded from its events. The scores are not among it.

use std::collections::{BTreeMap, BTreeSet};

use super::Event;
use crate::Label;
use crate::transcript::Sequence;

/// The sentiment of a call, as far as its rules need it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Sentiment {
    /// For each model and version, the segments it has scored.
    scored: BTreeMap<(Label, Label), BTreeSet<Sequence>>,
}

impl Sentiment {
    /// Whether a model in one version has scored a segment.
    #[must_use]
    pub fn is_scored(&self, segment: Sequence, model: &Label, model_version: &Label) -> bool {
        let scored = self.scored.get(&(model.clone(), model_version.clone()));
        scored.is_some_and(|segments| segments.contains(&segment))
    }

    /// See [`crate::Aggregate::heap_bytes`].
    pub(super) fn heap_bytes(&self) -> usize {
        let scored = self.scored.iter().map(|((model, version), segments)| {
            let names = model.as_str().len() + version.as_str().len();
            // Nodes of a tree are half full.
            names + 2 * size_of::<((Label, Label), BTreeSet<Sequence>)>() + 2 * size_of::<Sequence>() * segments.len()
        });
        scored.sum()
    }

    /// Takes one event into the state.
    pub(super) fn fold(&mut self, event: &Event) {
        match event {
            Event::Scored(e) => {
                self.scored.entry((e.model.clone(), e.model_version.clone())).or_default().insert(e.segment);
            }
        }
    }
}
