//! What the projector writes besides the rows of its read model: the checkpoint, what changed, what is parked.

use domain::Position;
use sqlx::{AssertSqlSafe, PgConnection, PgPool};
use uuid::Uuid;

use super::Stop;
use super::surroundings::Place;
use crate::changes::CHANGES_KEPT_POSITIONS;
use crate::fold::{self, Batch, Failure, PARKED_KEYS_MAX};
use crate::read_model::{Change, ReadModel};

/// Most changed keys that go with the end of their transaction.
const TOLD_AT_ONCE_MAX: usize = 32;
/// Most sets of changes removed by one statement.
const PRUNE_ROWS_MAX: i64 = 5_000;
/// Most statements at once; the rest has time.
const PRUNE_STATEMENTS_MAX: usize = 4;

/// Moves the checkpoint of projection $1, version $2, generation $3 from $4 to $5.
const MOVE: &str = "UPDATE public.projections SET position = $5, updated_at = now()
                    WHERE name = $1 AND version = $2 AND generation = $3 AND position = $4";
/// Stores a set of changes of projection $1 at position $2. A key that was taken up again may have left a set at the checkpoint's
/// successor.
const CHANGED: &str = "INSERT INTO public.change_sets AS c (projection, position, keys) VALUES ($1, $2, $3)
                       ON CONFLICT ON CONSTRAINT change_sets_key DO UPDATE SET keys = c.keys || EXCLUDED.keys";
/// SQLSTATE of a statement that the connection has not prepared.
const NO_STATEMENT: &str = "26000";

/// Reads the checkpoint and what is parked.
pub(super) async fn load(pool: &PgPool, model: &dyn ReadModel) -> Result<Place, Stop> {
    let name = model.name();
    let mut transaction = pool.begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?;
    let (version, position, generation, head): (i32, Position, i64, Position) = sqlx::query_as(
        "SELECT version, position, generation, (SELECT position FROM event_log) FROM projections WHERE name = $1",
    )
    .bind(name)
    .fetch_optional(&mut *transaction)
    .await?
    .ok_or(Stop::Changed)?;
    if version != model.version() {
        return Err(Stop::Changed);
    }
    if position > head {
        return Err(Stop::AheadOfLog { position, head });
    }
    let keys = sqlx::query_scalar("SELECT DISTINCT key FROM parked_events WHERE projection = $1 LIMIT $2")
        .bind(name)
        .bind(i64::try_from(PARKED_KEYS_MAX + 1).unwrap_or(i64::MAX))
        .fetch_all(&mut *transaction)
        .await?;
    transaction.commit().await?;
    if keys.len() > PARKED_KEYS_MAX {
        return Err(Stop::TooManyParked);
    }
    Ok(Place { position, generation, parked_keys: keys.into_iter().collect() })
}

/// What changed; `None`: the checkpoint was not where it was expected. After an error the connection is of no use any more:
/// its transaction may be open.
///
/// What a transaction begins and ends with goes in one message each: a projector that keeps up has one row to write, and each
/// round trip costs as much as that.
pub(super) async fn transact(
    connection: &mut PgConnection,
    model: &dyn ReadModel,
    (position, generation): (Position, i64),
    batch: &Batch,
) -> Result<Option<Vec<Change>>, Failure> {
    let (name, version, upto) = (literal(model.name()), model.version(), batch.upto);
    // The checkpoint first, so that another projector of this model waits here and gives way before it touches a row.
    let begin = format!(
        "BEGIN; SET LOCAL search_path TO read, public;
         EXECUTE voice_move({name}, {version}, {generation}, {position}, {upto})"
    );
    if begun(connection, begin).await.map_err(Failure::Machinery)? != 1 {
        run(connection, "ROLLBACK".to_owned()).await.map_err(Failure::Machinery)?;
        return Ok(None);
    }
    let changes = fold::apply(model, connection, &batch.events()).await?;
    fold::park(connection, model.name(), &batch.parked).await.map_err(Failure::Machinery)?;
    let told = if changes.len() > TOLD_AT_ONCE_MAX {
        write_changes(connection, model.name(), &changes).await.map_err(Failure::Machinery)?;
        String::new()
    } else {
        changes_written(&name, &changes)
    };
    run(connection, format!("{told}COMMIT")).await.map_err(fold::failure)?;
    Ok(Some(changes))
}

/// As [`run`]. Statements that are sent with others in one message take no parameters, so the server would plan them each time; those
/// of a transaction it keeps by name for as long as the connection lives, and is told of them when it does not know them yet.
async fn begun(connection: &mut PgConnection, begin: String) -> Result<u64, sqlx::Error> {
    match run(connection, begin.clone()).await {
        Err(sqlx::Error::Database(error)) if error.code().as_deref() == Some(NO_STATEMENT) => {
            let prepare = format!(
                "ROLLBACK; PREPARE voice_changed (text, bigint, uuid[]) AS {CHANGED};
                 PREPARE voice_move (text, integer, bigint, bigint, bigint) AS {MOVE}"
            );
            run(connection, prepare).await?;
            run(connection, begin).await
        }
        begun => begun,
    }
}

/// Runs statements that take no parameters; how many rows they changed.
async fn run(connection: &mut PgConnection, statements: String) -> Result<u64, sqlx::Error> {
    Ok(sqlx::raw_sql(AssertSqlSafe(statements)).execute(connection).await?.rows_affected())
}

/// The statement of [`write_changes`] for a few keys, without parameters: they are numbers and ids.
fn changes_written(name: &str, changes: &[Change]) -> String {
    let Some(position) = changes.iter().map(|change| change.position).max() else {
        return String::new();
    };
    let keys: Vec<String> = changes.iter().map(|change| change.key.to_string()).collect();
    format!("EXECUTE voice_changed({name}, {position}, '{{{}}}'); ", keys.join(","))
}

/// A text as it stands in a statement.
fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// Removes sets of changes that nobody may ask for any more.
pub(super) async fn prune(
    connection: &mut PgConnection,
    projection: &str,
    position: Position,
) -> Result<(), sqlx::Error> {
    for _ in 0..PRUNE_STATEMENTS_MAX {
        let removed = sqlx::query(
            "DELETE FROM change_sets WHERE ctid IN
                 (SELECT ctid FROM change_sets WHERE projection = $1 AND position <= $2 LIMIT $3)",
        )
        .bind(projection)
        .bind(position - CHANGES_KEPT_POSITIONS)
        .bind(PRUNE_ROWS_MAX)
        .execute(&mut *connection)
        .await?;
        if removed.rows_affected() < PRUNE_ROWS_MAX.unsigned_abs() {
            break;
        }
    }
    Ok(())
}

/// Stores what changed, as a set at the position of the last change.
pub(crate) async fn write_changes(
    connection: &mut PgConnection,
    projection: &str,
    changes: &[Change],
) -> Result<(), sqlx::Error> {
    let Some(position) = changes.iter().map(|change| change.position).max() else {
        return Ok(());
    };
    let mut keys: Vec<Uuid> = changes.iter().map(|change| change.key).collect();
    keys.sort_unstable();
    keys.dedup();
    sqlx::query(CHANGED).bind(projection).bind(position).bind(keys).execute(connection).await?;
    Ok(())
}
