//! Rows column by column, for what is read often: PostgreSQL writes JSON four times as slowly as columns.

use domain::Personal;
use serde::de::DeserializeOwned;
use serde::de::IntoDeserializer;
use serde::de::value::{Error as WordError, StrDeserializer};
use sqlx::postgres::PgRow;
use sqlx::{Decode, Postgres, Row, Type};

/// A column by its type.
pub(super) fn plain<'r, T>(row: &'r PgRow, name: &str) -> Result<T, sqlx::Error>
where
    T: Decode<'r, Postgres> + Type<Postgres>,
{
    row.try_get(name)
}

/// An enum by its wire name.
pub(super) fn word<T: DeserializeOwned>(row: &PgRow, name: &str) -> Result<T, sqlx::Error> {
    parse(name, row.try_get(name)?)
}

/// The same, if there is any.
pub(super) fn word_if_any<T: DeserializeOwned>(row: &PgRow, name: &str) -> Result<Option<T>, sqlx::Error> {
    row.try_get::<Option<&str>, _>(name)?.map(|text| parse(name, text)).transpose()
}

/// A text about a person.
pub(super) fn personal(row: &PgRow, name: &str) -> Result<Personal<String>, sqlx::Error> {
    row.try_get(name).map(Personal::new)
}

/// The same, if there is any.
pub(super) fn personal_if_any(row: &PgRow, name: &str) -> Result<Option<Personal<String>>, sqlx::Error> {
    Ok(row.try_get::<Option<String>, _>(name)?.map(Personal::new))
}

/// A whole number that the column holds in a wider type.
pub(super) fn number<W, T>(row: &PgRow, name: &str) -> Result<T, sqlx::Error>
where
    W: for<'r> Decode<'r, Postgres> + Type<Postgres>,
    T: TryFrom<W, Error: std::error::Error + Send + Sync + 'static>,
{
    row.try_get::<W, _>(name)?.try_into().map_err(|error| decode(name, error))
}

/// The same, if there is any.
pub(super) fn number_if_any<W, T>(row: &PgRow, name: &str) -> Result<Option<T>, sqlx::Error>
where
    W: for<'r> Decode<'r, Postgres> + Type<Postgres>,
    T: TryFrom<W, Error: std::error::Error + Send + Sync + 'static>,
{
    let wide: Option<W> = row.try_get(name)?;
    wide.map(TryInto::try_into).transpose().map_err(|error| decode(name, error))
}

fn parse<T: DeserializeOwned>(name: &str, word: &str) -> Result<T, sqlx::Error> {
    let word: StrDeserializer<'_, WordError> = word.into_deserializer();
    T::deserialize(word).map_err(|error| decode(name, error))
}

fn decode(name: &str, error: impl std::error::Error + Send + Sync + 'static) -> sqlx::Error {
    sqlx::Error::ColumnDecode { index: name.to_owned(), source: Box::new(error) }
}

/// Reads a struct from the columns of its fields' names, each by one of the functions above.
macro_rules! from_row {
    ($row:ty { $($field:ident: $read:expr),* $(,)? }) => {
        impl sqlx::FromRow<'_, sqlx::postgres::PgRow> for $row {
            fn from_row(row: &sqlx::postgres::PgRow) -> Result<Self, sqlx::Error> {
                Ok(Self { $($field: $read(row, stringify!($field))?),* })
            }
        }
    };
}
pub(super) use from_row;
