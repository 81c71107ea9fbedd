//! F27: clocks of single processes are wrong, and jump. Order comes from positions, and leases from the database's clock.
//!
//! Never ahead of the real time: librdkafka waits by the clock of the day, through a function of C11 that libfaketime does not know,
//! so that a process that is an hour ahead waits for an hour where it means a second. From an hour behind to the real time is a
//! jump forward as well.
//!
//! By libfaketime, which stands between a process and the clock of the day; clocks that only go forward are left alone.

use std::path::PathBuf;

use super::{Cluster, projected, published};

/// Where Debian and Ubuntu put it.
const LIBRARY: &str = "faketime/libfaketime.so.1";

fn library() -> PathBuf {
    let candidates = std::fs::read_dir("/usr/lib").into_iter().flatten().flatten();
    let found = candidates.map(|entry| entry.path().join(LIBRARY)).find(|path| path.exists());
    found.expect("libfaketime: run .dev/install test")
}

pub(super) async fn jump(cluster: &mut Cluster) {
    let library = library().to_string_lossy().into_owned();
    let offset = cluster.directory().join("offset");
    std::fs::write(&offset, "+0").expect("a file");
    let offset_file = offset.to_string_lossy().into_owned();
    let wrong = [
        ("LD_PRELOAD", library.as_str()),
        ("DONT_FAKE_MONOTONIC", "1"),
        ("FAKETIME_TIMESTAMP_FILE", &offset_file),
        ("FAKETIME_NO_CACHE", "1"),
    ];
    for role in [0, 1] {
        cluster.relays[role].terminate().await;
        cluster.projections[role].terminate().await;
        cluster.relays[role].start_with(&wrong).await;
        cluster.projections[role].start_with(&wrong).await;
    }
    for jump in ["-1h", "+0", "-10s", "-1h", "+0"] {
        std::fs::write(&offset, jump).expect("a file");
        cluster.load.more(6).await;
        let head = cluster.head().await;
        projected(&cluster.pool, head).await;
        published(&cluster.pool, head).await;
    }
    for role in [0, 1] {
        cluster.relays[role].terminate().await;
        cluster.projections[role].terminate().await;
        cluster.relays[role].start().await;
        cluster.projections[role].start().await;
    }
}
