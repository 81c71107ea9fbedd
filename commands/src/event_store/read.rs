//! Reading stored events back.

use chrono::{DateTime, Utc};
use domain::{Position, Recorded, StreamName, Version};
use serde_json::value::RawValue;
use sqlx::postgres::PgRow;
use sqlx::{FromRow, PgPool, Row};

/// Events of one stream after a version.
pub(super) async fn stream(pool: &PgPool, stream: StreamName, after: Version) -> Result<Vec<Recorded>, sqlx::Error> {
    let rows: Vec<EventRow> = sqlx::query_as(
        "SELECT position, id, stream_id, category, version, type, schema_version, occurred_at, recorded_at, actor,
                correlation_id, causation_id, trace, payload
         FROM events WHERE stream_id = $1 AND category = $2 AND version > $3 ORDER BY version",
    )
    .bind(stream.id)
    .bind(stream.category.as_str())
    .bind(after)
    .fetch_all(pool)
    .await?;
    Ok(rows.into_iter().map(|row| row.0).collect())
}

/// Version of a stream; 0 when it does not exist.
pub(super) async fn version(pool: &PgPool, stream: StreamName) -> Result<Version, sqlx::Error> {
    let version: Option<Version> =
        sqlx::query_scalar("SELECT version FROM streams WHERE stream_id = $1 AND category = $2")
            .bind(stream.id)
            .bind(stream.category.as_str())
            .fetch_optional(pool)
            .await?;
    Ok(version.unwrap_or(0))
}

/// A row of `events`.
pub(crate) struct EventRow(pub(crate) Recorded);

impl FromRow<'_, PgRow> for EventRow {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        let category = row.try_get::<&str, _>("category")?.parse().map_err(|e| sqlx::Error::Decode(Box::new(e)))?;
        let actor = row.try_get::<&str, _>("actor")?.parse().map_err(|e| sqlx::Error::Decode(Box::new(e)))?;
        // `json` keeps the text as it was stored, so no parsing is needed to hand it on.
        let payload: sqlx::types::Json<Box<RawValue>> = row.try_get("payload")?;
        Ok(Self(Recorded {
            id: row.try_get("id")?,
            position: row.try_get::<Position, _>("position")?,
            stream: StreamName { category, id: row.try_get("stream_id")? },
            version: row.try_get("version")?,
            event_type: row.try_get("type")?,
            schema_version: row.try_get("schema_version")?,
            occurred_at: row.try_get::<DateTime<Utc>, _>("occurred_at")?,
            recorded_at: row.try_get::<DateTime<Utc>, _>("recorded_at")?,
            actor,
            correlation_id: row.try_get("correlation_id")?,
            causation_id: row.try_get("causation_id")?,
            trace: row.try_get("trace")?,
            payload: payload.0,
        }))
    }
}
