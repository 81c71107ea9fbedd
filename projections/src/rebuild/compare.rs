//! Are the rows the same? Counted and hashed without regard to their order, both views at the same checkpoint.

use sqlx::{AssertSqlSafe, PgConnection};

use super::names::{LIVE_SCHEMA, checked};
use super::{Comparison, Rebuild, RebuildError};
use domain::Position;

/// What a table holds.
#[derive(PartialEq, Eq)]
struct Sum {
    rows: i64,
    /// Sum of the rows' 64-bit hashes, as text because it may not fit any integer.
    hash: String,
}

impl Rebuild<'_> {
    /// Compares the new tables with the served ones where that is possible. The served view is seen in one snapshot, in
    /// which its rows are exactly at its checkpoint; it is neither locked nor slowed by that. Both are read at the same time.
    pub(super) async fn compare(
        &mut self,
        connection: &mut PgConnection,
        accept_difference: bool,
    ) -> Result<(Comparison, Vec<(&'static str, i64)>), RebuildError> {
        let mut snapshot = self.pool.begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?;
        let incomparable = self.incomparable(&mut snapshot).await?;
        let at = self.target(&mut snapshot).await?;
        let comparable = incomparable.is_none();
        let model = self.model;
        let served = async move {
            let tables = if comparable { model.tables() } else { &[] };
            let served = sums(&mut snapshot, LIVE_SCHEMA, tables).await;
            snapshot.rollback().await?;
            served
        };
        let new = async {
            self.fold_upto(&mut *connection, at).await?;
            sums(connection, &self.schema, model.tables()).await
        };
        let (served, new) = tokio::try_join!(served, new)?;
        let tables = model.tables().iter().zip(&new).map(|(table, sum)| (*table, sum.rows)).collect();
        let differs = |(table, (served, new))| (served != new).then_some(table);
        let differing: Vec<_> =
            model.tables().iter().copied().zip(served.iter().zip(&new)).filter_map(differs).collect();
        let comparison = match incomparable {
            Some(incomparable) => incomparable,
            None if differing.is_empty() => Comparison::Equal { at },
            None if accept_difference => Comparison::Accepted { at, tables: differing },
            None => {
                let (projection, schema) = (model.name(), self.schema.clone());
                return Err(RebuildError::Differs { projection, at, tables: differing, schema });
            }
        };
        Ok((comparison, tables))
    }

    /// Why the served view can't be compared with; none: it can.
    async fn incomparable(&self, snapshot: &mut PgConnection) -> Result<Option<Comparison>, RebuildError> {
        let stored: Option<(i32, Position)> =
            sqlx::query_as("SELECT version, position FROM public.projections WHERE name = $1")
                .bind(self.model.name())
                .fetch_optional(&mut *snapshot)
                .await?;
        let missing = super::names::missing(&mut *snapshot, self.model).await?;
        Ok(match stored {
            None => Some(Comparison::NothingStored),
            Some((version, _)) if version != self.model.version() => Some(Comparison::OtherVersion(version)),
            Some(_) if !missing.is_empty() => Some(Comparison::TablesMissing(missing)),
            Some(_) => None,
        })
    }
}

impl Rebuild<'_> {
    /// Tells the planner about the new tables: the first queries after the switch would otherwise be planned blindly.
    pub(super) async fn analyze(&self, connection: &mut PgConnection) -> Result<(), RebuildError> {
        let tables = super::names::qualified(&self.schema, self.model)?;
        sqlx::raw_sql(AssertSqlSafe(format!("ANALYZE {tables}"))).execute(connection).await?;
        Ok(())
    }
}

async fn sums(connection: &mut PgConnection, schema: &str, tables: &[&'static str]) -> Result<Vec<Sum>, RebuildError> {
    let mut sums = Vec::new();
    for table in tables {
        sums.push(sum(connection, schema, table).await?);
    }
    Ok(sums)
}

/// Types whose values are hashed as they are. Of every other type the text is: the same session reads both views, so a value
/// has the same text in both.
const HASHED: [&str; 9] = ["uuid", "text", "int2", "int4", "int8", "bool", "float8", "date", "timestamptz"];

/// Columns that are computed from others tell nothing by themselves. Search words are hashed as they travel: their text is dear.
async fn sum(connection: &mut PgConnection, schema: &str, table: &str) -> Result<Sum, RebuildError> {
    let table = checked(table)?;
    let columns: Option<String> = sqlx::query_scalar(
        "SELECT string_agg(CASE WHEN t.typname = ANY($2) THEN quote_ident(a.attname)
                                WHEN t.typname = 'tsvector' THEN 'tsvectorsend(' || quote_ident(a.attname) || ')'
                                ELSE quote_ident(a.attname) || '::text' END, ', ' ORDER BY a.attname)
           FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
          WHERE a.attrelid = $1::regclass AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''",
    )
    .bind(format!("{schema}.{table}"))
    .bind(HASHED)
    .fetch_one(&mut *connection)
    .await?;
    let columns = columns.unwrap_or_default();
    let statement = format!(
        "SELECT count(*), coalesce(sum(hash_record_extended(ROW({columns}), 0)), 0)::text
         FROM {schema}.{table}"
    );
    let (rows, hash) = sqlx::query_as(AssertSqlSafe(statement)).fetch_one(connection).await?;
    Ok(Sum { rows, hash })
}
