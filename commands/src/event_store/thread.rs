//! A thread for the writer alone.
//!
//! Everything that is appended goes through one task. On a runtime that it shares, it is told that the database has answered only when
//! a worker looks for such news, which one that has tasks to run does after every 61st of them; and while the writer waits, so does
//! the database.

use tokio::sync::oneshot;
use tokio_util::task::TaskTracker;

/// Name of the thread, for whoever looks at the process.
const NAME: &str = "voice-appends";

/// Runs a future to its end on a thread of its own. `tracker` waits for it.
///
/// # Errors
/// The machine has no thread left.
pub(super) fn start(future: impl Future<Output = ()> + Send + 'static, tracker: &TaskTracker) -> std::io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (ends, ended) = oneshot::channel::<()>();
    std::thread::Builder::new().name(NAME.to_owned()).spawn(move || {
        runtime.block_on(future);
        drop(ends);
    })?;
    // The other side says nothing, it is dropped.
    tracker.spawn(async move { drop(ended.await) });
    Ok(())
}
