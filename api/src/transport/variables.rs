//! Values of variables, settled before anything is executed.

use std::collections::{HashMap, HashSet};

use async_graphql::parser::types::{FragmentDefinition, OperationDefinition, Selection, SelectionSet};
use async_graphql::{Name, Positioned, Variables};
use async_graphql_value::Value;

use super::answer::Answer;
use crate::error::{code, coded};

/// Takes over what an operation defines and fills in defaults; a required variable must be there.
pub(super) fn settle(operation: &OperationDefinition, mut sent: Variables) -> Result<Variables, Answer> {
    let mut settled = Variables::default();
    for definition in &operation.variable_definitions {
        let definition = &definition.node;
        let name = &definition.name.node;
        let default = definition.default_value.as_ref().map(|default| &default.node);
        let value = sent.remove(name).or_else(|| default.cloned());
        let required = !definition.var_type.node.nullable;
        match value {
            Some(async_graphql::Value::Null) | None if required => {
                let ty = &definition.var_type.node;
                let message = format!("Variable \"${name}\" of type \"{ty}\" needs a value.");
                return Err(Answer::rejected(coded(code::BAD_USER_INPUT, message)));
            }
            Some(value) => drop(settled.insert(name.clone(), value)),
            None => {}
        }
    }
    Ok(settled)
}

/// Leaves out arguments and input fields whose variable was not sent, so that they take their own defaults (GraphQL
/// specification, sections 3.10 and 6.4.1).
pub(super) fn leave_out_omitted(
    fragments: &mut HashMap<Name, Positioned<FragmentDefinition>>,
    operation: &mut Positioned<OperationDefinition>,
    settled: &Variables,
) {
    let definitions = operation.node.variable_definitions.iter();
    let names = definitions.map(|definition| definition.node.name.node.clone());
    let omitted: HashSet<Name> = names.filter(|name| !settled.contains_key(name)).collect();
    if omitted.is_empty() {
        return;
    }
    in_selections(&mut operation.node.selection_set.node, &omitted);
    for fragment in fragments.values_mut() {
        in_selections(&mut fragment.node.selection_set.node, &omitted);
    }
}

fn in_selections(set: &mut SelectionSet, omitted: &HashSet<Name>) {
    for selection in &mut set.items {
        match &mut selection.node {
            Selection::Field(field) => {
                field.node.arguments.retain(|(_, value)| !is_omitted(&value.node, omitted));
                field.node.arguments.iter_mut().for_each(|(_, value)| in_value(&mut value.node, omitted));
                in_selections(&mut field.node.selection_set.node, omitted);
            }
            Selection::InlineFragment(inline) => in_selections(&mut inline.node.selection_set.node, omitted),
            Selection::FragmentSpread(_) => {}
        }
    }
}

fn is_omitted(value: &Value, omitted: &HashSet<Name>) -> bool {
    matches!(value, Value::Variable(name) if omitted.contains(name))
}

fn in_value(value: &mut Value, omitted: &HashSet<Name>) {
    match value {
        Value::Object(fields) => {
            fields.retain(|_, value| !is_omitted(value, omitted));
            fields.values_mut().for_each(|value| in_value(value, omitted));
        }
        Value::List(items) => items.iter_mut().for_each(|value| in_value(value, omitted)),
        _ => {}
    }
}
