//! Rows as `COPY ... TO STDOUT (FORMAT binary)` writes them, taken apart where they lie.
//!
//! PostgreSQL documentation, COPY, "Binary Format": a header, then for each row the number of its fields and each field as
//! a length (-1: null) and its bytes in network order; at the end, -1 in place of the number of fields.

use chrono::{DateTime, Utc};
use domain::{Event, Position, StreamName, Undecodable};
use uuid::Uuid;

use crate::log::LogError;
use crate::read_model::Header;

/// What a replay reads of an event, in the order of [`decode`].
pub(super) const COLUMNS: &str = "position, stream_id, category, version, occurred_at, type, schema_version, payload";
const COLUMNS_COUNT: i16 = 8;
/// What every binary COPY begins with; 32 bits of flags and the length of an extension follow.
const SIGNATURE: &[u8] = b"PGCOPY\n\xff\r\n\0";
/// The epoch of PostgreSQL's timestamps, 2000-01-01, in microseconds of Unix time.
const TIMESTAMP_EPOCH_US: i64 = 946_684_800_000_000;

/// Why a row can't be read: it is no event, or no row.
#[derive(Debug, thiserror::Error)]
enum Malformed {
    #[error("the row ends too early")]
    Short,
    #[error("the row has {0} columns")]
    Columns(i16),
    #[error("a column is null or has another type")]
    Column,
    #[error("the time is out of range")]
    Time,
    #[error(transparent)]
    Text(#[from] std::str::Utf8Error),
    #[error(transparent)]
    Category(#[from] domain::UnknownCategory),
}

/// What one message of the server holds.
#[derive(Debug)]
pub(super) enum Message {
    /// An event, or why it can't be decoded.
    Row(Header, Result<Event, Undecodable>),
    /// The mark after the last row.
    End,
}

/// Reads a message, which PostgreSQL makes one of each row; the header comes with the first one. `expected` is the position
/// that the row should have, for the error.
pub(super) fn decode(message: &[u8], expected: Position) -> Result<Message, LogError> {
    let contradiction = |error: Malformed| LogError::Contradiction { position: expected, source: Box::new(error) };
    let mut row = Fields(message);
    row.skip_header().map_err(contradiction)?;
    match row.count().map_err(contradiction)? {
        -1 => Ok(Message::End),
        COLUMNS_COUNT => event(&mut row).map_err(contradiction),
        other => Err(contradiction(Malformed::Columns(other))),
    }
}

fn event(row: &mut Fields<'_>) -> Result<Message, Malformed> {
    let position = row.integer()?;
    let id = Uuid::from_bytes(row.array()?);
    let category = row.text()?.parse()?;
    let version = row.integer()?;
    let occurred_at = row.time()?;
    let event_type = row.text()?;
    let schema_version = i16::from_be_bytes(row.array()?);
    let event = Event::decode(event_type, schema_version, row.text()?);
    Ok(Message::Row(Header { position, stream: StreamName { category, id }, version, occurred_at }, event))
}

/// The rest of a row.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn skip_header(&mut self) -> Result<(), Malformed> {
        if let Some(rest) = self.0.strip_prefix(SIGNATURE) {
            self.0 = rest;
            self.take(4)?;
            let extension = i32::from_be_bytes(self.fixed()?);
            self.take(usize::try_from(extension).map_err(|_| Malformed::Column)?)?;
        }
        Ok(())
    }

    fn count(&mut self) -> Result<i16, Malformed> {
        Ok(i16::from_be_bytes(self.fixed()?))
    }

    /// The next field, which must not be null.
    fn field(&mut self) -> Result<&'a [u8], Malformed> {
        let length = i32::from_be_bytes(self.fixed()?);
        self.take(usize::try_from(length).map_err(|_| Malformed::Column)?)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        self.field()?.try_into().map_err(|_| Malformed::Column)
    }

    fn integer(&mut self) -> Result<i64, Malformed> {
        Ok(i64::from_be_bytes(self.array()?))
    }

    fn text(&mut self) -> Result<&'a str, Malformed> {
        Ok(std::str::from_utf8(self.field()?)?)
    }

    fn time(&mut self) -> Result<DateTime<Utc>, Malformed> {
        let unix_us = self.integer()?.checked_add(TIMESTAMP_EPOCH_US).ok_or(Malformed::Time)?;
        DateTime::from_timestamp_micros(unix_us).ok_or(Malformed::Time)
    }

    fn fixed<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        self.take(N)?.try_into().map_err(|_| Malformed::Short)
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(Malformed::Short)?;
        self.0 = rest;
        Ok(taken)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test ends where its world is not as expected")]

    use domain::{Category, Fact};

    use super::*;

    fn row(fields: &[Option<&[u8]>]) -> Vec<u8> {
        let mut bytes = i16::try_from(fields.len()).unwrap().to_be_bytes().to_vec();
        for field in fields {
            let length = field.map_or(-1, |field| i32::try_from(field.len()).unwrap());
            bytes.extend(length.to_be_bytes());
            bytes.extend(field.unwrap_or_default());
        }
        bytes
    }

    fn queued() -> Vec<u8> {
        let payload = br#"{"queue":"sales","priority":0}"#;
        row(&[
            Some(&7_i64.to_be_bytes()),
            Some(&[1; 16]),
            Some(b"call"),
            Some(&2_i64.to_be_bytes()),
            Some(&1_000_000_i64.to_be_bytes()),
            Some(b"call.queued"),
            Some(&1_i16.to_be_bytes()),
            Some(payload),
        ])
    }

    #[test]
    fn a_row_is_an_event_with_or_without_the_header_before_it() {
        let headed = [SIGNATURE, &[0; 4], &2_i32.to_be_bytes(), b"??", &queued()].concat();
        for message in [queued(), headed] {
            let Message::Row(recorded, event) = decode(&message, 7).unwrap() else { panic!("no row") };
            let Header { position, stream, version, occurred_at } = recorded;
            assert_eq!((position, version), (7, 2));
            assert_eq!(stream, StreamName { category: Category::Call, id: Uuid::from_bytes([1; 16]) });
            assert_eq!(occurred_at.to_rfc3339(), "2000-01-01T00:00:01+00:00");
            assert_eq!(event.unwrap().type_name(), "call.queued");
        }
    }

    #[test]
    fn the_end_is_told_from_a_row() {
        assert!(matches!(decode(&(-1_i16).to_be_bytes(), 1).unwrap(), Message::End));
    }

    #[test]
    fn a_damaged_row_is_refused_wherever_it_is_cut() {
        let whole = queued();
        for length in 0..whole.len() {
            assert!(decode(&whole[..length], 7).is_err(), "cut after {length} bytes");
        }
        for fields in [&[None; 8][..], &[Some(&b"12345678"[..]); 8], &[Some(&b"12345678"[..]); 7]] {
            assert!(matches!(decode(&row(fields), 7), Err(LogError::Contradiction { position: 7, .. })));
        }
    }

    #[test]
    fn times_that_are_no_instants_are_refused() {
        for endless in [i64::MAX, i64::MIN, i64::MAX - TIMESTAMP_EPOCH_US] {
            let fields = [8_u32.to_be_bytes().to_vec(), endless.to_be_bytes().to_vec()].concat();
            assert!(matches!(Fields(&fields).time(), Err(Malformed::Time)), "{endless}");
        }
    }
}
