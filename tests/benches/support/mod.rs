//! What the benchmarks share.
//!
//! * `table`: the one form in which all of them print what they have found.
//! * `statistics`: medians, percentiles, ratios of runs.
//! * `helper`: a second process of the same benchmark, asked over its standard input. Clients live in one, so that their
//!   work is the same whoever serves them.
//! * `requests`: the load: HTTP connections that ask all the time.
//! * `event`: what is appended.
//! * `floor`: a server with something going on.
//!
//! A benchmark measures what is ours and its ceiling in turns, run by run, so that both see the same machine.

pub mod event;
pub mod floor;
pub mod helper;
pub mod requests;
pub mod statistics;
pub mod table;

use std::time::Instant;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::time::{ClockId, clock_gettime};
use table::Row;

/// As in the program.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// How much is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// Everything, several times: figures to be quoted.
    Full,
    /// A little, once: shows that the benchmark works.
    Quick,
}

impl Extent {
    /// Runs of each side.
    pub fn runs(self) -> usize {
        self.pick(5, 1)
    }

    /// One of two values.
    pub fn pick<T>(self, full: T, quick: T) -> T {
        match self {
            Self::Full => full,
            Self::Quick => quick,
        }
    }
}

/// Runs a benchmark, or what another process of it was started for. `cargo bench` tells a benchmark by `--bench` that it
/// is meant; `cargo test --benches` only wants to know that it builds. `--quick` measures little.
///
/// # Panics
/// The machine gives no more open files, or no threads.
pub fn run(benchmark: impl AsyncFnOnce(Extent)) {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let given = |name: &str| arguments.iter().any(|argument| argument == name);
    match arguments.first().and_then(|first| first.strip_prefix(helper::PREFIX)) {
        Some("requests") => block_on(requests::serve()),
        Some(other) => panic!("no helper {other}"),
        None if given("--bench") => block_on(benchmark(if given("--quick") { Extent::Quick } else { Extent::Full })),
        None => {}
    }
}

/// Runs with threads for all cores and as many open files as the machine allows.
///
/// # Panics
/// The machine gives no more open files, or no threads.
pub fn block_on(future: impl Future<Output = ()>) {
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE).expect("the limit of open files");
    setrlimit(Resource::RLIMIT_NOFILE, most, most).expect("raising the limit of open files");
    tokio::runtime::Runtime::new().expect("a runtime").block_on(future);
}

/// Measures one part, unless `--only=NAME` names another, and says on standard error how long that took.
#[allow(clippy::print_stderr, reason = "a benchmark")]
pub async fn part(name: &str, rows: &mut Vec<Row>, measuring: impl Future<Output = Vec<Row>>) {
    if only().is_some_and(|only| only != name) {
        return;
    }
    let began = Instant::now();
    rows.extend(measuring.await);
    eprintln!("{name}: {:.0} s", began.elapsed().as_secs_f64());
}

/// What `--only=` names.
pub fn only() -> Option<String> {
    std::env::args().find_map(|argument| argument.strip_prefix("--only=").map(str::to_owned))
}

/// Kafka's bootstrap servers; says so where none are named, and what is to be measured with them is left out.
#[allow(clippy::print_stderr, reason = "a benchmark")]
pub fn brokers() -> Option<String> {
    let brokers = std::env::var("KAFKA_BROKERS").ok();
    if brokers.is_none() {
        eprintln!("no KAFKA_BROKERS: nothing is measured by way of Kafka");
    }
    brokers
}

/// Microseconds on a clock that all processes of this machine share.
///
/// # Panics
/// There is no such clock.
pub fn now_us() -> u64 {
    let now = clock_gettime(ClockId::CLOCK_MONOTONIC).expect("the clock");
    u64::try_from(now.tv_sec() * 1_000_000 + now.tv_nsec() / 1_000).expect("a clock that began before now")
}
