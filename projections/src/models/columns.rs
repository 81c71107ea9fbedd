//! Rows column by column, for what is read often: PostgreSQL writes JSON four times as slowly as columns.

use domain::Personal;
use serde::de::DeserializeOwned;
use serde::de::IntoDeserializer;
use serde::de::value::{Error as WordError, StrDeserializer};
use sqlx::postgres::PgRow;
use sqlx::{Column as _, ColumnIndex, Decode, Postgres, Row, Type};

/// Where a value is in a row.
#[derive(Debug, Clone, Copy)]
pub(super) struct Column {
    name: &'static str,
    /// Where the statement selects columns in the order in which they are read, so that names need not be looked up.
    place: Option<usize>,
}

impl Column {
    /// By its name.
    pub(super) fn named(name: &'static str) -> Self {
        Self { name, place: None }
    }

    /// By its place among the columns of the row.
    pub(super) fn at(place: usize, name: &'static str) -> Self {
        Self { name, place: Some(place) }
    }
}

impl ColumnIndex<PgRow> for Column {
    fn index(&self, row: &PgRow) -> Result<usize, sqlx::Error> {
        let Some(place) = self.place else { return self.name.index(row) };
        let found = row.columns().get(place).ok_or_else(|| sqlx::Error::ColumnNotFound(self.name.to_owned()))?;
        debug_assert_eq!(found.name(), self.name, "the statement selects columns in another order");
        Ok(place)
    }
}

/// A column by its type.
pub(super) fn plain<'r, T>(row: &'r PgRow, column: Column) -> Result<T, sqlx::Error>
where
    T: Decode<'r, Postgres> + Type<Postgres>,
{
    row.try_get(column)
}

/// An enum by its wire name.
pub(super) fn word<T: DeserializeOwned>(row: &PgRow, column: Column) -> Result<T, sqlx::Error> {
    parse(column, row.try_get(column)?)
}

/// The same, if there is any.
pub(super) fn word_if_any<T: DeserializeOwned>(row: &PgRow, column: Column) -> Result<Option<T>, sqlx::Error> {
    row.try_get::<Option<&str>, _>(column)?.map(|text| parse(column, text)).transpose()
}

/// A text about a person.
pub(super) fn personal(row: &PgRow, column: Column) -> Result<Personal<String>, sqlx::Error> {
    row.try_get(column).map(Personal::new)
}

/// The same, if there is any.
pub(super) fn personal_if_any(row: &PgRow, column: Column) -> Result<Option<Personal<String>>, sqlx::Error> {
    Ok(row.try_get::<Option<String>, _>(column)?.map(Personal::new))
}

/// A whole number that the column holds in a wider type.
pub(super) fn number<W, T>(row: &PgRow, column: Column) -> Result<T, sqlx::Error>
where
    W: for<'r> Decode<'r, Postgres> + Type<Postgres>,
    T: TryFrom<W, Error: std::error::Error + Send + Sync + 'static>,
{
    row.try_get::<W, _>(column)?.try_into().map_err(|error| decode(column, error))
}

/// The same, if there is any.
pub(super) fn number_if_any<W, T>(row: &PgRow, column: Column) -> Result<Option<T>, sqlx::Error>
where
    W: for<'r> Decode<'r, Postgres> + Type<Postgres>,
    T: TryFrom<W, Error: std::error::Error + Send + Sync + 'static>,
{
    let wide: Option<W> = row.try_get(column)?;
    wide.map(TryInto::try_into).transpose().map_err(|error| decode(column, error))
}

fn parse<T: DeserializeOwned>(column: Column, word: &str) -> Result<T, sqlx::Error> {
    let word: StrDeserializer<'_, WordError> = word.into_deserializer();
    T::deserialize(word).map_err(|error| decode(column, error))
}

fn decode(column: Column, error: impl std::error::Error + Send + Sync + 'static) -> sqlx::Error {
    sqlx::Error::ColumnDecode { index: column.name.to_owned(), source: Box::new(error) }
}

/// Reads a struct from the columns of its fields' names, each by one of the functions above. `in order`: the statement
/// selects them as they are listed here.
macro_rules! from_row {
    (in order: $row:ty { $($field:ident: $read:expr),* $(,)? }) => {
        impl sqlx::FromRow<'_, sqlx::postgres::PgRow> for $row {
            fn from_row(row: &sqlx::postgres::PgRow) -> Result<Self, sqlx::Error> {
                let mut places = 0..usize::MAX;
                let mut next = |name| $crate::models::columns::Column::at(places.next().unwrap_or(usize::MAX), name);
                Ok(Self { $($field: $read(row, next(stringify!($field)))?),* })
            }
        }
    };
    ($row:ty { $($field:ident: $read:expr),* $(,)? }) => {
        impl sqlx::FromRow<'_, sqlx::postgres::PgRow> for $row {
            fn from_row(row: &sqlx::postgres::PgRow) -> Result<Self, sqlx::Error> {
                Ok(Self { $($field: $read(row, $crate::models::columns::Column::named(stringify!($field)))?),* })
            }
        }
    };
}
pub(super) use from_row;
