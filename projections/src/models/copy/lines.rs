//! The serializer: a struct, or the map that a struct with flattened parts is to serde, becomes a line; what is in it
//! becomes columns; and nothing has anything in it that is not one value.

use std::fmt::{self, Display, Write};

use serde::Serialize;
use serde::ser::{Impossible, SerializeMap, SerializeStruct, Serializer};

use super::NoRow;

/// Where in a row the serializer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Place {
    /// Before a row.
    #[default]
    Outside,
    /// At the name of a column.
    Name,
    /// At the value of a column.
    Value,
}

/// Rows written so far.
#[derive(Debug, Default)]
pub(super) struct Lines {
    columns: Vec<String>,
    lines: Vec<u8>,
    /// The first row names the columns.
    named: bool,
    /// Columns of this row so far.
    count: usize,
    place: Place,
}

impl Lines {
    /// Ends a row, which must have had all columns.
    pub(super) fn end_row(&mut self) -> Result<(), NoRow> {
        self.lines.push(b'\n');
        (self.named, self.place) = (true, Place::Outside);
        let count = std::mem::take(&mut self.count);
        if count == self.columns.len() { Ok(()) } else { Err(NoRow::Columns) }
    }

    pub(super) fn into_parts(self) -> (Vec<String>, Vec<u8>) {
        (self.columns, self.lines)
    }

    fn begin_row(&self, what: &'static str) -> Result<(), NoRow> {
        if self.place == Place::Outside { Ok(()) } else { Err(NoRow::Nested(what)) }
    }

    fn name(&mut self, name: &str) -> Result<(), NoRow> {
        if !self.named {
            self.columns.push(name.to_owned());
        }
        if self.columns.get(self.count).is_none_or(|column| column != name) {
            return Err(NoRow::Columns);
        }
        if self.count > 0 {
            self.lines.push(b'\t');
        }
        self.count += 1;
        self.place = Place::Value;
        Ok(())
    }

    fn show(&mut self, value: impl Display) -> Result<(), NoRow> {
        if self.place != Place::Value {
            return Err(NoRow::Nested("a single value"));
        }
        write!(Escaped(&mut self.lines), "{value}").map_err(|error| NoRow::Other(error.to_string()))
    }
}

/// Text on its way into a line.
struct Escaped<'a>(&'a mut Vec<u8>);

impl Write for Escaped<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut rest = text.as_bytes();
        while let Some(at) = rest.iter().position(|byte| matches!(byte, b'\\' | b'\n' | b'\r' | b'\t')) {
            self.0.extend_from_slice(&rest[..at]);
            let stands_for = match rest[at] {
                b'\n' => b'n',
                b'\r' => b'r',
                b'\t' => b't',
                other => other,
            };
            self.0.extend_from_slice(&[b'\\', stands_for]);
            rest = &rest[at + 1..];
        }
        self.0.extend_from_slice(rest);
        Ok(())
    }
}

impl SerializeStruct for &mut Lines {
    type Ok = ();
    type Error = NoRow;

    fn serialize_field<T: ?Sized + Serialize>(&mut self, name: &'static str, value: &T) -> Result<(), NoRow> {
        self.name(name)?;
        value.serialize(&mut **self)
    }

    fn end(self) -> Result<(), NoRow> {
        Ok(())
    }
}

impl SerializeMap for &mut Lines {
    type Ok = ();
    type Error = NoRow;

    fn serialize_key<T: ?Sized + Serialize>(&mut self, key: &T) -> Result<(), NoRow> {
        self.place = Place::Name;
        key.serialize(&mut **self)
    }

    fn serialize_value<T: ?Sized + Serialize>(&mut self, value: &T) -> Result<(), NoRow> {
        value.serialize(&mut **self)
    }

    fn end(self) -> Result<(), NoRow> {
        Ok(())
    }
}

macro_rules! shown {
    ($($method:ident: $type:ty),+) => {$(
        fn $method(self, value: $type) -> Result<(), NoRow> {
            self.show(value)
        }
    )+};
}

macro_rules! nested {
    ($($method:ident($($type:ty),*) -> $ok:ty;)+) => {$(
        fn $method(self, $(_: $type),*) -> Result<$ok, NoRow> {
            Err(NoRow::Nested(stringify!($method)))
        }
    )+};
}

type Nested = Impossible<(), NoRow>;
type Name = &'static str;

impl Serializer for &mut Lines {
    type Ok = ();
    type Error = NoRow;
    type SerializeSeq = Nested;
    type SerializeTuple = Nested;
    type SerializeTupleStruct = Nested;
    type SerializeTupleVariant = Nested;
    type SerializeMap = Self;
    type SerializeStruct = Self;
    type SerializeStructVariant = Nested;

    shown!(
        serialize_bool: bool, serialize_char: char, serialize_f32: f32, serialize_f64: f64,
        serialize_i8: i8, serialize_i16: i16, serialize_i32: i32, serialize_i64: i64,
        serialize_u8: u8, serialize_u16: u16, serialize_u32: u32, serialize_u64: u64
    );

    nested! {
        serialize_bytes(&[u8]) -> ();
        serialize_unit_struct(Name) -> ();
        serialize_seq(Option<usize>) -> Nested;
        serialize_tuple(usize) -> Nested;
        serialize_tuple_struct(Name, usize) -> Nested;
        serialize_tuple_variant(Name, u32, Name, usize) -> Nested;
        serialize_struct_variant(Name, u32, Name, usize) -> Nested;
    }

    fn serialize_str(self, text: &str) -> Result<(), NoRow> {
        if self.place == Place::Name { self.name(text) } else { self.show(text) }
    }

    fn collect_str<T: ?Sized + Display>(self, value: &T) -> Result<(), NoRow> {
        self.show(value)
    }

    fn serialize_none(self) -> Result<(), NoRow> {
        // Not shown: its backslash is meant.
        self.lines.extend_from_slice(b"\\N");
        Ok(())
    }

    fn serialize_unit(self) -> Result<(), NoRow> {
        self.serialize_none()
    }

    fn serialize_some<T: ?Sized + Serialize>(self, value: &T) -> Result<(), NoRow> {
        value.serialize(self)
    }

    fn serialize_newtype_struct<T: ?Sized + Serialize>(self, _: Name, value: &T) -> Result<(), NoRow> {
        value.serialize(self)
    }

    fn serialize_unit_variant(self, _: Name, _: u32, variant: Name) -> Result<(), NoRow> {
        self.serialize_str(variant)
    }

    fn serialize_newtype_variant<T: ?Sized + Serialize>(self, name: Name, _: u32, _: Name, _: &T) -> Result<(), NoRow> {
        Err(NoRow::Nested(name))
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Self, NoRow> {
        self.begin_row("a map").map(|()| self)
    }

    fn serialize_struct(self, name: Name, _: usize) -> Result<Self, NoRow> {
        self.begin_row(name).map(|()| self)
    }
}
