//! The types of the schema's fields, as far as the shape of an answer needs them.

use std::collections::HashMap;

use async_graphql::parser::parse_schema;
use async_graphql::parser::types::{OperationType, Type, TypeKind, TypeSystemDefinition};

/// Types of the fields of each object and interface. Introspection is not among them.
pub(super) struct Shapes(HashMap<String, HashMap<String, Type>>);

impl Shapes {
    /// Reads them from the schema in its own language.
    pub(super) fn of(sdl: &str) -> Self {
        let mut types = HashMap::new();
        // It was written by the executor itself; without it, fields count as nullable.
        let definitions = parse_schema(sdl).map(|document| document.definitions).unwrap_or_default();
        for definition in definitions {
            let TypeSystemDefinition::Type(definition) = definition else { continue };
            let fields = match definition.node.kind {
                TypeKind::Object(object) => object.fields,
                TypeKind::Interface(interface) => interface.fields,
                _ => continue,
            };
            let fields = fields.into_iter().map(|field| (field.node.name.node.to_string(), field.node.ty.node));
            types.insert(definition.node.name.node.to_string(), fields.collect());
        }
        Self(types)
    }

    /// Type of a field of a type.
    pub(super) fn field(&self, parent: &str, name: &str) -> Option<&Type> {
        self.0.get(parent)?.get(name)
    }

    /// Name of the type at the root of operations of a kind.
    pub(super) fn root(kind: OperationType) -> &'static str {
        match kind {
            OperationType::Query => "Query",
            OperationType::Mutation => "Mutation",
            OperationType::Subscription => "Subscription",
        }
    }
}
