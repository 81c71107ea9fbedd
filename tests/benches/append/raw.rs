//! What the same PostgreSQL does at best: the same rows into a table with the same columns and indexes, and nothing else.

use std::time::{Duration, Instant};

use domain::StreamName;
use sqlx::{AssertSqlSafe, PgConnection};
use tests::TestDatabase;
use uuid::Uuid;

use crate::load::{STREAMS, payload, stream};
use crate::support::statistics::{median, rate};

/// Rows of one transaction.
pub const ROWS: usize = 1_000;

/// A table to be filled over one connection.
pub struct Raw {
    connection: PgConnection,
    table: &'static str,
    streams: Vec<StreamName>,
    rows: usize,
}

impl Raw {
    /// Makes a table with the columns and the indexes of a partition of `events`.
    pub async fn new(database: &TestDatabase, table: &'static str) -> Self {
        let mut connection = database.pool.acquire().await.unwrap().detach();
        let like = format!(
            "CREATE TABLE {table} (LIKE events); ALTER TABLE {table} ADD PRIMARY KEY (position);
             CREATE UNIQUE INDEX ON {table} (stream_id, category, version)"
        );
        sqlx::raw_sql(AssertSqlSafe(like)).execute(&mut connection).await.unwrap();
        Self { connection, table, streams: (0..STREAMS).map(|_| stream()).collect(), rows: 0 }
    }

    /// Rows a second of multi-row inserts, each with a commit.
    pub async fn batches(&mut self, lasts: Duration) -> f64 {
        let statement = format!(
            "INSERT INTO {} SELECT n, id, stream, 'transcript', version, 'transcript.segment_added', 1, now(), now(),
                 'system:bench', stream, NULL, NULL, payload::json
             FROM unnest($1::bigint[], $2::uuid[], $3::uuid[], $4::bigint[], $5::text[]) AS r (n, id, stream, version, payload)",
            self.table
        );
        let payloads = vec![payload(); ROWS];
        let before = self.rows;
        let began = Instant::now();
        while began.elapsed() < lasts {
            let numbers: Vec<usize> = (self.rows..self.rows + ROWS).collect();
            let streams: Vec<Uuid> = numbers.iter().map(|n| self.streams[n % STREAMS].id).collect();
            let versions: Vec<i64> = numbers.iter().map(|n| i64::try_from(n / STREAMS).unwrap()).collect();
            sqlx::query(AssertSqlSafe(statement.clone()))
                .bind(numbers.iter().map(|n| i64::try_from(*n).unwrap()).collect::<Vec<_>>())
                .bind(numbers.iter().map(|_| Uuid::now_v7()).collect::<Vec<_>>())
                .bind(streams)
                .bind(versions)
                .bind(&payloads)
                .execute(&mut self.connection)
                .await
                .unwrap();
            self.rows += ROWS;
        }
        rate(u64::try_from(self.rows - before).unwrap(), u64::try_from(began.elapsed().as_micros()).unwrap())
    }

    /// Median time of a prepared one-row insert with commit, in microseconds.
    pub async fn single(mut self, inserts: usize) -> (Self, f64) {
        // On a task, as the writer's.
        let inserting = tokio::spawn(async move {
            let statement = format!(
                "INSERT INTO {} VALUES ($1, $2, $3, 'transcript', 1, 'transcript.segment_added', 1, now(), now(),
                     'system:bench', $3, NULL, NULL, $4::json)",
                self.table
            );
            let (payload, mut times) = (payload(), Vec::new());
            for _ in 0..inserts {
                let began = Instant::now();
                sqlx::query(AssertSqlSafe(statement.clone()))
                    .bind(i64::try_from(self.rows).unwrap())
                    .bind(Uuid::now_v7())
                    .bind(Uuid::now_v7())
                    .bind(&payload)
                    .execute(&mut self.connection)
                    .await
                    .unwrap();
                times.push(began.elapsed().as_secs_f64() * 1e6);
                self.rows += 1;
            }
            (self, median(&times))
        });
        inserting.await.unwrap()
    }
}
