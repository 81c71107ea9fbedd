//! The size of a parsed operation with its fragments written out, found without writing them out: twenty fragments that
//! each use the next one twice make a million fields.

use std::collections::HashMap;

use async_graphql::parser::types::{Directive, ExecutableDocument, OperationDefinition, Selection, SelectionSet};
use async_graphql::{Name, Positioned};

use crate::limits::Limits;

/// Selections inside one another before measuring gives up; far above every depth that is allowed.
const LEVELS_MAX: usize = 128;

/// The size of an operation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Measures {
    /// Levels of fields.
    pub(super) depth: usize,
    /// Fields at the root.
    pub(super) root_fields: usize,
    /// All fields.
    pub(super) fields: usize,
    /// All aliases.
    pub(super) aliases: usize,
    /// Most directives in one place.
    pub(super) directives: usize,
}

/// A limit that an operation is beyond: its name as clients see it, and its value.
pub(super) type Beyond = (&'static str, usize);

/// Why there are no measures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unmeasured {
    /// A fragment uses itself.
    Cycle,
    /// It goes deeper than anything allowed.
    TooDeep,
}

impl Measures {
    /// Measures an operation of a document.
    pub(super) fn of(document: &ExecutableDocument, operation: &OperationDefinition) -> Result<Self, Unmeasured> {
        let mut measuring = Measuring { document, fragments: HashMap::new() };
        let mut measures = measuring.selections(&operation.selection_set.node, 0)?;
        measures.saw(&operation.directives);
        for variable in &operation.variable_definitions {
            measures.saw(&variable.node.directives);
        }
        Ok(measures)
    }

    /// The first limit that is passed.
    pub(super) fn beyond(&self, limits: &Limits) -> Option<Beyond> {
        [
            ("DEPTH", self.depth, limits.depth),
            ("ROOT_FIELDS", self.root_fields, limits.root_fields),
            ("ALIASES", self.aliases, limits.aliases),
            ("DIRECTIVES", self.directives, limits.directives),
            ("FIELDS", self.fields, limits.fields),
        ]
        .into_iter()
        .find_map(|(name, measured, most)| (measured > most).then_some((name, most)))
    }

    fn saw(&mut self, directives: &[Positioned<Directive>]) {
        self.directives = self.directives.max(directives.len());
    }

    /// Takes in what stands beside it.
    fn add(&mut self, other: Self) {
        self.depth = self.depth.max(other.depth);
        self.root_fields = self.root_fields.saturating_add(other.root_fields);
        self.fields = self.fields.saturating_add(other.fields);
        self.aliases = self.aliases.saturating_add(other.aliases);
        self.directives = self.directives.max(other.directives);
    }
}

struct Measuring<'a> {
    document: &'a ExecutableDocument,
    /// Each fragment is measured once; `None` while that is under way.
    fragments: HashMap<&'a Name, Option<Measures>>,
}

impl<'a> Measuring<'a> {
    fn selections(&mut self, set: &'a SelectionSet, level: usize) -> Result<Measures, Unmeasured> {
        if level > LEVELS_MAX {
            return Err(Unmeasured::TooDeep);
        }
        let mut measures = Measures::default();
        for selection in &set.items {
            measures.saw(selection.node.directives());
            measures.add(match &selection.node {
                Selection::Field(field) => {
                    let inner = self.selections(&field.node.selection_set.node, level + 1)?;
                    Measures {
                        depth: inner.depth + 1,
                        root_fields: 1,
                        fields: inner.fields.saturating_add(1),
                        aliases: inner.aliases.saturating_add(usize::from(field.node.alias.is_some())),
                        directives: inner.directives,
                    }
                }
                Selection::InlineFragment(inline) => self.selections(&inline.node.selection_set.node, level + 1)?,
                Selection::FragmentSpread(spread) => self.fragment(&spread.node.fragment_name.node, level + 1)?,
            });
        }
        Ok(measures)
    }

    fn fragment(&mut self, name: &'a Name, level: usize) -> Result<Measures, Unmeasured> {
        // That there is no such fragment, validation tells.
        let Some(fragment) = self.document.fragments.get(name) else { return Ok(Measures::default()) };
        match self.fragments.get(name) {
            Some(Some(measures)) => return Ok(*measures),
            Some(None) => return Err(Unmeasured::Cycle),
            None => {}
        }
        self.fragments.insert(name, None);
        let mut measures = self.selections(&fragment.node.selection_set.node, level)?;
        measures.saw(&fragment.node.directives);
        self.fragments.insert(name, Some(measures));
        Ok(measures)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use async_graphql::parser::parse_query;

    use super::*;

    fn measured(text: &str) -> Result<Measures, Unmeasured> {
        let document = parse_query(text).unwrap();
        let (_, operation) = document.operations.iter().next().unwrap();
        Measures::of(&document, &operation.node)
    }

    #[test]
    fn counts_with_fragments_written_out() {
        let measures = measured(
            "query Q @a @b { x: one { two y: three ...F } ... on Query { four @c } ...F }
             fragment F on Q { z: five { six } }",
        );
        let expected = Measures { depth: 3, root_fields: 3, fields: 8, aliases: 4, directives: 2 };
        assert_eq!(measured("{ ...F } fragment F on Q { a { b } }").unwrap().depth, 2);
        assert_eq!(measures, Ok(expected));
    }

    #[test]
    fn a_bomb_of_fragments_is_measured_at_once() {
        let mut text = "{ ...F0 }".to_owned();
        for n in 0..100 {
            text.push_str(&format!(" fragment F{n} on Q {{ ...F{} ...F{} }}", n + 1, n + 1));
        }
        text.push_str(" fragment F100 on Q { a }");
        assert_eq!(measured(&text).unwrap().fields, usize::MAX);
        assert_eq!(measured("{ ...A } fragment A on Q { ...B } fragment B on Q { a ...A }"), Err(Unmeasured::Cycle));
        let mut chain = "{ ...F0 }".to_owned();
        for n in 0..200 {
            chain.push_str(&format!(" fragment F{n} on Q {{ a ...F{} }}", n + 1));
        }
        assert_eq!(measured(&chain), Err(Unmeasured::TooDeep));
    }
}
