//! Values without fields of their own, as the executor's serializer writes them.

use async_graphql::ID;
use chrono::{DateTime, Utc};
use serde::Serialize;
use uuid::Uuid;

/// A value without fields of its own.
pub(crate) trait Leaf {
    /// Appends it as JSON.
    fn write(&self, text: &mut Vec<u8>);
}

fn json(value: &(impl Serialize + ?Sized), text: &mut Vec<u8>) {
    // Numbers and text into memory: nothing that could fail.
    let _ = serde_json::to_writer(text, value);
}

macro_rules! as_serde_has_them {
    ($($ty:ty),*) => {
        $(impl Leaf for $ty {
            fn write(&self, text: &mut Vec<u8>) {
                json(self, text);
            }
        })*
    };
}

as_serde_has_them!(bool, u8, i32, u32, i64, f64, String);

impl Leaf for ID {
    fn write(&self, text: &mut Vec<u8>) {
        json(self.as_str(), text);
    }
}

impl Leaf for Uuid {
    fn write(&self, text: &mut Vec<u8>) {
        let mut digits = Self::encode_buffer();
        text.push(b'"');
        text.extend_from_slice(self.hyphenated().encode_lower(&mut digits).as_bytes());
        text.push(b'"');
    }
}

impl Leaf for DateTime<Utc> {
    fn write(&self, text: &mut Vec<u8>) {
        text.push(b'"');
        text.extend_from_slice(self.to_rfc3339().as_bytes());
        text.push(b'"');
    }
}

impl<T: Leaf> Leaf for Option<T> {
    fn write(&self, text: &mut Vec<u8>) {
        match self {
            Some(value) => value.write(text),
            None => text.extend_from_slice(b"null"),
        }
    }
}

/// Enums of the schema, by their words there.
macro_rules! words {
    ($($ty:ty),* $(,)?) => {
        $(impl $crate::graphql::direct::Leaf for $ty {
            fn write(&self, text: &mut Vec<u8>) {
                let items = <Self as async_graphql::resolver_utils::EnumType>::items();
                let word = items.iter().find(|item| item.value == *self).map_or("", |item| item.name);
                text.push(b'"');
                text.extend_from_slice(word.as_bytes());
                text.push(b'"');
            }
        })*
    };
}
pub(crate) use words;
