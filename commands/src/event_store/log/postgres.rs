//! The log in PostgreSQL.

use std::sync::Arc;
use std::time::Duration;

use domain::{Position, StreamName, Version};
use sqlx::{ConnectOptions, PgConnection, PgPool};
use tokio::runtime::Handle;
use tokio::time::Instant;
use uuid::Uuid;

use super::{Log, Outcome};
use crate::database::ACQUIRE_WITHIN;
use crate::event_store::KeyRecord;
use crate::event_store::heads::Heads;
use crate::event_store::outcome::{self, Failure};
use crate::event_store::queue::Pending;
use crate::event_store::statement::{self, Requests, Texts, Verdict, is_taken, is_unexpected};

/// For so long nothing is written for a place after one was another's: another process appends as well, and would take the next one.
const UNCERTAIN_FOR: Duration = Duration::from_millis(500);

/// Its connections belong to the runtime that the writer is on, and so not to the pool, which belongs to the others.
pub(in crate::event_store) struct Postgres {
    pool: PgPool,
    /// Where the pool is used.
    others: Handle,
    /// Connections that do nothing.
    idle: Vec<Line>,
    /// Where the log ends, as far as this process knows: others append, too.
    end: Position,
    /// Where it ends when everything that is under way is committed.
    planned: Position,
    /// Nothing is written for a place before.
    certain_from: Instant,
    /// Number of the last place, and of the lock of whoever writes there.
    place: i64,
    /// Events in a partition.
    partition_size: i64,
    texts: Arc<Texts>,
    heads: Heads,
}

/// A connection that is set up for appending.
pub(in crate::event_store) struct Line {
    connection: PgConnection,
    place: Option<Place>,
    /// What it has appended.
    written: Vec<Written>,
}

/// Where in the log a batch is written.
struct Place {
    after: Position,
    number: i64,
    texts: Arc<Texts>,
    requests: Requests,
}

/// Of an append: the stream, its version and the position afterwards.
type Written = (StreamName, Version, Position);

impl Line {
    /// Remembers what was appended.
    fn note(&mut self, batch: &[Pending], verdicts: &[Verdict]) {
        for (Pending { append, .. }, verdict) in batch.iter().zip(verdicts) {
            if let Verdict::Appended { version, position, .. } = *verdict {
                self.written.push((append.stream, version, position));
            }
        }
    }
}

impl Postgres {
    /// `others`: where the pool is used. `end`: the last position of the log.
    pub(in crate::event_store) fn new(pool: PgPool, others: Handle, end: Position, partition_size: i64) -> Self {
        Self {
            pool,
            others,
            idle: Vec::new(),
            end,
            planned: end,
            certain_from: Instant::now(),
            // A number that no other process is near to.
            place: Uuid::new_v4().as_u64_pair().0.cast_signed(),
            partition_size,
            texts: Arc::new(Texts::to(0)),
            heads: Heads::default(),
        }
    }

    /// Number of the partition that a position is in.
    fn partition_of(&self, position: Position) -> i64 {
        (position - 1) / self.partition_size
    }

    /// Turns to the partition that takes what comes after a position; `false`: it does not take all of the batch.
    fn turn_to_partition(&mut self, after: Position, batch: &[Pending]) -> bool {
        let partition = self.partition_of(after + 1);
        if self.texts.partition() != partition {
            self.texts = Arc::new(Texts::to(partition));
        }
        self.heads.turn_to(partition);
        self.partition_of(after.saturating_add(outcome::events_of(batch))) == partition
    }

    async fn connect(&self) -> Result<PgConnection, sqlx::Error> {
        if self.pool.is_closed() {
            return Err(sqlx::Error::PoolClosed);
        }
        let options = self.pool.connect_options();
        tokio::time::timeout(ACQUIRE_WITHIN, options.connect()).await.unwrap_or(Err(sqlx::Error::PoolTimedOut))
    }

    /// A connection on which nothing is under way.
    async fn line(&mut self) -> Result<Line, sqlx::Error> {
        if let Some(line) = self.idle.pop() {
            return Ok(line);
        }
        let mut connection = self.connect().await?;
        sqlx::raw_sql(statement::SETTINGS).execute(&mut connection).await?;
        // The server may be another one, which took the place of the first.
        self.heads.forget();
        Ok(Line { connection, place: None, written: Vec::new() })
    }
}

impl Log for Postgres {
    type Line = Line;

    async fn append(&mut self, batch: &[Pending]) -> Result<Vec<Verdict>, Failure> {
        let mut line = self.line().await.map_err(Failure::Retry)?;
        let fits = self.turn_to_partition(self.end, batch);
        let texts = Some(self.texts.as_ref()).filter(|_| fits);
        let appended = statement::append(&mut line.connection, batch, texts, &self.heads).await.map_err(Failure::of);
        match &appended {
            Ok(verdicts) => {
                self.end = self.end.max(Verdict::last_of(verdicts));
                self.planned = self.end;
                line.note(batch, verdicts);
                self.take_back(line);
            }
            Err(Failure::Refused(_) | Failure::PartitionMissing(_)) => self.idle.push(line),
            // Its state is unknown.
            Err(Failure::Retry(_) | Failure::Unknown(_) | Failure::NotAsExpected | Failure::OutOfPlace) => {}
        }
        appended
    }

    async fn place(&mut self, batch: &[Pending]) -> Option<Line> {
        if !self.gives_places() || !self.turn_to_partition(self.planned, batch) {
            return None;
        }
        let mut line = self.line().await.ok()?;
        // Afterwards, since a new line knows nothing of heads.
        let Some(requests) = Requests::of(batch, &self.heads) else {
            self.idle.push(line);
            return None;
        };
        self.place = self.place.wrapping_add(1);
        let (after, number, texts) = (self.planned, self.place, Arc::clone(&self.texts));
        line.place = Some(Place { after, number, texts, requests });
        self.planned += outcome::events_of(batch);
        Some(line)
    }

    async fn write(mut line: Line, batch: &[Pending]) -> Outcome<Line> {
        let Some(Place { after, number, texts, requests }) = line.place.take() else {
            return Err((Failure::OutOfPlace, Some(line)));
        };
        match statement::write(&mut line.connection, batch, &requests, &texts, (after, number)).await {
            Ok(verdicts) => {
                line.note(batch, &verdicts);
                Ok((verdicts, line))
            }
            Err(error) if is_taken(&error) => {
                tracing::debug!(%error, "the log ends elsewhere");
                Err((Failure::OutOfPlace, Some(line)))
            }
            Err(error) if is_unexpected(&error) => {
                tracing::debug!(%error, "not all as expected");
                Err((Failure::NotAsExpected, Some(line)))
            }
            Err(error) => Err(match Failure::of(error) {
                failure @ (Failure::Refused(_) | Failure::PartitionMissing(_)) => (failure, Some(line)),
                // Its state is unknown.
                failure => (failure, None),
            }),
        }
    }

    /// What it has committed is known now.
    fn take_back(&mut self, mut line: Line) {
        for (stream, version, position) in line.written.drain(..) {
            self.end = self.end.max(position);
            self.heads.committed(self.partition_of(position), stream, version);
        }
        self.idle.push(line);
    }

    fn gives_places(&self) -> bool {
        Instant::now() >= self.certain_from
    }

    fn lost_place(&mut self, certain: bool) {
        self.planned = self.end;
        if !certain {
            self.certain_from = Instant::now() + UNCERTAIN_FOR;
        }
    }

    async fn find_keys(&self, keys: &[&str]) -> Result<Vec<KeyRecord>, sqlx::Error> {
        let (pool, keys) = (self.pool.clone(), keys.iter().map(|key| (*key).to_owned()).collect::<Vec<_>>());
        let found = self.others.spawn(async move { outcome::find_keys(&pool, &keys).await });
        found.await.unwrap_or(Err(sqlx::Error::WorkerCrashed))
    }

    async fn make_room(&self, batch: &[Pending]) -> Result<(), sqlx::Error> {
        let (pool, events) = (self.pool.clone(), outcome::events_of(batch));
        let made = self.others.spawn(async move { outcome::make_room(&pool, events).await });
        made.await.unwrap_or(Err(sqlx::Error::WorkerCrashed))
    }
}
