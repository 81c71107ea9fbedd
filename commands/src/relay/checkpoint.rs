//! How far a topic is published.

use domain::Position;
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use super::partition::partition_of;

/// Events looked at in one step backwards.
const SCAN_EVENTS: i64 = 20_000;

/// How far a topic is published, and the position last sent to each partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Checkpoint {
    pub(super) position: Position,
    pub(super) previous: Vec<Position>,
}

impl Checkpoint {
    /// Partitions it was made for.
    pub(super) fn partitions(&self) -> i32 {
        i32::try_from(self.previous.len()).unwrap_or(i32::MAX)
    }

    /// The stored checkpoint, now under this leader's epoch. A leader of an older epoch can't write it any more.
    pub(super) async fn take_over(
        pool: &PgPool,
        topic: &str,
        partitions: i32,
        epoch: i64,
    ) -> Result<Self, sqlx::Error> {
        let none = vec![0_i64; usize::try_from(partitions).unwrap_or(0)];
        let (position, previous) = sqlx::query_as(
            "INSERT INTO relay_checkpoints AS c (topic, position, previous, epoch) VALUES ($1, 0, $2, $3)
             ON CONFLICT ON CONSTRAINT relay_checkpoints_key DO UPDATE SET epoch = greatest(c.epoch, excluded.epoch)
             RETURNING position, previous",
        )
        .bind(topic)
        .bind(none)
        .bind(epoch)
        .fetch_one(pool)
        .await?;
        Ok(Self { position, previous })
    }

    /// Stores progress. `false`: another leader has taken over, or the topic is being published anew.
    pub(super) async fn store(
        &self,
        connection: &mut PgConnection,
        topic: &str,
        epoch: i64,
    ) -> Result<bool, sqlx::Error> {
        let stored = sqlx::query(
            "UPDATE relay_checkpoints SET position = $3, previous = $4, updated_at = now()
             WHERE topic = $1 AND epoch = $2",
        )
        .bind(topic)
        .bind(epoch)
        .bind(self.position)
        .bind(&self.previous)
        .execute(connection)
        .await?;
        Ok(stored.rows_affected() == 1)
    }

    /// The checkpoint just before `from`, computed from the log: `previous` is a pure function of the log and the number
    /// of partitions, so records that are sent again are the same records.
    pub(super) async fn before(pool: &PgPool, from: Position, partitions: i32) -> Result<Self, sqlx::Error> {
        let mut previous = vec![0_i64; usize::try_from(partitions).unwrap_or(0)];
        let mut missing = previous.len();
        let mut upper = from;
        while missing > 0 && upper > 1 {
            let lower = (upper - SCAN_EVENTS).max(1);
            let rows: Vec<(Position, Uuid)> = sqlx::query_as(
                "SELECT position, stream_id FROM events WHERE position >= $1 AND position < $2 ORDER BY position DESC",
            )
            .bind(lower)
            .bind(upper)
            .fetch_all(pool)
            .await?;
            for (position, stream_id) in rows {
                let slot = usize::try_from(partition_of(stream_id, partitions)).unwrap_or(0);
                if previous[slot] == 0 {
                    previous[slot] = position;
                    missing -= 1;
                }
            }
            upper = lower;
        }
        Ok(Self { position: from - 1, previous })
    }
}

/// Makes the relay publish again from a position. A running leader notices and starts over there.
pub(super) async fn publish_from(
    pool: &PgPool,
    lease: &str,
    topic: &str,
    partitions: i32,
    from: Position,
) -> Result<(), sqlx::Error> {
    let checkpoint = Checkpoint::before(pool, from.max(1), partitions).await?;
    let mut transaction = pool.begin().await?;
    let epoch: Option<i64> = sqlx::query_scalar(
        "UPDATE leases SET epoch = epoch + 1, expires_at = '-infinity' WHERE name = $1 RETURNING epoch",
    )
    .bind(lease)
    .fetch_optional(&mut *transaction)
    .await?;
    sqlx::query(
        "INSERT INTO relay_checkpoints (topic, position, previous, epoch) VALUES ($1, $2, $3, $4)
         ON CONFLICT ON CONSTRAINT relay_checkpoints_key DO UPDATE
             SET position = excluded.position, previous = excluded.previous, epoch = excluded.epoch, updated_at = now()",
    )
    .bind(topic)
    .bind(checkpoint.position)
    .bind(&checkpoint.previous)
    .bind(epoch.unwrap_or(0))
    .execute(&mut *transaction)
    .await?;
    transaction.commit().await
}
