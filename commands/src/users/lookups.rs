//! Accounts that are looked up at the same time are looked up together.
//!
//! Every request looks up who asks, so that a closed account is closed at once. Under load, one statement answers all
//! lookups that came while the one before was under way. Nobody gets an answer that was read before the question: what is
//! under way already is not waited for by who comes later.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sqlx::PgPool;
use tokio::sync::oneshot;
use uuid::Uuid;

use super::{User, UserError, UserRow};

/// Most accounts that one statement looks up.
const AT_ONCE_MAX: usize = 1_000;

#[derive(Default)]
pub(super) struct Lookups(Mutex<State>);

/// No connection became free.
struct NoConnection;

type Answer = oneshot::Sender<Result<Option<User>, NoConnection>>;

#[derive(Default)]
struct State {
    waiting: Vec<(Uuid, Answer)>,
    /// Somebody asks for those that wait, until nobody does.
    asking: bool,
}

impl Lookups {
    /// One user, or that there is none.
    pub(super) async fn find(self: &Arc<Self>, pool: &PgPool, id: Uuid) -> Result<Option<User>, UserError> {
        let (answer, answered) = oneshot::channel();
        let first = {
            let mut state = self.state();
            state.waiting.push((id, answer));
            !std::mem::replace(&mut state.asking, true)
        };
        if first {
            // On a task of its own: who came first may go while others wait.
            tokio::spawn(Asking { lookups: Arc::clone(self), done: false }.ask(pool.clone()));
        }
        match answered.await {
            Ok(Ok(user)) => Ok(user),
            Ok(Err(NoConnection)) => Err(sqlx::Error::PoolTimedOut.into()),
            // Who is not answered asks alone, and is told by that what is wrong.
            Err(_) => Ok(query(pool, &[id]).await?.pop().map(|row| row.0)),
        }
    }

    /// Takes those who wait now, as many as one statement looks up.
    fn next(&self) -> Option<Vec<(Uuid, Answer)>> {
        let mut state = self.state();
        if state.waiting.is_empty() {
            state.asking = false;
            return None;
        }
        let count = state.waiting.len().min(AT_ONCE_MAX);
        Some(state.waiting.drain(..count).collect())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Asks until nobody waits.
struct Asking {
    lookups: Arc<Lookups>,
    done: bool,
}

impl Asking {
    async fn ask(mut self, pool: PgPool) {
        while let Some(asked) = self.lookups.next() {
            let mut ids: Vec<Uuid> = asked.iter().map(|(id, _)| *id).collect();
            ids.sort_unstable();
            ids.dedup();
            match query(&pool, &ids).await {
                Ok(rows) => {
                    let users: HashMap<Uuid, User> = rows.into_iter().map(|row| (row.0.id, row.0)).collect();
                    for (id, answer) in asked {
                        // Who does not wait any more needs no answer.
                        let _ = answer.send(Ok(users.get(&id).cloned()));
                    }
                }
                // As long as a request waits for a connection, none became free: waiting as long again, each for itself, would
                // keep all of them waiting, and those who came meanwhile even longer.
                Err(sqlx::Error::PoolTimedOut) => {
                    let late = std::mem::take(&mut self.lookups.state().waiting);
                    for (_, answer) in asked.into_iter().chain(late) {
                        let _ = answer.send(Err(NoConnection));
                    }
                }
                // They ask alone.
                Err(_) => {}
            }
        }
        self.done = true;
    }
}

impl Drop for Asking {
    /// When it ends before its time, by a panic or because the runtime stops, those who wait ask alone, and the next who
    /// comes begins anew.
    fn drop(&mut self) {
        if !self.done {
            let mut state = self.lookups.state();
            state.waiting.clear();
            state.asking = false;
        }
    }
}

async fn query(pool: &PgPool, ids: &[Uuid]) -> Result<Vec<UserRow>, sqlx::Error> {
    sqlx::query_as("SELECT * FROM users WHERE id = ANY($1)").bind(ids).fetch_all(pool).await
}
