//! Where the hub learns what is stored: checkpoints, and what changed on the way to them.

use std::collections::HashSet;

use async_trait::async_trait;
use domain::Position;
use sqlx::PgPool;
use uuid::Uuid;

use crate::progress::Positions;

/// Checkpoints of read models, and the keys that changed.
#[async_trait]
pub(super) trait Stored: Send + Sync {
    /// Checkpoints of these projections, as far as there are any.
    async fn positions(&self, names: &[&'static str]) -> Result<Positions, sqlx::Error>;

    /// A checkpoint, and the keys that changed after `last` up to it, at most `limit`, from one moment. What a transaction changed is
    /// one set: where `last` lies within it, all of it is told. `None`: there is no such projection.
    async fn changed(
        &self,
        projection: &str,
        last: Position,
        limit: usize,
    ) -> Result<Option<(Position, HashSet<Uuid>)>, sqlx::Error>;
}

#[async_trait]
impl Stored for PgPool {
    async fn positions(&self, names: &[&'static str]) -> Result<Positions, sqlx::Error> {
        let rows: Vec<(String, Position)> =
            sqlx::query_as("SELECT name, position FROM projections WHERE name = ANY($1)")
                .bind(names)
                .fetch_all(self)
                .await?;
        let known = |(name, position): (String, Position)| {
            names.iter().find(|known| **known == name).map(|known| (*known, position))
        };
        Ok(rows.into_iter().filter_map(known).collect())
    }

    async fn changed(
        &self,
        projection: &str,
        last: Position,
        limit: usize,
    ) -> Result<Option<(Position, HashSet<Uuid>)>, sqlx::Error> {
        let rows: Vec<(Position, Option<Uuid>)> = sqlx::query_as(
            "SELECT p.position, c.key FROM projections p
             LEFT JOIN LATERAL (SELECT DISTINCT unnest(keys) AS key FROM change_sets
                                WHERE projection = p.name AND position > $2 AND position <= p.position LIMIT $3) c ON true
             WHERE p.name = $1",
        )
        .bind(projection)
        .bind(last)
        .bind(i64::try_from(limit).unwrap_or(i64::MAX))
        .fetch_all(self)
        .await?;
        let upto = rows.first().map(|(upto, _)| *upto);
        Ok(upto.map(|upto| (upto, rows.into_iter().filter_map(|(_, key)| key).collect())))
    }
}
