//! Objects of which nothing is resolved: those that none of a document's fragments is about, and those whose fields are all
//! skipped. The specification (section 6.4.3, "Value Completion") has them answered by an empty object; the executor writes
//! `null`, also where the schema says that there is never null.
//!
//! So a selection that may come out empty is asked for its type's name as well, under a name that no client can write; and
//! that name is taken out of the answer again.

use async_graphql::parser::types::{ExecutableDocument, Field, OperationType, Selection, SelectionSet};
use async_graphql::{Name, Positioned, Value};

/// No name of the language: those have letters, digits and underscores.
pub(crate) const MARK: &str = "\0";

/// Marks what may come out empty; false: there is no such thing in the document.
pub(super) fn mark(document: &mut ExecutableDocument) -> bool {
    let mut marked = false;
    for operation in operations(document) {
        let root = &mut operation.selection_set.node;
        // The root of a subscription is no object that is answered: it has one field, which is the stream.
        if operation.ty == OperationType::Subscription {
            below(root, &mut marked);
        } else {
            object(root, &mut marked);
        }
    }
    for fragment in document.fragments.values_mut() {
        below(&mut fragment.node.selection_set.node, &mut marked);
    }
    marked
}

fn operations(
    document: &mut ExecutableDocument,
) -> impl Iterator<Item = &mut async_graphql::parser::types::OperationDefinition> {
    use async_graphql::parser::types::DocumentOperations::{Multiple, Single};
    let (one, many) = match &mut document.operations {
        Single(operation) => (Some(operation), None),
        Multiple(operations) => (None, Some(operations.values_mut())),
    };
    one.into_iter().chain(many.into_iter().flatten()).map(|operation| &mut operation.node)
}

/// What is selected of an object.
fn object(set: &mut SelectionSet, marked: &mut bool) {
    below(set, marked);
    let certain = |selection: &Positioned<Selection>| match &selection.node {
        Selection::Field(field) => field.node.directives.is_empty(),
        Selection::FragmentSpread(_) | Selection::InlineFragment(_) => false,
    };
    if !set.items.iter().any(certain) {
        let pos = set.items.first().map(|selection| selection.pos).unwrap_or_default();
        let name = |text: &str| Positioned::new(Name::new(text), pos);
        let field = Field {
            alias: Some(name(MARK)),
            name: name("__typename"),
            arguments: Vec::new(),
            directives: Vec::new(),
            selection_set: Positioned::new(SelectionSet::default(), pos),
        };
        set.items.push(Positioned::new(Selection::Field(Positioned::new(field, pos)), pos));
        *marked = true;
    }
}

/// The objects inside what is selected.
fn below(set: &mut SelectionSet, marked: &mut bool) {
    for selection in &mut set.items {
        match &mut selection.node {
            Selection::Field(field) if !field.node.selection_set.node.items.is_empty() => {
                object(&mut field.node.selection_set.node, marked);
            }
            Selection::InlineFragment(fragment) => below(&mut fragment.node.selection_set.node, marked),
            Selection::Field(_) | Selection::FragmentSpread(_) => {}
        }
    }
}

/// Takes the marks out of an answer.
pub(super) fn unmark(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.shift_remove(MARK);
            fields.values_mut().for_each(unmark);
        }
        Value::List(elements) => elements.iter_mut().for_each(unmark),
        _ => {}
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use async_graphql::parser::parse_query;
    use serde_json::json;

    #[test]
    fn only_what_may_come_out_empty_is_marked() {
        for (document, marked) in [
            ("{ a { b } }", false),
            ("{ a { b ... on C { d } } }", false),
            ("{ a { ... on C { d } } }", true),
            ("{ a { ...F } } fragment F on C { d }", true),
            ("{ a { b @skip(if: true) } }", true),
            ("{ a @skip(if: true) }", true),
            ("{ ... on Q { a { b } } c }", false),
            ("{ c ...F } fragment F on Q { a { ... on B { d } } }", true),
            ("query A { a } query B { a { ... on C { d } } }", true),
            ("subscription { a { b } }", false),
            ("subscription { a { ... on C { d } } }", true),
        ] {
            assert_eq!(mark(&mut parse_query(document).unwrap()), marked, "{document}");
        }
    }

    #[test]
    fn marks_are_taken_out_wherever_they_are() {
        let mut value = Value::from_json(
            json!({ MARK: "Q", "a": { MARK: "A" }, "b": [{ MARK: "B", "c": 1 }, null, [{ MARK: "D" }]] }),
        )
        .unwrap();
        unmark(&mut value);
        assert_eq!(value.into_json().unwrap(), json!({ "a": {}, "b": [{ "c": 1 }, null, [{}]] }));
    }
}
