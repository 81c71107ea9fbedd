//! What is selected of a plain object, compiled to what writes it.

use async_graphql::parser::types::{Field, Selection, SelectionSet};
use async_graphql::{Context, ContextSelectionSet, OutputType, Positioned};

use crate::transport::MARK;

/// An object most of whose fields are values that it holds.
pub(crate) trait Plain: Send + Sync + Sized + 'static {
    /// What it is in the schema: itself, as a rule.
    type Shown: OutputType;

    /// What writes a field; none: the executor has to resolve it.
    fn column(field: &Chosen<'_>) -> Option<Column<Self>>;

    /// Reads what selected fields show and the objects do not hold, for all of them; false: the executor has to resolve
    /// them, because something could not be read or may not be seen.
    fn load(_: &[&Self], _: &ContextSelectionSet<'_>) -> impl Future<Output = bool> + Send {
        std::future::ready(true)
    }
}

/// Appends a field of an object as JSON.
type Write<T> = dyn Fn(&T, &mut Vec<u8>) + Send + Sync;

/// Writes one field of an object.
pub(crate) enum Column<T> {
    /// A value.
    Leaf(fn(&T, &mut Vec<u8>)),
    /// Something with a selection or arguments of its own.
    Inner(Box<Write<T>>),
}

/// A field that is selected.
pub(crate) struct Chosen<'a>(pub(crate) Context<'a>);

impl Chosen<'_> {
    /// Its name in the schema.
    pub(crate) fn name(&self) -> &str {
        self.0.item.node.name.node.as_str()
    }

    /// What is selected of the objects in it.
    pub(crate) fn fields<U: Plain>(&self) -> Option<Fields<U>> {
        Fields::of(&self.0.with_selection_set(&self.0.item.node.selection_set))
    }

    /// An object that is always there.
    pub(crate) fn one<T: 'static, U: Plain>(&self, inner: fn(&T) -> &U) -> Option<Column<T>> {
        let fields = self.fields::<U>()?;
        Some(Column::Inner(Box::new(move |object, text| fields.write(inner(object), text))))
    }

    /// A list of objects.
    pub(crate) fn list<T: 'static, U: Plain>(&self, inner: fn(&T) -> &[U]) -> Option<Column<T>> {
        let fields = self.fields::<U>()?;
        Some(Column::Inner(Box::new(move |object, text| fields.write_all(inner(object), text))))
    }
}

/// The selected fields of an object, in the order of the document.
pub(crate) struct Fields<T> {
    /// Each with what stands before its value: bracket or comma, and its key.
    columns: Vec<(String, Column<T>)>,
}

impl<T: Plain> Fields<T> {
    /// Compiles a selection; none: the executor has to resolve something in it.
    pub(crate) fn of(context: &ContextSelectionSet<'_>) -> Option<Self> {
        let type_name = T::Shown::type_name();
        let (mut columns, mut keys) = (Vec::new(), Vec::new());
        for field in selected(context, &type_name) {
            let key = &field.node.response_key().node;
            // What marks an object that may come out empty would only be taken out again.
            if key == MARK {
                continue;
            }
            if keys.contains(&key) {
                // Twice the same value is one; parts of an object are to be merged.
                if field.node.selection_set.node.items.is_empty() { continue } else { return None }
            }
            let before = format!("{}\"{key}\":", if columns.is_empty() { '{' } else { ',' });
            let column = if field.node.name.node == "__typename" {
                let word = format!("\"{type_name}\"");
                Column::Inner(Box::new(move |_, text| text.extend_from_slice(word.as_bytes())))
            } else {
                T::column(&Chosen(context.with_field(field)))?
            };
            keys.push(key);
            columns.push((before, column));
        }
        Some(Self { columns })
    }

    /// Appends an object as JSON.
    pub(crate) fn write(&self, object: &T, text: &mut Vec<u8>) {
        if self.columns.is_empty() {
            text.push(b'{');
        }
        for (before, column) in &self.columns {
            text.extend_from_slice(before.as_bytes());
            match column {
                Column::Leaf(write) => write(object, text),
                Column::Inner(write) => write(object, text),
            }
        }
        text.push(b'}');
    }

    /// Appends a list of objects as JSON.
    pub(crate) fn write_all<'o>(&self, objects: impl IntoIterator<Item = &'o T>, text: &mut Vec<u8>) {
        text.push(b'[');
        for (place, object) in objects.into_iter().enumerate() {
            if place > 0 {
                text.push(b',');
            }
            self.write(object, text);
        }
        text.push(b']');
    }
}

/// The fields that are selected of an object of a type, with fragments written out.
pub(crate) fn selected<'a>(context: &ContextSelectionSet<'a>, type_name: &str) -> Vec<&'a Positioned<Field>> {
    let mut fields = Vec::new();
    gather(context, &context.item.node, type_name, &mut fields);
    fields
}

fn gather<'a>(
    context: &ContextSelectionSet<'a>,
    set: &'a SelectionSet,
    type_name: &str,
    fields: &mut Vec<&'a Positioned<Field>>,
) {
    // A fragment about this type, or about an interface that it has.
    let fits = |on: &str| {
        let interfaces = context.schema_env.registry.implements.get(type_name);
        on == type_name || interfaces.is_some_and(|interfaces| interfaces.contains(on))
    };
    for selection in &set.items {
        match &selection.node {
            Selection::Field(field) => fields.push(field),
            Selection::InlineFragment(inline) => {
                let condition = inline.node.type_condition.as_ref();
                if condition.is_none_or(|condition| fits(&condition.node.on.node)) {
                    gather(context, &inline.node.selection_set.node, type_name, fields);
                }
            }
            Selection::FragmentSpread(spread) => {
                let fragment = context.query_env.fragments.get(&spread.node.fragment_name.node);
                if let Some(fragment) = fragment.filter(|found| fits(&found.node.type_condition.node.on.node)) {
                    gather(context, &fragment.node.selection_set.node, type_name, fields);
                }
            }
        }
    }
}

/// What writes a field, if it is one of these values that the object holds: names in the schema, and fields of the struct.
macro_rules! stored {
    ($field:expr, { $($name:literal: $value:ident),* $(,)? }) => {
        match $field.name() {
            $($name => Some($crate::graphql::direct::Column::Leaf(|object: &Self, text| {
                $crate::graphql::direct::Leaf::write(&object.$value, text);
            })),)*
            _ => None,
        }
    };
}
pub(crate) use stored;
