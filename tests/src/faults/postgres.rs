//! A PostgreSQL server of a run's own, which may be killed, frozen, brought back, and set back.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;
use tokio::process::Command;

/// A server with its data. Dropping it stops it and deletes the data.
pub struct Postgres {
    directory: TempDir,
    /// Where it listens, up or down.
    pub address: SocketAddr,
}

impl Postgres {
    /// Starts one, empty.
    ///
    /// # Panics
    /// It does not start.
    pub async fn start() -> Self {
        let directory = TempDir::new().expect("a directory");
        let url = run("start", directory.path()).await;
        let address = url.split('@').nth(1).and_then(|rest| rest.split('/').next()).and_then(|at| at.parse().ok());
        Self { directory, address: address.unwrap_or_else(|| panic!("no address in {url:?}")) }
    }

    /// URL of one of its databases, by way of an address that may be an edge's.
    #[must_use]
    pub fn url(by: SocketAddr, database: &str) -> String {
        format!("postgres://postgres@{by}/{database}?sslmode=disable")
    }

    /// Ends the whole server at once, as a machine does that loses power; what was not written through is as it may be.
    ///
    /// # Panics
    /// It does not run.
    pub async fn kill(&self) {
        self.end(Signal::SIGKILL).await;
    }

    /// Ends it as `pg_ctl stop -m immediate` does: every backend quits where it is, and the next start recovers.
    ///
    /// # Panics
    /// It does not run.
    pub async fn stop_immediately(&self) {
        self.end(Signal::SIGQUIT).await;
    }

    /// Brings it back on the same data, at the same address.
    ///
    /// # Panics
    /// It does not start.
    pub async fn back(&self) {
        run("start", self.directory.path()).await;
    }

    /// Signals one of its processes, such as a backend.
    ///
    /// # Panics
    /// There is none of this number.
    pub fn signal(backend: i32, signal: Signal) {
        kill(Pid::from_raw(backend), signal).expect("a backend");
    }

    /// Keeps a copy of the data as it is on disk now. The server must be down.
    pub async fn keep_image(&self) {
        let (data, image) = (self.data(), self.image());
        command("rm", &["-rf".as_ref(), image.as_ref()]).await;
        command("cp", &["-a".as_ref(), data.as_ref(), image.as_ref()]).await;
    }

    /// Sets the data back to the copy, as a disk does that had acknowledged what it never wrote. The server must be down.
    pub async fn restore_image(&self) {
        let (data, image) = (self.data(), self.image());
        command("rm", &["-rf".as_ref(), data.as_ref()]).await;
        command("cp", &["-a".as_ref(), image.as_ref(), data.as_ref()]).await;
    }

    fn data(&self) -> PathBuf {
        self.directory.path().join("server/data")
    }

    fn image(&self) -> PathBuf {
        self.directory.path().join("server/image")
    }

    async fn end(&self, signal: Signal) {
        let file = std::fs::read_to_string(self.data().join("postmaster.pid")).expect("a running server");
        let pid = Pid::from_raw(file.lines().next().and_then(|line| line.parse().ok()).expect("a process id"));
        kill(pid, signal).expect("a running server");
        // Its parent is not us, and may leave it as a zombie, which has no command line.
        while std::fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| !line.is_empty()) {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        let mut stop = std::process::Command::new(script());
        drop(stop.arg("stop").arg(self.directory.path()).stdin(Stdio::null()).output());
    }
}

fn script() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../.dev/postgres")
}

async fn run(word: &str, directory: &Path) -> String {
    command(script().as_os_str(), &[word.as_ref(), directory.as_os_str()]).await
}

async fn command(program: impl AsRef<std::ffi::OsStr>, arguments: &[&std::ffi::OsStr]) -> String {
    let program = program.as_ref();
    let said = Command::new(program).args(arguments).stdin(Stdio::null()).output().await.expect("a program");
    assert!(said.status.success(), "{program:?} {arguments:?}: {}", String::from_utf8_lossy(&said.stderr));
    String::from_utf8_lossy(&said.stdout).trim().to_owned()
}
