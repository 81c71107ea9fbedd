//! Answers as the specification has them, where the executor leaves them otherwise (async-graphql 7.2.1):
//!
//! * It answers fields in the order in which they were ready. They belong in the order of the document (section 6.3.2).
//! * It leaves out a field that failed, of whatever type. Such a field is `null`; where its type is never null, what holds it
//!   is `null` instead, up to the next that may be, or to `data` itself (section 6.4.4).
//!
//! Objects that were written past the executor ([`crate::graphql::written`]) come in the right order, and nothing in them has
//! failed.

use std::collections::HashSet;
use std::sync::Arc;

use async_graphql::indexmap::IndexMap;
use async_graphql::indexmap::map::Entry;
use async_graphql::parser::types::{BaseType, ExecutableDocument, OperationDefinition, Selection, SelectionSet, Type};
use async_graphql::{Name, PathSegment, Response, Value};

use super::hollow;
use super::shapes::Shapes;

/// What an operation asks for, with its fragments written out: fields by response key in the order of the document.
#[derive(Debug, Default)]
pub(super) struct Plan {
    /// Type of the field; none: it is not known, and may be null.
    ty: Option<Type>,
    fields: IndexMap<Name, Plan>,
    /// Somewhere an object is asked for in several places, and its parts are to be merged.
    pub(super) merges: bool,
}

impl Plan {
    /// The plan of an operation of a valid document.
    pub(super) fn of(document: &ExecutableDocument, operation: &OperationDefinition, shapes: &Shapes) -> Self {
        let mut plan = Self::default();
        plan.select(document, &operation.selection_set.node, Shapes::root(operation.ty), shapes);
        plan
    }

    fn select(&mut self, document: &ExecutableDocument, set: &SelectionSet, parent: &str, shapes: &Shapes) {
        for selection in &set.items {
            match &selection.node {
                Selection::Field(field) => {
                    let field = &field.node;
                    let ty = shapes.field(parent, &field.name.node);
                    let entry = self.fields.entry(field.response_key().node.clone());
                    let again = matches!(entry, Entry::Occupied(_));
                    let plan = entry.or_default();
                    plan.ty = plan.ty.take().or_else(|| ty.cloned());
                    if let Some(inner) = ty.map(|ty| named(&ty.base)) {
                        plan.select(document, &field.selection_set.node, inner, shapes);
                    }
                    self.merges |= plan.merges || again && !field.selection_set.node.items.is_empty();
                }
                Selection::InlineFragment(inline) => {
                    let condition = inline.node.type_condition.as_ref().map(|on| on.node.on.node.as_str());
                    self.select(document, &inline.node.selection_set.node, condition.unwrap_or(parent), shapes);
                }
                Selection::FragmentSpread(spread) => {
                    if let Some(fragment) = document.fragments.get(&spread.node.fragment_name.node) {
                        let on = fragment.node.type_condition.node.on.node.as_str();
                        self.select(document, &fragment.node.selection_set.node, on, shapes);
                    }
                }
            }
        }
    }

    /// Puts fields in the order of the document.
    fn order(&self, value: &mut Value) {
        if self.fields.is_empty() {
            return;
        }
        match value {
            Value::Object(fields) => {
                let places = fields.keys().map(|key| self.fields.get_index_of(key));
                if !places.is_sorted_by(|one, other| one.is_none() || other.is_none() || one <= other) {
                    // What is not asked for, such as marks, goes first and is taken out later.
                    fields.sort_by_cached_key(|key, _| self.fields.get_index_of(key));
                }
                for (key, value) in fields {
                    if let Some(plan) = self.fields.get(key) {
                        plan.order(value);
                    }
                }
            }
            Value::List(elements) => elements.iter_mut().for_each(|element| self.order(element)),
            _ => {}
        }
    }
}

/// The type inside all lists.
fn named(base: &BaseType) -> &str {
    match base {
        BaseType::Named(name) => name,
        BaseType::List(inner) => named(&inner.base),
    }
}

/// What remains to be done to the answers of an operation.
#[derive(Debug)]
pub(super) struct Finish {
    pub(super) plan: Arc<Plan>,
    /// There are marks in them to be taken out.
    pub(super) marked: bool,
}

impl Finish {
    #[cfg(test)]
    pub(super) fn nothing() -> Self {
        Self { plan: Arc::default(), marked: false }
    }

    /// Brings an answer into the shape that the specification says.
    pub(super) fn apply(&self, response: &mut Response) {
        let mut mending = Mending { nulled: HashSet::new(), at: Vec::new() };
        for error in response.errors.iter().filter(|error| !error.path.is_empty()) {
            if !mending.fails(&mut response.data, None, &self.plan, &error.path) {
                continue;
            }
            response.data = Value::Null;
            break;
        }
        self.plan.order(&mut response.data);
        if self.marked {
            hollow::unmark(&mut response.data);
        }
    }
}

struct Mending<'a> {
    /// Places that are null because something inside failed: nothing further in there counts.
    nulled: HashSet<Vec<Step<'a>>>,
    at: Vec<Step<'a>>,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Step<'a> {
    Field(&'a str),
    Index(usize),
}

impl<'a> Mending<'a> {
    /// Puts `null` where an error says that something failed. True: the value itself can't be, and what holds it fails.
    fn fails(&mut self, value: &mut Value, ty: Option<&Type>, plan: &Plan, path: &'a [PathSegment]) -> bool {
        let never_null = ty.is_some_and(|ty| !ty.nullable);
        let Some((next, rest)) = path.split_first() else {
            *value = Value::Null;
            return never_null;
        };
        if self.nulled.contains(&self.at) {
            return false;
        }
        let failed = match next {
            PathSegment::Field(name) => {
                // An object of which every field failed.
                if *value == Value::Null {
                    *value = Value::Object(IndexMap::new());
                }
                let (Value::Object(fields), Some(plan)) = (&mut *value, plan.fields.get(name.as_str())) else {
                    return false;
                };
                let there = fields.contains_key(name.as_str());
                if there && rest.is_empty() {
                    return false;
                }
                let field = fields.entry(Name::new(name)).or_insert(Value::Null);
                self.inside(Step::Field(name), |mending| mending.fails(field, plan.ty.as_ref(), plan, rest))
            }
            PathSegment::Index(index) => {
                let inner = ty.and_then(|ty| match &ty.base {
                    BaseType::List(inner) => Some(&**inner),
                    BaseType::Named(_) => None,
                });
                match value {
                    Value::List(elements) => match elements.get_mut(*index) {
                        Some(element) => {
                            self.inside(Step::Index(*index), |mending| mending.fails(element, inner, plan, rest))
                        }
                        None => false,
                    },
                    // An element that could not be failed the whole list.
                    _ => inner.is_none_or(|inner| !inner.nullable),
                }
            }
        };
        if failed {
            *value = Value::Null;
            self.nulled.insert(self.at.clone());
        }
        failed && never_null
    }

    fn inside(&mut self, step: Step<'a>, then: impl FnOnce(&mut Self) -> bool) -> bool {
        self.at.push(step);
        let result = then(self);
        self.at.pop();
        result
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use async_graphql::ServerError;
    use async_graphql::parser::parse_query;
    use serde_json::json;

    use super::*;

    const SDL: &str = "type Query { some: Thing must: Thing! many: [Thing!]! few: [Thing] any: Any }
        type Thing implements Any { a: Int b: Int! inner: Thing must: Thing! codes: [Int!] }
        interface Any { a: Int }";

    fn finished(document: &str, data: serde_json::Value, paths: &[&str]) -> serde_json::Value {
        let parsed = parse_query(document).unwrap();
        let (_, operation) = parsed.operations.iter().next().unwrap();
        let plan = Arc::new(Plan::of(&parsed, &operation.node, &Shapes::of(SDL)));
        let mut response = Response::new(Value::from_json(data).unwrap());
        response.errors = paths
            .iter()
            .map(|path| {
                let segments = path.split('.').map(|part| match part.parse() {
                    Ok(index) => PathSegment::Index(index),
                    Err(_) => PathSegment::Field(part.to_owned()),
                });
                ServerError { path: segments.collect(), ..ServerError::new("failed", None) }
            })
            .collect();
        Finish { plan, marked: false }.apply(&mut response);
        response.data.into_json().unwrap()
    }

    #[test]
    fn fields_stand_in_the_order_of_the_document() {
        let document = "{ x: some { b ...F a } many { ... on Thing { inner { b a } } a } __typename }
                        fragment F on Thing { inner { a ... on Any { b: a } } }";
        let data = json!({ "__typename": "Query", "many": [{ "a": 1, "inner": { "a": 1, "b": 2 } }, { "inner": null, "a": 3 }],
            "x": { "a": 1, "inner": { "b": 1, "a": 2 }, "b": 3 } });
        let expected = r#"{"x":{"b":3,"inner":{"a":2,"b":1},"a":1},"many":[{"inner":{"b":2,"a":1},"a":1},{"inner":null,"a":3}],"__typename":"Query"}"#;
        let told = finished(document, data, &[]);
        // Objects of serde_json have an order of their own: what is compared is the text.
        assert_eq!(
            Value::from_json(told).unwrap().into_json().unwrap(),
            serde_json::from_str::<serde_json::Value>(expected).unwrap()
        );
    }

    #[test]
    fn the_text_has_the_order_of_the_document() {
        let parsed = parse_query("{ many { b a } some { a } }").unwrap();
        let (_, operation) = parsed.operations.iter().next().unwrap();
        let plan = Plan::of(&parsed, &operation.node, &Shapes::of(SDL));
        let object = |pairs: Vec<(&str, Value)>| {
            Value::Object(pairs.into_iter().map(|(name, value)| (Name::new(name), value)).collect())
        };
        let thing = object(vec![("a", 1.into()), ("b", 2.into())]);
        let mut value = object(vec![("some", object(vec![("a", 1.into())])), ("many", Value::List(vec![thing]))]);
        plan.order(&mut value);
        assert_eq!(value.to_string(), "{many: [{b: 2, a: 1}], some: {a: 1}}");
    }

    #[test]
    fn what_failed_is_null_up_to_what_may_be() {
        let document = "{ some { a b must { b } inner { b } codes } must { a b } many { a b } few { b } }";
        let whole = || {
            json!({ "some": { "a": 1, "must": { "b": 1 }, "inner": { "b": 1 } }, "must": { "a": 1, "b": 1 },
                "many": [{ "a": 1, "b": 1 }], "few": [{ "b": 1 }, { "b": 2 }] })
        };
        let without = |pointer: &str, key: &str| {
            let mut data = whole();
            data.pointer_mut(pointer).unwrap().as_object_mut().unwrap().remove(key);
            data
        };
        let with = |data: serde_json::Value, pointer: &str, value: serde_json::Value| {
            let mut data = data;
            *data.pointer_mut(pointer).unwrap() = value;
            data
        };
        let null = || json!(null);
        // May be null itself.
        assert_eq!(finished(document, without("/some", "a"), &["some.a"])["some"]["a"], null());
        // May not: its object is, if that may be; or the next.
        assert_eq!(
            finished(document, without("/some", "must"), &["some.b"]),
            with(without("/some", "must"), "/some", null())
        );
        assert_eq!(
            finished(document, without("/some/inner", "b"), &["some.inner.b"]),
            with(whole(), "/some/inner", null())
        );
        assert_eq!(finished(document, without("/some/must", "b"), &["some.must.b"]), with(whole(), "/some", null()));
        assert_eq!(finished(document, without("/few/1", "b"), &["few.1.b"]), with(whole(), "/few/1", null()));
        // Nothing on the way may be: nothing is left.
        assert_eq!(finished(document, without("/must", "b"), &["must.b"]), null());
        assert_eq!(finished(document, without("/many/0", "b"), &["many.0.b"]), null());
        // A list of which an element failed is left out as a whole.
        assert_eq!(
            finished("{ some { codes } }", json!({ "some": { "a": 1 } }), &["some.codes.3"])["some"]["codes"],
            null()
        );
        // Everything of an object failed: the executor has written null for it.
        assert_eq!(finished("{ some { a } }", json!({ "some": null }), &["some.a"]), json!({ "some": { "a": null } }));
        assert_eq!(
            finished("{ any { a } some { a } }", null(), &["any", "some"]),
            json!({ "any": null, "some": null })
        );
        // Of two errors, the first leaves nothing where the second was.
        let both = finished("{ some { b inner { a } } }", json!({ "some": null }), &["some.b", "some.inner"]);
        assert_eq!(both, json!({ "some": null }));
        let both = finished("{ some { inner { a } b } }", json!({ "some": null }), &["some.inner", "some.b"]);
        assert_eq!(both, json!({ "some": null }));
    }
}
