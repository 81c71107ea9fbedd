//! What makes two subscriptions equal: document, operation, variables and what their viewers may see.

use async_graphql::Variables;
use async_graphql::parser::types::{
    DocumentOperations, ExecutableDocument, OperationDefinition, OperationType, Selection,
};
use sha2::{Digest, Sha256};

use crate::auth::Viewer;

/// Arguments that say where a subscription begins, and nothing of what it shows from then on.
const BEGINNINGS: [&str; 2] = ["after", "fromStart"];

/// Subscriptions with the same key show the same from any place on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Key([u8; 32]);

impl Key {
    /// Any key.
    #[cfg(test)]
    pub(super) fn any() -> Self {
        Self([0; 32])
    }

    /// The key of an operation of a document; `None`: it is no subscription, or none that can be told to be equal to another.
    pub(crate) fn of(
        text: &str,
        document: &ExecutableDocument,
        name: Option<&str>,
        variables: &Variables,
        viewer: Option<&Viewer>,
    ) -> Option<Self> {
        let beginnings = beginnings(document, name)?;
        let mut hash = Sha256::new();
        let mut add = |part: &str| {
            hash.update(part.len().to_be_bytes());
            hash.update(part);
        };
        add(text);
        add(name.unwrap_or_default());
        let scope = viewer.map(Viewer::scope).unwrap_or_default();
        add(&scope);
        // A map by name, so in one order whichever way they were sent.
        for (name, value) in variables.iter() {
            let begins = beginnings.iter().any(|beginning| beginning == name.as_str());
            if !(begins && occurrences(text, name) == 2) {
                add(name);
                add(&value.to_string());
            }
        }
        Some(Self(hash.finalize().into()))
    }
}

/// Subscriptions with the same beginning show the same from their first answer on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Beginning([u8; 32]);

impl Beginning {
    /// Any beginning.
    #[cfg(test)]
    pub(super) fn any(after: domain::Position) -> Self {
        Self(Sha256::digest(after.to_be_bytes()).into())
    }

    /// The beginning of an operation with this key, all its variables told.
    pub(crate) fn of(key: Key, variables: &Variables) -> Self {
        let mut hash = Sha256::new_with_prefix(key.0);
        for (name, value) in variables.iter() {
            for part in [name.as_str(), &value.to_string()] {
                hash.update(part.len().to_be_bytes());
                hash.update(part);
            }
        }
        Self(hash.finalize().into())
    }
}

/// Variables that say where the subscription begins; `None`: this is no plain subscription to one field.
fn beginnings(document: &ExecutableDocument, name: Option<&str>) -> Option<Vec<String>> {
    let operation: &OperationDefinition = match (&document.operations, name) {
        (DocumentOperations::Single(operation), _) => &operation.node,
        (DocumentOperations::Multiple(operations), Some(name)) => &operations.get(name)?.node,
        (DocumentOperations::Multiple(_), None) => return None,
    };
    if operation.ty != OperationType::Subscription {
        return None;
    }
    let [selection] = operation.selection_set.node.items.as_slice() else { return None };
    let Selection::Field(field) = &selection.node else { return None };
    let beginnings = field.node.arguments.iter().filter(|(name, _)| BEGINNINGS.contains(&name.node.as_str()));
    // A variable is written with a dollar sign in front, and nothing else is.
    Some(beginnings.filter_map(|(_, value)| Some(value.node.to_string().strip_prefix('$')?.to_owned())).collect())
}

/// How often a variable stands in a document. Twice is its definition and one use; what stands in comments and strings
/// is counted with it, which at worst keeps two equal subscriptions apart.
fn occurrences(document: &str, variable: &str) -> usize {
    let continues = |rest: &str| rest.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
    let after_dollar = document.split('$').skip(1).map(str::trim_start);
    after_dollar.filter_map(|rest| rest.strip_prefix(variable)).filter(|rest| !continues(rest)).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use async_graphql::parser::parse_query;
    use serde_json::{Value as Json, json};

    fn key(document: &str, variables: Json) -> Option<Key> {
        Key::of(document, &parse_query(document).ok()?, None, &Variables::from_json(variables), None)
    }

    const WATCH: &str = "subscription ($id: UUID!, $after: String) { call(callId: $id, after: $after) { cursor } }";

    #[test]
    fn where_one_begins_makes_no_difference_and_everything_else_does() {
        let plain = key(WATCH, json!({ "id": "a" }));
        assert!(plain.is_some());
        assert_eq!(plain, key(WATCH, json!({ "after": "x", "id": "a" })));
        assert_ne!(plain, key(WATCH, json!({ "id": "b" })));
        assert_ne!(plain, key(&WATCH.replace("cursor", "cursor cursor"), json!({ "id": "a" })));
        let nested = "subscription ($id: UUID!, $after: String) {
            call(callId: $id, after: $after) { call { history(after: $after) { edges { cursor } } } } }";
        assert_ne!(key(nested, json!({ "id": "a", "after": "x" })), key(nested, json!({ "id": "a", "after": "y" })));
    }

    #[test]
    fn those_who_begin_elsewhere_have_another_beginning() {
        let beginning = |variables: Json| {
            key(WATCH, variables.clone()).map(|key| Beginning::of(key, &Variables::from_json(variables)))
        };
        assert_eq!(beginning(json!({ "id": "a", "after": "x" })), beginning(json!({ "after": "x", "id": "a" })));
        assert_ne!(beginning(json!({ "id": "a", "after": "x" })), beginning(json!({ "id": "a", "after": "y" })));
        assert_ne!(beginning(json!({ "id": "a" })), beginning(json!({ "id": "a", "after": "y" })));
        assert_ne!(beginning(json!({ "id": "a" })), beginning(json!({ "id": "b" })));
    }

    #[test]
    fn what_is_no_plain_subscription_has_none() {
        for other in [
            "{ call { cursor } }",
            "subscription { a b }",
            "subscription { ...F } fragment F on Subscription { call { cursor } }",
            "subscription A { a } subscription B { b }",
            "subscription {",
        ] {
            assert_eq!(key(other, json!({})), None, "{other}");
        }
    }

    #[test]
    fn counts_variables_by_their_whole_name() {
        assert_eq!(occurrences("($after: String) { a(after: $after, b: $afterwards) }", "after"), 2);
        assert_eq!(occurrences("($after: String) { a(after: $ after) }", "after"), 2);
    }
}
