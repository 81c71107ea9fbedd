//! Rows as `COPY ... FROM STDIN (FORMAT binary)` takes them.
//!
//! PostgreSQL documentation, COPY, "Binary Format": a header, then for each row the number of its fields and each field as
//! a length (-1: null) and its bytes in network order; at the end, -1 in place of the number of fields. It costs the server
//! half of what lines of text cost it.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

const HEADER: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
/// The epoch of PostgreSQL's timestamps, 2000-01-01, in microseconds of Unix time.
const TIMESTAMP_EPOCH_US: i64 = 946_684_800_000_000;

/// A field, by the type of its column.
#[derive(Debug, Clone, Copy)]
pub(in crate::models) enum Field<'a> {
    /// `uuid`.
    Uuid(Uuid),
    /// `bigint`.
    Integer(i64),
    /// `double precision`.
    Float(f64),
    /// `text`.
    Text(&'a str),
    /// `timestamptz`.
    Time(DateTime<Utc>),
    /// A value in the binary form of its type.
    Bytes(&'a [u8]),
}

/// Rows on their way into a table.
#[derive(Debug)]
pub(in crate::models) struct BinaryRows {
    bytes: Vec<u8>,
}

impl BinaryRows {
    pub(in crate::models) fn new() -> Self {
        Self { bytes: HEADER.to_vec() }
    }

    /// Adds a row.
    pub(in crate::models) fn push<const N: usize>(
        &mut self,
        fields: [Option<Field<'_>>; N],
    ) -> Result<(), sqlx::Error> {
        self.bytes.extend(i16::try_from(N).map_err(too_long)?.to_be_bytes());
        fields.into_iter().try_for_each(|field| self.field(field))
    }

    fn field(&mut self, field: Option<Field<'_>>) -> Result<(), sqlx::Error> {
        match field {
            None => self.bytes.extend((-1_i32).to_be_bytes()),
            Some(Field::Uuid(id)) => self.bytes(id.as_bytes())?,
            Some(Field::Integer(number)) => self.bytes(&number.to_be_bytes())?,
            Some(Field::Float(number)) => self.bytes(&number.to_be_bytes())?,
            Some(Field::Text(text)) => self.bytes(text.as_bytes())?,
            Some(Field::Time(at)) => self.bytes(&(at.timestamp_micros() - TIMESTAMP_EPOCH_US).to_be_bytes())?,
            Some(Field::Bytes(bytes)) => self.bytes(bytes)?,
        }
        Ok(())
    }

    fn bytes(&mut self, bytes: &[u8]) -> Result<(), sqlx::Error> {
        self.bytes.extend(i32::try_from(bytes.len()).map_err(too_long)?.to_be_bytes());
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }

    /// Writes them. `table` and `columns` are plain names.
    pub(in crate::models) async fn copy_into(
        mut self,
        connection: &mut PgConnection,
        table: &str,
        columns: &str,
    ) -> Result<(), sqlx::Error> {
        self.bytes.extend((-1_i16).to_be_bytes());
        let mut copy = connection.copy_in_raw(&format!("COPY {table} ({columns}) FROM STDIN (FORMAT binary)")).await?;
        copy.send(self.bytes).await?;
        copy.finish().await?;
        Ok(())
    }
}

fn too_long(error: std::num::TryFromIntError) -> sqlx::Error {
    sqlx::Error::Encode(error.into())
}
