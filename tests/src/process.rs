//! The program as a process of its own, and what it says.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::sync::watch;

/// Longest wait for anything a process does.
const WITHIN: Duration = Duration::from_secs(180);

/// A running `voice`. Dropping it kills the process.
pub struct Voice {
    child: Child,
    /// Standard output.
    out: Lines,
    /// Standard error.
    log: Lines,
}

impl Voice {
    /// Starts the program. It sees nothing of this process's environment but where to find other programs.
    ///
    /// # Panics
    /// The program is not there.
    #[must_use]
    pub fn start<S: AsRef<std::ffi::OsStr>>(arguments: &[S], environment: &[(&str, &str)]) -> Self {
        let mut command = Command::new(program());
        command.args(arguments).env_clear();
        for kept in ["PATH", "HOME", "TMPDIR"] {
            command.envs(std::env::var_os(kept).map(|value| (kept, value)));
        }
        command.envs(environment.iter().copied()).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("starting voice");
        let (out, log) = (Lines::of(child.stdout.take().unwrap()), Lines::of(child.stderr.take().unwrap()));
        Self { child, out, log }
    }

    /// Whether the program is where [`Voice::start`] looks for it.
    #[must_use]
    pub fn is_built() -> bool {
        built().is_some()
    }

    /// A figure of the process's memory by its name in `/proc/PID/status`, such as `VmRSS`, in KiB.
    ///
    /// # Panics
    /// The process has ended, or there is no such figure.
    #[must_use]
    pub fn memory_kib(&self, name: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("its status");
        let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).expect("the figure");
        line.trim().trim_end_matches(" kB").parse().expect("a number")
    }

    /// The first line of standard output with this text in it, as soon as it is there.
    ///
    /// # Panics
    /// The process has ended without it, or takes too long.
    pub async fn line(&self, text: &str) -> String {
        let found = self.out.wait_for(|lines| lines.iter().find(|line| line.contains(text)).cloned()).await;
        found.unwrap_or_else(|| panic!("no line with {text:?} from voice:\n{}", self.words()))
    }

    /// Waits until this text is in the log, on standard error.
    ///
    /// # Panics
    /// The process has ended without it, or takes too long.
    pub async fn logged(&self, text: &str) {
        let found = self.log.wait_for(|lines| lines.iter().any(|line| line.contains(text)).then_some(())).await;
        found.unwrap_or_else(|| panic!("nothing about {text:?} in voice's log:\n{}", self.words()));
    }

    /// Where it listens, as soon as it says so.
    ///
    /// # Panics
    /// It does not say so in time.
    pub async fn address(&self) -> SocketAddr {
        let line = self.line("http://").await;
        let rest = line.split("http://").nth(1).unwrap_or_default();
        let end = rest.find(|c: char| c == '/' || c.is_whitespace()).unwrap_or(rest.len());
        rest[..end].parse().unwrap_or_else(|_| panic!("no address in {line:?}"))
    }

    /// Standard output so far.
    #[must_use]
    pub fn output(&self) -> Vec<String> {
        self.out.read(<[String]>::to_vec)
    }

    /// The log so far, from standard error.
    #[must_use]
    pub fn log(&self) -> String {
        self.log.read(|lines| lines.join("\n"))
    }

    /// Asks the process to end, and does not wait for it.
    pub fn ask_to_end(&self) {
        self.signal(Signal::SIGTERM);
    }

    /// Asks the process to end, as an orchestrator does, and waits until it has.
    pub async fn terminate(self) -> ExitStatus {
        self.signal(Signal::SIGTERM);
        self.ended().await
    }

    /// As [`Voice::terminate`]; with what it has said.
    pub async fn terminated(self) -> Ended {
        self.signal(Signal::SIGTERM);
        self.ended_of().await
    }

    /// Ends the process at once, wherever it is.
    ///
    /// # Panics
    /// It does not die.
    pub async fn kill(mut self) {
        self.child.kill().expect("kill -9");
        self.ended().await;
    }

    /// Stops the process where it is, as a machine does that is starved or suspended. Its connections stay open.
    pub fn freeze(&self) {
        self.signal(Signal::SIGSTOP);
    }

    /// Lets a frozen process go on; it does not know that time has passed.
    pub fn thaw(&self) {
        self.signal(Signal::SIGCONT);
    }

    /// How many files and sockets it has open.
    ///
    /// # Panics
    /// It does not run.
    #[must_use]
    pub fn open_files(&self) -> u64 {
        let files = std::fs::read_dir(format!("/proc/{}/fd", self.child.id())).expect("a running process");
        u64::try_from(files.count()).unwrap_or(u64::MAX)
    }

    fn signal(&self, signal: Signal) {
        // The child was not waited for yet, so its number is its own.
        let pid = Pid::from_raw(i32::try_from(self.child.id()).unwrap());
        kill(pid, signal).expect("a running process");
    }

    /// Waits until the process has ended.
    ///
    /// # Panics
    /// It does not end in time, or has panicked somewhere.
    pub async fn ended(mut self) -> ExitStatus {
        let closed = self.out.closed().await && self.log.closed().await;
        assert!(closed, "voice does not end:\n{}", self.words());
        assert!(!self.log().contains("panicked at"), "{}", self.words());
        self.child.wait().unwrap()
    }

    /// Runs the program to its end.
    pub async fn run<S: AsRef<std::ffi::OsStr>>(arguments: &[S], environment: &[(&str, &str)]) -> Ended {
        Self::ended_of(Self::start(arguments, environment)).await
    }

    /// Waits until the process has ended, by itself: how, and what it has said.
    pub async fn ended_of(self) -> Ended {
        let (out, log) = (self.out.clone(), self.log.clone());
        let status = self.ended().await;
        Ended { status, output: out.read(<[String]>::to_vec), log: log.read(|lines| lines.join("\n")) }
    }

    fn words(&self) -> String {
        format!("{}\n{}", self.output().join("\n"), self.log())
    }
}

impl Drop for Voice {
    fn drop(&mut self) {
        // Harmless for a process that was waited for.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// A process that ran to its end.
#[derive(Debug)]
pub struct Ended {
    /// How it ended.
    pub status: ExitStatus,
    /// Standard output.
    pub output: Vec<String>,
    /// The log, from standard error.
    pub log: String,
}

/// The program: tests stand one directory below it, other programs beside it.
fn built() -> Option<PathBuf> {
    let tests = std::env::current_exe().expect("the path of the tests");
    tests.ancestors().skip(1).take(2).map(|directory| directory.join("voice")).find(|path| path.is_file())
}

fn program() -> PathBuf {
    built().expect("voice is not there: run the tests by .dev/test, or `cargo build -p voice` first")
}

/// Lines of a stream, read by a thread.
#[derive(Clone)]
pub(crate) struct Lines {
    lines: Arc<Mutex<Vec<String>>>,
    /// Moves with each line; its sender ends with the stream.
    moved: watch::Receiver<()>,
}

impl Lines {
    pub(crate) fn of(stream: impl Read + Send + 'static) -> Self {
        let (sender, moved) = watch::channel(());
        let lines = Arc::new(Mutex::new(Vec::new()));
        let taken = Arc::clone(&lines);
        std::thread::spawn(move || {
            for line in BufReader::new(stream).lines().map_while(Result::ok) {
                taken.lock().unwrap_or_else(PoisonError::into_inner).push(line);
                sender.send_replace(());
            }
        });
        Self { lines, moved }
    }

    pub(crate) fn read<T>(&self, read: impl FnOnce(&[String]) -> T) -> T {
        read(&self.lines.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// What is looked for, as soon as it is there; `None`: the stream ended without it, or it takes too long.
    pub(crate) async fn wait_for<T>(&self, mut look: impl FnMut(&[String]) -> Option<T>) -> Option<T> {
        let mut moved = self.moved.clone();
        let looking = async {
            loop {
                moved.borrow_and_update();
                if let Some(found) = self.read(&mut look) {
                    return Some(found);
                }
                if moved.changed().await.is_err() {
                    return self.read(&mut look);
                }
            }
        };
        tokio::time::timeout(WITHIN, looking).await.ok().flatten()
    }

    /// Waits for the end of the stream; `false`: it takes too long.
    async fn closed(&self) -> bool {
        self.closed_within(WITHIN).await
    }

    /// The same, with another limit.
    pub(crate) async fn closed_within(&self, limit: Duration) -> bool {
        let mut moved = self.moved.clone();
        let closing = async { while moved.changed().await.is_ok() {} };
        tokio::time::timeout(limit, closing).await.is_ok()
    }
}
