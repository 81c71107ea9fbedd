//! The private PostgreSQL of `voice up`: made from the installed binaries under a directory of its own, reachable only
//! through a socket in that directory, never run as root.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use nix::errno::Errno;
use nix::sys::signal::kill;
use nix::unistd::{Gid, Pid, Uid, User};
use tokio::process::Command;
use tokio::time::Instant;

/// Oldest major version that will do.
const VERSION_MIN: u32 = 15;
/// Longest path of a Unix socket that Linux takes, less the name PostgreSQL gives it.
const SOCKET_DIR_BYTES_MAX: usize = 107 - ".s.PGSQL.5432.lock".len();
/// Beginning of the name of a cluster that is being made.
const FRESH: &str = "new-";
/// How long a server that was started by another process may take to be ready, and how often it is looked at.
const READY_WITHIN: Duration = Duration::from_secs(60);
const LOOK_AGAIN: Duration = Duration::from_millis(100);
/// How often it is looked whether the server is still there.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Part of the socket's name; nothing listens on the network.
const PORT: &str = "5432";
/// Users to become when started as root, in order.
const UNPRIVILEGED: [&str; 2] = ["postgres", "nobody"];

/// A running private server.
pub(crate) struct Embedded {
    /// Where to connect.
    pub(crate) url: String,
    binaries: PathBuf,
    /// Everything of the server, and in it the cluster itself.
    home: PathBuf,
    data: PathBuf,
    socket: PathBuf,
    owner: Option<User>,
    /// Held for as long as this process uses the directory.
    _lock: File,
}

impl Embedded {
    /// Starts the server, or takes over one that a killed process left running.
    pub(crate) async fn start(directory: &Path) -> Result<Self> {
        let binaries = binaries()?;
        let owner = owner()?;
        fs::create_dir_all(directory).with_context(|| format!("making {}", directory.display()))?;
        let directory = directory.canonicalize().with_context(|| format!("finding {}", directory.display()))?;
        let lock = lock(&directory)?;
        if owner.is_some() {
            // The server's own user has to pass through, not to look around.
            fs::set_permissions(&directory, Permissions::from_mode(0o711))?;
        }
        let home = directory.join("postgres");
        own_directory(&home, owner.as_ref())?;
        passable(&home, owner.as_ref())?;
        let socket = socket_directory(&home, owner.as_ref())?;
        let data = home.join("data");
        let url = format!("postgres:///voice?host={}&port={PORT}&user=voice", socket.display());
        let server = Self { url, binaries, home, data, socket, owner, _lock: lock };
        clear_unfinished(&server.home);
        if !server.data.join("PG_VERSION").exists() {
            server.initialise().await.context("making the private PostgreSQL")?;
        }
        if server.runs().await {
            tracing::info!("a private PostgreSQL is running already; taking it over");
            server.take_over().await.context("taking over the private PostgreSQL")?;
        } else {
            server.launch().await.context("starting the private PostgreSQL")?;
        }
        server.ensure_database().await?;
        Ok(server)
    }

    /// Starts the server again whenever it has ended, such as for want of memory. Never returns.
    pub(crate) async fn keep_running(&self) -> std::convert::Infallible {
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            if self.alive() {
                continue;
            }
            tracing::error!("the private PostgreSQL has ended; starting it again");
            if let Err(error) = self.launch().await {
                tracing::error!(error = format!("{error:#}"), "the private PostgreSQL does not start; trying again");
            }
        }
    }

    /// Whether the process is there that the cluster says it is run by.
    fn alive(&self) -> bool {
        let noted = fs::read_to_string(self.data.join("postmaster.pid")).ok();
        let pid = noted.and_then(|text| text.lines().next()?.trim().parse().ok()).map(Pid::from_raw);
        pid.is_some_and(|pid| kill(pid, None) != Err(Errno::ESRCH))
    }

    async fn initialise(&self) -> Result<()> {
        // In a place that nobody else uses or clears, so that `data` is a whole cluster or not there.
        let fresh = self.home.join(format!("{FRESH}{}", uuid::Uuid::new_v4().simple()));
        let fresh_text = text(&fresh);
        self.run("initdb", &["-D", &fresh_text, "-U", "voice", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8"])
            .await?;
        fs::rename(&fresh, &self.data)?;
        Ok(())
    }

    async fn runs(&self) -> bool {
        self.run("pg_ctl", &["status", "-D", &text(&self.data)]).await.is_ok()
    }

    /// Waits until a running server takes connections: it may be about to start, or to stop.
    async fn take_over(&self) -> Result<()> {
        let began = Instant::now();
        let host = text(&self.socket);
        while self.run("pg_isready", &["-q", "-h", &host, "-U", "voice", "-d", "postgres"]).await.is_err() {
            if !self.runs().await {
                return self.launch().await;
            }
            if began.elapsed() > READY_WITHIN {
                bail!("it takes no connections; see {}", self.home.join("server.log").display());
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
        Ok(())
    }

    async fn launch(&self) -> Result<()> {
        let log = text(&self.home.join("server.log"));
        let options = format!(
            "-c port={PORT} -c listen_addresses='' -c unix_socket_directories='{}' -c unix_socket_permissions=0700 \
             -c max_connections=120 -c shared_buffers=128MB",
            self.socket.display()
        );
        let started =
            self.run("pg_ctl", &["start", "-D", &text(&self.data), "-l", &log, "-o", &options, "-w", "-t", "60"]).await;
        started.with_context(|| format!("see {log}"))
    }

    async fn ensure_database(&self) -> Result<()> {
        let (host, base) = (text(&self.socket), ["-U", "voice", "-d", "postgres", "-X", "-A", "-t", "-q"]);
        let exists = "SELECT count(*) FROM pg_database WHERE datname = 'voice'";
        let mut arguments = vec!["-h", host.as_str()];
        arguments.extend(base);
        let found = self.output("psql", &[&arguments[..], &["-c", exists]].concat()).await?;
        if found.trim() == "0" {
            self.output("psql", &[&arguments[..], &["-c", "CREATE DATABASE voice"]].concat()).await?;
        }
        Ok(())
    }

    /// Stops the server; what is committed is on disk.
    pub(crate) async fn stop(self) -> Result<()> {
        self.run("pg_ctl", &["stop", "-D", &text(&self.data), "-m", "fast", "-w", "-t", "60"]).await
    }

    async fn run(&self, program: &str, arguments: &[&str]) -> Result<()> {
        // pg_ctl hands its standard output on to the server it starts, so it must not be a pipe we wait for.
        let status = self.command(program, arguments).stdout(Stdio::null()).stderr(Stdio::null()).status().await?;
        if status.success() { Ok(()) } else { bail!("{program} failed: {status}") }
    }

    async fn output(&self, program: &str, arguments: &[&str]) -> Result<String> {
        let output = self.command(program, arguments).output().await?;
        if output.status.success() {
            Ok(String::from_utf8_lossy(&output.stdout).into_owned())
        } else {
            bail!("{program} failed: {}", String::from_utf8_lossy(&output.stderr).trim())
        }
    }

    fn command(&self, program: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(self.binaries.join(program));
        command.args(arguments).stdin(Stdio::null()).current_dir("/").env_remove("DATABASE_URL").env("LC_ALL", "C");
        command.env("PGPORT", PORT);
        if let Some(owner) = &self.owner {
            command.uid(owner.uid.as_raw()).gid(owner.gid.as_raw());
        }
        command
    }
}

/// The directory that data goes to where none is named.
pub(crate) fn default_directory() -> PathBuf {
    if Uid::effective().is_root() {
        return PathBuf::from("/var/lib/voice");
    }
    let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".local/share"));
    let base = std::env::var_os("XDG_DATA_HOME").map(PathBuf::from).or_else(home);
    base.unwrap_or_else(|| PathBuf::from(".")).join("voice")
}

/// The newest installed server that is new enough.
fn binaries() -> Result<PathBuf> {
    let debian = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut found: Vec<(u32, PathBuf)> = debian
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path().join("bin"))))
        .filter(|(version, path)| *version >= VERSION_MIN && path.join("initdb").exists())
        .collect();
    found.sort();
    if let Some((_, path)) = found.pop() {
        return Ok(path);
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let on_path = std::env::split_paths(&path).find(|path| path.join("initdb").exists());
    on_path.context("no PostgreSQL server of version 15 or newer is installed: install it, or set DATABASE_URL")
}

/// The user to run the server as; none: the one we are.
fn owner() -> Result<Option<User>> {
    if !Uid::effective().is_root() {
        return Ok(None);
    }
    for name in UNPRIVILEGED {
        if let Some(user) = User::from_name(name)? {
            return Ok(Some(user));
        }
    }
    bail!("PostgreSQL does not run as root, and there is no unprivileged user to run it as")
}

/// Removes clusters that were being made when their process was killed. An initdb may still be at work in one; what can't
/// be removed now is removed at the next start.
fn clear_unfinished(home: &Path) {
    let unfinished = fs::read_dir(home).into_iter().flatten().flatten();
    for entry in unfinished.filter(|entry| entry.file_name().to_string_lossy().starts_with(FRESH)) {
        if let Err(error) = fs::remove_dir_all(entry.path()) {
            tracing::info!(%error, directory = %entry.path().display(), "left behind for now");
        }
    }
}

fn lock(directory: &Path) -> Result<File> {
    let file = File::create(directory.join("lock")).with_context(|| format!("writing to {}", directory.display()))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(fs::TryLockError::WouldBlock) => bail!("another `voice up` uses {}", directory.display()),
        Err(fs::TryLockError::Error(error)) => Err(error).context("locking the data directory"),
    }
}

/// A directory that only the server's user can look into.
fn own_directory(path: &Path, owner: Option<&User>) -> Result<()> {
    fs::create_dir_all(path)?;
    fs::set_permissions(path, Permissions::from_mode(0o700))?;
    if let Some(owner) = owner {
        chown(path, Some(owner.uid.as_raw()), Some(owner.gid.as_raw()))?;
    }
    Ok(())
}

/// Makes sure that the server's user can reach its directory: a parent that is closed to it can't be opened by us.
fn passable(home: &Path, owner: Option<&User>) -> Result<()> {
    let Some(owner) = owner else { return Ok(()) };
    for parent in home.ancestors().skip(1) {
        let metadata = fs::metadata(parent)?;
        let shift = if metadata.uid() == owner.uid.as_raw() {
            6
        } else if Gid::from_raw(metadata.gid()) == owner.gid {
            3
        } else {
            0
        };
        if (metadata.mode() >> shift) & 1 == 0 {
            let (parent, name) = (parent.display(), &owner.name);
            bail!("{parent} is closed to user {name}, who runs the server: choose another --data-dir");
        }
    }
    Ok(())
}

/// Where the server's socket goes: under its home, or in /tmp where that path would be too long for a socket.
fn socket_directory(home: &Path, owner: Option<&User>) -> Result<PathBuf> {
    let mut socket = home.join("run");
    if socket.as_os_str().len() > SOCKET_DIR_BYTES_MAX {
        let id = uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_URL, text(home).as_bytes());
        socket = PathBuf::from(format!("/tmp/voice-{}", id.simple()));
    }
    own_directory(&socket, owner)?;
    Ok(socket)
}

fn text(path: &Path) -> String {
    path.display().to_string()
}
