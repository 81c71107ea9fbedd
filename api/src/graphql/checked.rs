//! Scalars of libraries, with the check that theirs lack: a value that is none is refused when the document and its
//! variables are validated, before anything is executed.
//!
//! Resolvers take and give the libraries' own types. The executor knows a scalar by its name, and the first type that comes
//! under a name decides how values are validated; [`CheckedScalars`] sees to it that ours come first.

use std::borrow::Cow;

use async_graphql::parser::types::Field;
use async_graphql::registry::{MetaType, MetaTypeId, Registry};
use async_graphql::resolver_utils::ContainerType;
use async_graphql::{
    Context, ContextSelectionSet, InputType, InputValueError, InputValueResult, ObjectType, OutputType, Positioned,
    Scalar, ScalarType, ServerError, ServerResult, Value,
};
use chrono::{DateTime, Utc};
use uuid::Uuid;

/// Names under which the libraries' types and ours go.
pub(super) const NAMES: [&str; 2] = ["UUID", "DateTime"];

struct CheckedUuid(Uuid);

/// A number of 128 bits that is given once, as 36 characters: `01998c2e-3b4a-7c1d-9e0f-1a2b3c4d5e6f`.
#[Scalar(name = "UUID", specified_by_url = "https://www.rfc-editor.org/rfc/rfc9562")]
impl ScalarType for CheckedUuid {
    fn parse(value: Value) -> InputValueResult<Self> {
        <Uuid as InputType>::parse(Some(value)).map(Self).map_err(InputValueError::propagate)
    }

    fn is_valid(value: &Value) -> bool {
        <Uuid as InputType>::parse(Some(value.clone())).is_ok()
    }

    fn to_value(&self) -> Value {
        InputType::to_value(&self.0)
    }
}

struct CheckedInstant(DateTime<Utc>);

/// An instant after RFC 3339, such as `2026-08-31T09:30:00.250Z`.
#[Scalar(name = "DateTime", specified_by_url = "https://www.rfc-editor.org/rfc/rfc3339")]
impl ScalarType for CheckedInstant {
    fn parse(value: Value) -> InputValueResult<Self> {
        <DateTime<Utc> as InputType>::parse(Some(value)).map(Self).map_err(InputValueError::propagate)
    }

    fn is_valid(value: &Value) -> bool {
        <DateTime<Utc> as InputType>::parse(Some(value.clone())).is_ok()
    }

    fn to_value(&self) -> Value {
        InputType::to_value(&self.0)
    }
}

/// An object without fields, whose registration brings the scalars. Stands first in what the root is merged of.
#[derive(Default)]
pub(crate) struct CheckedScalars;

impl ContainerType for CheckedScalars {
    fn is_empty() -> bool {
        true
    }

    async fn resolve_field(&self, _: &Context<'_>) -> ServerResult<Option<Value>> {
        Ok(None)
    }
}

impl OutputType for CheckedScalars {
    fn type_name() -> Cow<'static, str> {
        "CheckedScalars".into()
    }

    fn create_type_info(registry: &mut Registry) -> String {
        <CheckedUuid as InputType>::create_type_info(registry);
        <CheckedInstant as InputType>::create_type_info(registry);
        registry.create_output_type::<Self, _>(MetaTypeId::Object, |_| MetaType::Object {
            name: Self::type_name().into_owned(),
            description: None,
            fields: Default::default(),
            cache_control: Default::default(),
            extends: false,
            shareable: false,
            resolvable: true,
            keys: None,
            visible: None,
            inaccessible: false,
            interface_object: false,
            tags: Vec::new(),
            is_subscription: false,
            rust_typename: Some(std::any::type_name::<Self>()),
            directive_invocations: Vec::new(),
            requires_scopes: Vec::new(),
        })
    }

    async fn resolve(&self, _: &ContextSelectionSet<'_>, _: &Positioned<Field>) -> ServerResult<Value> {
        Err(ServerError::new("nothing can be asked of this", None))
    }
}

impl ObjectType for CheckedScalars {}
