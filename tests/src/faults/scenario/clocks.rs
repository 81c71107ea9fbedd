//! F27: clocks of single processes are wrong, and jump. Order comes from positions, and leases from the database's clock.
//!
//! By a library that stands between a process and the clock of the day (`clock.c`). Not by libfaketime: it changes also what
//! librdkafka makes its waits from, but not those waits themselves, so that a client waits for an hour where it means a second, or
//! not at all.

use std::path::Path;
use std::process::Command;

use super::{Cluster, projected, published};

/// Seconds by which clocks are wrong, one after the other.
const JUMPS_S: [i64; 5] = [3_600, -3_600, 0, -10, 3_600];

/// Builds the library, with the linker that Rust uses as well.
fn library(directory: &Path) -> String {
    let (source, library) = (directory.join("clock.c"), directory.join("clock.so"));
    std::fs::write(&source, include_str!("clock.c")).expect("a file");
    let built = Command::new("cc")
        .args(["-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o"])
        .arg(&library)
        .arg(&source)
        .output();
    let built = built.expect("a C compiler");
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    library.to_string_lossy().into_owned()
}

pub(super) async fn jump(cluster: &mut Cluster) {
    let library = library(cluster.directory());
    let offset = cluster.directory().join("offset");
    // Written in place: the processes have mapped this file.
    let set = |seconds: i64| {
        let file = std::fs::File::options().write(true).create(true).truncate(false).open(&offset).expect("a file");
        std::os::unix::fs::FileExt::write_all_at(&file, &seconds.to_ne_bytes(), 0).expect("a file");
    };
    set(0);
    let offset_file = offset.to_string_lossy().into_owned();
    let wrong = [("LD_PRELOAD", library.as_str()), ("CLOCK_OFFSET_FILE", &offset_file)];
    for role in [0, 1] {
        cluster.relays[role].terminate().await;
        cluster.projections[role].terminate().await;
        cluster.relays[role].start_with(&wrong).await;
        cluster.projections[role].start_with(&wrong).await;
    }
    for seconds in JUMPS_S {
        set(seconds);
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
