//! Objects written as JSON at once, past the executor.
//!
//! The executor makes a boxed future of every field of every object and a map of every object's values: a page of calls
//! with their transcripts has more than a thousand. Most of these fields are values that the object holds, which nothing can
//! go wrong with. So an object in [`Direct`] first has read what its selection needs ([`Plain::load`]), then is written in
//! one go by what the selection was compiled to ([`Fields`]), and goes into the answer as a text ([`written`]).
//!
//! Whatever is not plain is the executor's, with every rule it has about errors: a field that is not a stored value, a
//! permission that is missing, rows that could not be read, and documents that ask for one object in several places,
//! whose parts have to be merged. What was read until then is kept.

mod leaf;
mod plain;

use std::borrow::Cow;

use async_graphql::indexmap::IndexMap;
use async_graphql::parser::types::Field;
use async_graphql::registry::Registry;
use async_graphql::{ContextSelectionSet, Name, OutputType, Positioned, ServerResult, Value};
use async_graphql_value::RAW_VALUE_TOKEN;

pub(crate) use leaf::Leaf;
pub(crate) use leaf::words;
pub(crate) use plain::stored;
pub(crate) use plain::{Chosen, Column, Fields, Plain, selected};

/// What a text has room for from the beginning: most are shorter, and those that are not grow seldom.
const TEXT_BYTES: usize = 48 * 1024;

/// Data of a request whose answer may hold objects that are written already: no object is asked for in several places,
/// and who takes the answer knows [`written`].
pub(crate) struct TakesWritten;

/// An object that is written at once where that can be done.
pub(crate) struct Direct<T>(pub(crate) T);

impl<T: Plain> Direct<T> {
    async fn text(&self, context: &ContextSelectionSet<'_>) -> Option<String> {
        context.data_opt::<TakesWritten>()?;
        let fields = Fields::<T>::of(context)?;
        if !T::load(&[&self.0], context).await {
            return None;
        }
        let mut text = Vec::with_capacity(TEXT_BYTES);
        fields.write(&self.0, &mut text);
        String::from_utf8(text).ok()
    }
}

impl<T: Plain + OutputType> OutputType for Direct<T> {
    fn type_name() -> Cow<'static, str> {
        T::type_name()
    }

    fn create_type_info(registry: &mut Registry) -> String {
        T::create_type_info(registry)
    }

    async fn resolve(&self, context: &ContextSelectionSet<'_>, field: &Positioned<Field>) -> ServerResult<Value> {
        match self.text(context).await {
            // As serde_json's `RawValue` looks to a serializer, so that the value means the same whoever writes it.
            Some(text) => Ok(Value::Object(IndexMap::from([(Name::new(RAW_VALUE_TOKEN), Value::String(text))]))),
            None => self.0.resolve(context, field).await,
        }
    }
}

/// The JSON of an object that is written already.
pub(crate) fn written(fields: &IndexMap<Name, Value>) -> Option<&str> {
    match fields.first() {
        Some((name, Value::String(text))) if fields.len() == 1 && name == RAW_VALUE_TOKEN => Some(text),
        _ => None,
    }
}
