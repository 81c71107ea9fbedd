//! A script of `tests/clients` under Node, and what it says: a line of JSON for each thing it has seen.

use std::ffi::OsStr;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::process::Lines;

/// A running script. Dropping it kills the process.
pub struct Script {
    name: String,
    child: Child,
    input: Option<ChildStdin>,
    out: Lines,
    errors: Lines,
}

/// Where the clients are installed.
#[must_use]
pub fn clients() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("clients")
}

/// A program that `npm ci` has put there.
///
/// # Panics
/// It is not there: run the tests by `.dev/test`.
#[must_use]
pub fn installed(program: &str) -> PathBuf {
    let path = clients().join("node_modules/.bin").join(program);
    assert!(path.exists(), "{} is not there: run .dev/install test", path.display());
    path
}

impl Script {
    /// Starts `node SCRIPT ARGUMENTS` in `tests/clients`.
    ///
    /// # Panics
    /// Node is not there.
    #[must_use]
    pub fn start<S: AsRef<OsStr>>(script: &Path, arguments: &[S], environment: &[(&str, &str)]) -> Self {
        let mut command = Command::new(installed("node"));
        command.arg(script).args(arguments);
        Self::spawn(script.display().to_string(), command, environment)
    }

    /// Starts any program in `tests/clients`.
    ///
    /// # Panics
    /// It is not there.
    #[must_use]
    pub fn spawn(name: String, mut command: Command, environment: &[(&str, &str)]) -> Self {
        command.current_dir(clients()).env_clear();
        for kept in ["PATH", "HOME", "TMPDIR", "XDG_CACHE_HOME"] {
            command.envs(std::env::var_os(kept).map(|value| (kept, value)));
        }
        command.envs(environment.iter().copied());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("starting {name}: {error}"));
        let (out, errors) = (Lines::of(child.stdout.take().unwrap()), Lines::of(child.stderr.take().unwrap()));
        Self { name, input: child.stdin.take(), child, out, errors }
    }

    /// Says a word to the script.
    ///
    /// # Panics
    /// It has ended.
    pub fn tell(&mut self, word: &str) {
        let input = self.input.as_mut().expect("the script's input is open");
        writeln!(input, "{word}").unwrap_or_else(|error| panic!("{}: {error}\n{}", self.name, self.words()));
    }

    /// Waits until the lines said so far have what is looked for.
    ///
    /// # Panics
    /// The script has ended without it, or takes too long.
    pub async fn wait_for<T>(&self, what: &str, mut look: impl FnMut(&[Value]) -> Option<T>) -> T {
        let found = self.out.wait_for(|lines| look(&parsed(lines))).await;
        found.unwrap_or_else(|| panic!("{}: waited in vain for {what}:\n{}", self.name, self.words()))
    }

    /// Values under a key, of all lines that have it, in order.
    #[must_use]
    pub fn said(&self, key: &str) -> Vec<Value> {
        self.out.read(|lines| parsed(lines).iter().filter_map(|line| line.get(key).cloned()).collect())
    }

    /// Waits until the script has ended; everything it has said.
    ///
    /// # Panics
    /// It does not end in time, or has failed.
    pub async fn succeeded(mut self, within: Duration) -> Vec<Value> {
        drop(self.input.take());
        let closed = self.out.closed_within(within).await && self.errors.closed_within(within).await;
        assert!(closed, "{} does not end:\n{}", self.name, self.words());
        let status = self.child.wait().unwrap();
        assert!(status.success(), "{}: {status}\n{}", self.name, self.words());
        self.out.read(parsed)
    }

    /// Standard output and standard error so far.
    #[must_use]
    pub fn words(&self) -> String {
        let joined = |lines: &[String]| lines.join("\n");
        format!("{}\n{}", self.out.read(joined), self.errors.read(joined))
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        // Harmless for a process that was waited for.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// The lines that are JSON objects.
fn parsed(lines: &[String]) -> Vec<Value> {
    lines.iter().filter_map(|line| serde_json::from_str(line).ok()).filter(Value::is_object).collect()
}
