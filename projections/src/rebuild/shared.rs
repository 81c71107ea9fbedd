//! Several views rebuilt at once from one reading of the log.

use std::sync::Arc;

use domain::Position;
use futures_util::future::join_all;
use sqlx::PgPool;
use tokio::sync::mpsc;

use super::{Options, RebuildError, RebuildProgress, RebuildReport, rebuild_fed};
use crate::read_model::ReadModel;
use crate::replay::{Chunk, Replay};

/// Chunks that wait for one of the rebuilds; the slowest sets the pace.
const CHUNKS_WAITING_MAX: usize = 2;

/// Rebuilds views as [`rebuild`](super::rebuild) does each, in parallel: what is in the log when they begin is read and
/// decoded once for all of them. What becomes of one is of no concern to the others; reports come in the order of `models`.
pub async fn rebuild_all(
    pool: &PgPool,
    models: &[Arc<dyn ReadModel>],
    options: Options,
    progress: &(dyn Fn(&'static str, RebuildProgress) + Send + Sync),
) -> Vec<Result<RebuildReport, RebuildError>> {
    let (feeds, ends): (Vec<_>, Vec<_>) = models.iter().map(|_| mpsc::channel(CHUNKS_WAITING_MAX)).unzip();
    let rebuilds = models.iter().zip(ends).map(|(model, feed)| async move {
        let name = model.name();
        let shown = |at| progress(name, at);
        rebuild_fed(pool, model.as_ref(), options, &shown, Some(feed)).await
    });
    let (_, reports) = tokio::join!(feed_all(pool, models, feeds), join_all(rebuilds));
    reports
}

/// Hands every chunk to all that still take them. Whatever goes wrong here ends the feed early; each rebuild then reads for
/// itself and finds out.
async fn feed_all(pool: &PgPool, models: &[Arc<dyn ReadModel>], mut feeds: Vec<mpsc::Sender<Arc<Chunk>>>) {
    let names: Vec<&str> = models.iter().map(|model| model.name()).collect();
    // No view may be overtaken: the one that is furthest behind ends what is shared.
    let upto: Result<Position, sqlx::Error> = sqlx::query_scalar(
        "SELECT least(position, (SELECT min(position) FROM projections WHERE name = ANY($1))) FROM event_log",
    )
    .bind(names)
    .fetch_one(pool)
    .await;
    let Ok(upto) = upto else { return };
    let mut replay = Replay::start(pool.clone(), 0, upto);
    while let Ok(Some(chunk)) = replay.next().await {
        let chunk = Arc::new(chunk);
        let sent = join_all(feeds.iter().map(|feed| feed.send(Arc::clone(&chunk)))).await;
        let mut sent = sent.into_iter();
        feeds.retain(|_| sent.next().is_some_and(|sent| sent.is_ok()));
        if feeds.is_empty() {
            return;
        }
    }
}
