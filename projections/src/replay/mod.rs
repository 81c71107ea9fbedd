//! The log read from a position to another one, decoded, as fast as it can be: for whoever folds much of it.
//!
//! The server writes rows by binary COPY, in position order and only what a fold looks at; they are taken apart where they
//! lie, on a task of their own, while the reader folds the chunk before. The log is read in ranges, each a statement with a
//! snapshot of its own: one long snapshot would keep the server from cleaning up behind the append path.

mod tuple;

use domain::{Position, Undecodable};
use futures_util::StreamExt;
use sqlx::PgPool;
use sqlx::postgres::PgConnection;
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;

use crate::log::LogError;
use crate::read_model::{Decoded, Header};
use tuple::Message;

/// Most events of one COPY statement.
const RANGE_EVENTS_MAX: Position = 50_000;
/// Most events handed over at once. A row that several of them change is written once: the more calls begin and end within a chunk,
/// the less is written twice.
pub const CHUNK_EVENTS_MAX: usize = 20_000;
/// Chunks that wait for the reader.
const CHUNKS_WAITING_MAX: usize = 2;

/// Consecutive events of the log.
#[derive(Debug, Default)]
pub struct Chunk {
    /// Position of the last event.
    pub upto: Position,
    /// In order, without those that can't be decoded.
    pub events: Vec<Decoded>,
    /// Events that this program can't read, and why.
    pub undecodable: Vec<(Header, Undecodable)>,
}

/// A run through the log. Dropping it ends the reading.
#[derive(Debug)]
pub struct Replay {
    chunks: mpsc::Receiver<Result<Chunk, LogError>>,
    _reading: AbortOnDropHandle<()>,
}

impl Replay {
    /// Begins to read the events after a position up to another one, on a connection of its own.
    #[must_use]
    pub fn start(pool: PgPool, after: Position, upto: Position) -> Self {
        let (sender, chunks) = mpsc::channel(CHUNKS_WAITING_MAX);
        let reading = tokio::spawn(async move {
            if let Err(error) = read(&pool, after, upto, &sender).await {
                // Nobody to tell when the reader has gone.
                drop(sender.send(Err(error)).await);
            }
        });
        Self { chunks, _reading: AbortOnDropHandle::new(reading) }
    }

    /// The next events, in order and without a gap, at most [`CHUNK_EVENTS_MAX`]. `None`: the last one was handed out.
    ///
    /// # Errors
    /// See [`LogError`]. Nothing follows an error.
    pub async fn next(&mut self) -> Result<Option<Chunk>, LogError> {
        self.chunks.recv().await.transpose()
    }
}

type Chunks = mpsc::Sender<Result<Chunk, LogError>>;

async fn read(pool: &PgPool, mut after: Position, upto: Position, chunks: &Chunks) -> Result<(), LogError> {
    let mut connection = pool.acquire().await?;
    // It may be left in the middle of a range, and it is set up as no other is.
    connection.close_on_drop();
    // A range is read along the index of positions. The planner, who may know an older log, would at times sort it.
    let plan = "SET enable_sort TO off; SET enable_bitmapscan TO off; SET enable_seqscan TO off; SET jit TO off;
                SET max_parallel_workers_per_gather TO 0";
    sqlx::raw_sql(plan).execute(&mut *connection).await?;
    while after < upto {
        let end = upto.min(after + RANGE_EVENTS_MAX);
        if !read_range(&mut connection, after, end, chunks).await? {
            return Ok(());
        }
        after = end;
    }
    Ok(())
}

/// Reads one range. `false`: nobody wants it any more.
async fn read_range(
    connection: &mut PgConnection,
    after: Position,
    upto: Position,
    chunks: &Chunks,
) -> Result<bool, LogError> {
    let columns = tuple::COLUMNS;
    let statement = format!(
        "COPY (SELECT {columns} FROM events WHERE position > {after} AND position <= {upto} ORDER BY position)
         TO STDOUT (FORMAT binary)"
    );
    let mut rows = connection.copy_out_raw(&statement).await?;
    let mut chunk = Chunk::between(after, upto);
    while let Some(message) = rows.next().await.transpose()? {
        let Message::Row(recorded, event) = tuple::decode(&message, chunk.upto + 1)? else { continue };
        let (expected, found) = (chunk.upto + 1, recorded.position);
        if found != expected {
            return Err(LogError::Hole { expected, found });
        }
        chunk.upto = found;
        match event {
            Ok(event) => chunk.events.push(Decoded { recorded, event }),
            Err(error) => chunk.undecodable.push((recorded, error)),
        }
        if chunk.len() == CHUNK_EVENTS_MAX {
            let full = std::mem::replace(&mut chunk, Chunk::between(found, upto));
            if chunks.send(Ok(full)).await.is_err() {
                return Ok(false);
            }
        }
    }
    if chunk.upto < upto {
        return Err(LogError::Hole { expected: chunk.upto + 1, found: upto + 1 });
    }
    Ok(chunk.len() == 0 || chunks.send(Ok(chunk)).await.is_ok())
}

impl Chunk {
    /// Takes what comes after a position, up to another one at most.
    fn between(after: Position, upto: Position) -> Self {
        let events = usize::try_from(upto - after).unwrap_or(usize::MAX).min(CHUNK_EVENTS_MAX);
        Self { upto: after, events: Vec::with_capacity(events), undecodable: Vec::new() }
    }

    fn len(&self) -> usize {
        self.events.len() + self.undecodable.len()
    }
}
