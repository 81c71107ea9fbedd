//! The log as a writer needs it: PostgreSQL, or a simulated one that breaks (`simulation`).

use domain::Position;
use sqlx::{PgConnection, PgPool};

use super::KeyRecord;
use super::outcome::{self, Failure};
use super::queue::Pending;
use super::statement::{self, Texts, Transaction, Verdict};

/// What a writer appends to.
pub(super) trait Log: Send {
    /// A connection whose transaction is to be committed, or has been.
    type Line: Send + 'static;

    /// Appends a batch in one transaction, with a verdict for each append, in order. No stream and no key is in it twice.
    fn append(&mut self, batch: &[Pending]) -> impl Future<Output = Result<Vec<Verdict>, Failure>> + Send;

    /// The same up to the commit. The verdicts hold once it is committed; a failure has done nothing.
    fn write(&mut self, batch: &[Pending]) -> impl Future<Output = Result<(Vec<Verdict>, Self::Line), Failure>> + Send;

    /// Commits what was written. `more`: something else is to be written soon.
    fn commit(line: Self::Line, more: bool) -> impl Future<Output = Result<Self::Line, Failure>> + Send + 'static;

    /// Takes back a line whose transaction was committed.
    fn take_back(&mut self, line: Self::Line);

    /// Leaves no transaction open: nothing is to be written for now.
    fn rest(&mut self) -> impl Future<Output = ()> + Send;

    /// What was appended under some keys; those never applied are missing from the answer.
    fn find_keys(&self, keys: &[&str]) -> impl Future<Output = Result<Vec<KeyRecord>, sqlx::Error>> + Send;

    /// Makes the partitions that a batch needs.
    fn make_room(&self, batch: &[Pending]) -> impl Future<Output = Result<(), sqlx::Error>> + Send;
}

/// The log in PostgreSQL. It has two connections at most: one that commits, and one that writes.
pub(super) struct Postgres {
    pool: PgPool,
    /// Those that do nothing.
    idle: Vec<Line>,
    /// Where the log ends, as far as this process knows: others append, too.
    end: Position,
    /// Events in a partition.
    partition_size: i64,
    texts: Texts,
}

/// A connection that is set up for appending, so never given back to the pool.
pub(super) struct Line {
    connection: PgConnection,
    transaction: Transaction,
}

impl Line {
    /// Runs a statement that begins or ends a transaction, after which the connection is in another.
    async fn turn(&mut self, statement: &'static str, transaction: Transaction) -> Result<(), sqlx::Error> {
        sqlx::raw_sql(statement).execute(&mut self.connection).await?;
        self.transaction = transaction;
        Ok(())
    }
}

impl Postgres {
    /// `end`: the last position of the log.
    pub(super) fn new(pool: PgPool, end: Position, partition_size: i64) -> Self {
        Self { pool, idle: Vec::new(), end, partition_size, texts: Texts::to(None) }
    }

    /// Appends what is likely to come next straight to the partition that is likely to take it.
    async fn send(&mut self, line: &mut Line, batch: &[Pending]) -> Result<Vec<Verdict>, Failure> {
        let count = batch.iter().map(|pending| pending.append.events.len()).sum::<usize>();
        let partition_of = |position| (position - 1) / self.partition_size;
        let (first, last) = (self.end + 1, self.end.saturating_add(Position::try_from(count).unwrap_or(Position::MAX)));
        let partition = Some(partition_of(first)).filter(|partition| *partition == partition_of(last));
        if self.texts.partition() != partition {
            self.texts = Texts::to(partition);
        }
        let verdicts = statement::append(&mut line.connection, batch, line.transaction, &self.texts).await;
        let verdicts = verdicts.map_err(Failure::of)?;
        self.end = verdicts.iter().filter_map(Verdict::position).fold(self.end, Position::max);
        Ok(verdicts)
    }

    /// A connection in a transaction of this kind.
    async fn line(&mut self, transaction: Transaction) -> Result<Line, sqlx::Error> {
        let fits = self.idle.iter().position(|line| line.transaction == transaction);
        let mut line = match fits.map(|index| self.idle.swap_remove(index)).or_else(|| self.idle.pop()) {
            Some(line) => line,
            None => {
                let mut connection = self.pool.acquire().await?.detach();
                sqlx::raw_sql(statement::SETTINGS).execute(&mut connection).await?;
                Line { connection, transaction: Transaction::OfItsOwn }
            }
        };
        if line.transaction != transaction {
            let statement = if transaction == Transaction::Open { "BEGIN" } else { "ROLLBACK" };
            line.turn(statement, transaction).await?;
        }
        Ok(line)
    }
}

impl Log for Postgres {
    type Line = Line;

    async fn append(&mut self, batch: &[Pending]) -> Result<Vec<Verdict>, Failure> {
        let mut line = self.line(Transaction::OfItsOwn).await.map_err(Failure::Retry)?;
        let appended = self.send(&mut line, batch).await;
        // Otherwise its state is unknown.
        if matches!(appended, Ok(_) | Err(Failure::Refused(_) | Failure::PartitionMissing(_))) {
            self.idle.push(line);
        }
        appended
    }

    async fn write(&mut self, batch: &[Pending]) -> Result<(Vec<Verdict>, Line), Failure> {
        let mut line = self.line(Transaction::Open).await.map_err(Failure::Retry)?;
        let failure = match self.send(&mut line, batch).await {
            Ok(verdicts) => return Ok((verdicts, line)),
            Err(failure) => failure,
        };
        if matches!(failure, Failure::Refused(_) | Failure::PartitionMissing(_))
            && line.turn("ROLLBACK", Transaction::OfItsOwn).await.is_ok()
        {
            self.idle.push(line);
        }
        Err(match failure {
            // It was never told to commit.
            Failure::Unknown(error) => Failure::Retry(error),
            failure => failure,
        })
    }

    async fn commit(mut line: Line, more: bool) -> Result<Line, Failure> {
        let (statement, transaction) =
            if more { ("COMMIT AND CHAIN", Transaction::Open) } else { ("COMMIT", Transaction::OfItsOwn) };
        line.turn(statement, transaction).await.map_err(Failure::of)?;
        Ok(line)
    }

    fn take_back(&mut self, line: Line) {
        self.idle.push(line);
    }

    async fn rest(&mut self) {
        for mut line in std::mem::take(&mut self.idle) {
            if line.transaction == Transaction::OfItsOwn || line.turn("ROLLBACK", Transaction::OfItsOwn).await.is_ok() {
                self.idle.push(line);
            }
        }
    }

    async fn find_keys(&self, keys: &[&str]) -> Result<Vec<KeyRecord>, sqlx::Error> {
        outcome::find_keys(&self.pool, keys).await
    }

    async fn make_room(&self, batch: &[Pending]) -> Result<(), sqlx::Error> {
        outcome::make_room(&self.pool, batch).await
    }
}
