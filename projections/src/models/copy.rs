//! Rows as `COPY ... FROM STDIN` takes them, by serde: the names of a row's fields are the columns, as in its JSON.
//!
//! Text format (PostgreSQL documentation, COPY, "Text Format"): a line a row, columns separated by tabs, `\N` for null, and a
//! backslash before what would otherwise mean something. It costs the server far less than JSON: nothing is parsed twice.

mod binary;
mod lines;

use serde::Serialize;
use sqlx::PgConnection;

use super::rows::write;
pub(super) use binary::{BinaryRows, Field};

/// A row that is no flat list of columns, or another list than the row before.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoRow {
    #[error("{0} is no value of a column")]
    Nested(&'static str),
    #[error("a row has other columns than the first one")]
    Columns,
    #[error("{0}")]
    Other(String),
}

impl serde::ser::Error for NoRow {
    fn custom<T: std::fmt::Display>(message: T) -> Self {
        Self::Other(message.to_string())
    }
}

/// From this many rows on, COPY is worth its second round trip.
pub(super) const COPY_ROWS_MIN: usize = 64;

/// Writes rows that are not there yet: a few by a statement that takes them as one JSON array, many by COPY.
pub(super) async fn insert<T: Serialize + Sync>(
    connection: &mut PgConnection,
    table: &'static str,
    sql: &'static str,
    rows: &[T],
) -> Result<(), sqlx::Error> {
    if rows.len() < COPY_ROWS_MIN { write(connection, sql, rows).await } else { copy_in(connection, table, rows).await }
}

/// Writes rows that are not there yet, all at once. `table` is a plain name.
async fn copy_in<T: Serialize>(
    connection: &mut PgConnection,
    table: &'static str,
    rows: &[T],
) -> Result<(), sqlx::Error> {
    let (columns, lines) = encoded(rows).map_err(|error| sqlx::Error::Encode(error.into()))?;
    let statement = format!("COPY {table} ({}) FROM STDIN", columns.join(", "));
    let mut copy = connection.copy_in_raw(&statement).await?;
    copy.send(lines).await?;
    copy.finish().await?;
    Ok(())
}

/// The columns, and the lines.
fn encoded<T: Serialize>(rows: &[T]) -> Result<(Vec<String>, Vec<u8>), NoRow> {
    let mut lines = lines::Lines::default();
    for row in rows {
        row.serialize(&mut lines)?;
        lines.end_row()?;
    }
    Ok(lines.into_parts())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test ends where its world is not as expected")]

    use domain::Personal;
    use uuid::Uuid;

    use super::*;

    #[derive(Serialize)]
    #[serde(rename_all = "snake_case")]
    enum Kind {
        SomeKind,
    }

    #[derive(Serialize)]
    struct Inner {
        at: chrono::DateTime<chrono::Utc>,
        share: Option<f64>,
    }

    #[derive(Serialize)]
    struct Row {
        id: Uuid,
        kind: Option<Kind>,
        text: Personal<String>,
        count: i64,
        #[serde(flatten)]
        inner: Inner,
        yes: bool,
    }

    fn row(text: &str, share: Option<f64>) -> Row {
        let inner = Inner { at: chrono::DateTime::UNIX_EPOCH, share };
        let (id, kind) = (Uuid::nil(), share.map(|_| Kind::SomeKind));
        Row { id, kind, text: Personal::new(text.to_owned()), count: -3, inner, yes: true }
    }

    #[test]
    fn rows_are_lines_and_nothing_in_them_ends_a_column_or_a_line() {
        let (columns, lines) = encoded(&[row("a\tb\nc\\d\r\\N\\.", Some(0.1)), row("", None)]).unwrap();
        assert_eq!(columns, ["id", "kind", "text", "count", "at", "share", "yes"]);
        let id = Uuid::nil();
        let expected = format!(
            "{id}\tsome_kind\ta\\tb\\nc\\\\d\\r\\\\N\\\\.\t-3\t1970-01-01T00:00:00Z\t0.1\ttrue\n\
             {id}\t\\N\t\t-3\t1970-01-01T00:00:00Z\t\\N\ttrue\n"
        );
        assert_eq!(String::from_utf8(lines).unwrap(), expected);
    }

    #[test]
    fn what_is_no_row_is_refused() {
        #[derive(Serialize)]
        struct Nested {
            list: Vec<i64>,
        }
        #[derive(Serialize)]
        struct Uneven {
            #[serde(skip_serializing_if = "Option::is_none")]
            a: Option<i64>,
            b: i64,
        }
        assert!(matches!(encoded(&[Nested { list: vec![1] }]), Err(NoRow::Nested(_))));
        assert!(matches!(encoded(&[7]), Err(NoRow::Nested(_))));
        let uneven = [Uneven { a: Some(1), b: 1 }, Uneven { a: None, b: 1 }];
        assert!(matches!(encoded(&uneven), Err(NoRow::Columns)));
    }
}
