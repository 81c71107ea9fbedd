//! How many files and sockets this process may have open.

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// Files and sockets that are kept for what is not a client: the database, Kafka, listeners, logs.
const NOT_CLIENTS: u64 = 200;

/// Raises the soft limit to the hard one, as servers do: the soft one is low for the sake of programs that can't handle more.
/// Answers how many clients fit.
pub(crate) fn connections_max() -> usize {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap_or((1_024, 1_024));
    let files = if setrlimit(Resource::RLIMIT_NOFILE, hard, hard).is_ok() { hard } else { soft };
    usize::try_from(files.saturating_sub(NOT_CLIENTS).max(1)).unwrap_or(usize::MAX)
}
