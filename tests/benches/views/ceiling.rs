//! What the database itself can do.

use std::time::Instant;

use domain::Position;
use futures_util::StreamExt;
use sqlx::PgPool;

use crate::support::statistics::rate;

/// Events a second of `COPY events TO STDOUT (FORMAT binary)` on one connection, thrown away as they come.
pub async fn copy_out(pool: &PgPool, upto: Position) -> f64 {
    let mut connection = pool.acquire().await.expect("a connection");
    let began = Instant::now();
    let mut rows =
        connection.copy_out_raw("COPY (SELECT * FROM events) TO STDOUT (FORMAT binary)").await.expect("a copy");
    let mut count = 0_u64;
    while let Some(row) = rows.next().await {
        drop(row.expect("a row"));
        count += 1;
    }
    // The last message is a mark and no row.
    assert_eq!(i64::try_from(count - 1).expect("a count"), upto, "not the whole log");
    rate(count, micros(began))
}

/// Microseconds since then.
pub fn micros(began: Instant) -> u64 {
    u64::try_from(began.elapsed().as_micros()).expect("a duration")
}
