//! Are the rows the same? Counted and hashed without regard to their order, both views at the same checkpoint.

use sqlx::{AssertSqlSafe, Connection, PgConnection};

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
    /// which its rows are exactly at its checkpoint; it is neither locked nor slowed by that.
    pub(super) async fn compare(
        &mut self,
        connection: &mut PgConnection,
        accept_difference: bool,
    ) -> Result<(Comparison, Vec<(&'static str, i64)>), RebuildError> {
        let mut snapshot = connection.begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ").await?;
        let compared = self.compare_in_snapshot(&mut snapshot, accept_difference).await;
        // The new tables keep what was folded meanwhile, also when they are only kept for inspection.
        snapshot.commit().await?;
        compared
    }

    async fn compare_in_snapshot(
        &mut self,
        connection: &mut PgConnection,
        accept_difference: bool,
    ) -> Result<(Comparison, Vec<(&'static str, i64)>), RebuildError> {
        let stored: Option<(i32, Position)> =
            sqlx::query_as("SELECT version, position FROM public.projections WHERE name = $1")
                .bind(self.model.name())
                .fetch_optional(&mut *connection)
                .await?;
        let missing = super::names::missing(&mut *connection, self.model).await?;
        let incomparable = match stored {
            None => Some(Comparison::NothingStored),
            Some((version, _)) if version != self.model.version() => Some(Comparison::OtherVersion(version)),
            Some(_) if !missing.is_empty() => Some(Comparison::TablesMissing(missing)),
            Some(_) => None,
        };
        let at = self.target(connection).await?;
        self.fold_upto(connection, at).await?;
        let (mut tables, mut differing) = (Vec::new(), Vec::new());
        for table in self.model.tables() {
            let new = sum(connection, &self.schema, table).await?;
            if incomparable.is_none() && sum(connection, LIVE_SCHEMA, table).await? != new {
                differing.push(*table);
            }
            tables.push((*table, new.rows));
        }
        let comparison = match incomparable {
            Some(incomparable) => incomparable,
            None if differing.is_empty() => Comparison::Equal { at },
            None if accept_difference => Comparison::Accepted { at, tables: differing },
            None => {
                let (projection, schema) = (self.model.name(), self.schema.clone());
                return Err(RebuildError::Differs { projection, at, tables: differing, schema });
            }
        };
        Ok((comparison, tables))
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

/// Types whose values are hashed as they are. Of every other type the text is: the same session reads both views, so a value
/// has the same text in both.
const HASHED: [&str; 9] = ["uuid", "text", "int2", "int4", "int8", "bool", "float8", "date", "timestamptz"];

/// Columns that are computed from others tell nothing by themselves, and the search words of a transcript are the dearest.
async fn sum(connection: &mut PgConnection, schema: &str, table: &str) -> Result<Sum, RebuildError> {
    let table = checked(table)?;
    let columns: Option<String> = sqlx::query_scalar(
        "SELECT string_agg(quote_ident(a.attname) || CASE WHEN t.typname = ANY($2) THEN '' ELSE '::text' END, ', '
                           ORDER BY a.attname)
           FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
          WHERE a.attrelid = $1::regclass AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''",
    )
    .bind(format!("{schema}.{table}"))
    .bind(HASHED)
    .fetch_one(&mut *connection)
    .await?;
    let columns = columns.unwrap_or_default();
    let statement = format!(
        "SELECT count(*), coalesce(sum(hash_record_extended(ROW({columns}), 0)::numeric), 0)::text
         FROM {schema}.{table}"
    );
    let (rows, hash) = sqlx::query_as(AssertSqlSafe(statement)).fetch_one(connection).await?;
    Ok(Sum { rows, hash })
}
