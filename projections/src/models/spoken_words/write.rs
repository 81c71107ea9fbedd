//! How words get into their table.

use domain::transcript::Segment;
use sqlx::PgConnection;

use super::words::{agree, search_words};
use crate::Decoded;
use crate::models::copy::{BinaryRows, COPY_ROWS_MIN, Field};

/// A segment and the event that tells it.
pub(super) type Told<'a> = (&'a Decoded, &'a Segment);

/// Writes words of segments that are not there yet: of a few by a statement in which the server finds the words, of many those
/// with plain words by COPY, with their words.
pub(super) async fn insert(connection: &mut PgConnection, segments: &[Told<'_>]) -> Result<(), sqlx::Error> {
    if segments.len() < COPY_ROWS_MIN || !agree(connection).await? {
        return found_by_the_server(connection, segments).await;
    }
    let (mut plain, mut others) = (BinaryRows::new(), Vec::new());
    for told in segments {
        let (Decoded { recorded, .. }, segment) = told;
        match search_words(segment.text.reveal().as_str()) {
            Some(words) => plain.push([
                Some(Field::Integer(recorded.position)),
                Some(Field::Uuid(recorded.stream.id)),
                Some(Field::Integer(segment.sequence.into())),
                Some(Field::Bytes(&words)),
            ])?,
            None => others.push(*told),
        }
    }
    if others.len() < segments.len() {
        plain.copy_into(connection, "spoken_words", "position, call_id, sequence, words").await?;
    }
    found_by_the_server(connection, &others).await
}

async fn found_by_the_server(connection: &mut PgConnection, segments: &[Told<'_>]) -> Result<(), sqlx::Error> {
    if segments.is_empty() {
        return Ok(());
    }
    sqlx::query(include_str!("write_spoken_words.sql"))
        .bind(segments.iter().map(|(decoded, _)| decoded.recorded.position).collect::<Vec<_>>())
        .bind(segments.iter().map(|(decoded, _)| decoded.recorded.stream.id).collect::<Vec<_>>())
        .bind(segments.iter().map(|(_, segment)| i64::from(segment.sequence)).collect::<Vec<_>>())
        .bind(segments.iter().map(|(_, segment)| segment.text.reveal().as_str()).collect::<Vec<_>>())
        .execute(connection)
        .await?;
    Ok(())
}
