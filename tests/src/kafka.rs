//! Kafka for tests: the broker they share, brokers of their own, and reading a topic record by record.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{Consumer, StreamConsumer};
use rdkafka::message::{Headers, Message};
use rdkafka::{Offset, TopicPartitionList};
use tempfile::TempDir;
use uuid::Uuid;

/// Longest wait for anything Kafka does.
const WITHIN: Duration = Duration::from_secs(180);

/// The broker that all tests share.
///
/// # Panics
/// `KAFKA_BROKERS` is missing.
#[must_use]
pub fn brokers() -> String {
    std::env::var("KAFKA_BROKERS").expect("KAFKA_BROKERS is not set: run the tests by .dev/test")
}

/// Name of a topic of a test's own; nobody has made it yet.
#[must_use]
pub fn topic() -> String {
    format!("test-{}", Uuid::now_v7().simple())
}

/// A broker of a test's own, that may go away and come back. Dropping it stops it.
pub struct Broker {
    directory: TempDir,
    /// Where it listens, up or down.
    pub brokers: String,
    /// Where it listens for those who reach it by way of a proxy, in the order of the proxies' ports.
    pub behind: Vec<SocketAddr>,
}

impl Broker {
    /// Starts one.
    ///
    /// # Panics
    /// It does not start.
    pub async fn start() -> Self {
        Self::start_behind(&[]).await
    }

    /// Starts one that can also be reached by way of proxies on these ports of this machine: it sends each client back to
    /// the proxy that the client came by.
    ///
    /// # Panics
    /// It does not start.
    pub async fn start_behind(proxies: &[u16]) -> Self {
        let directory = TempDir::new().unwrap();
        let ports: Vec<String> = proxies.iter().map(ToString::to_string).collect();
        let mut start = tokio::process::Command::from(script("start", directory.path()));
        let started = start.env("VOICE_KAFKA_PROXIES", ports.join(" ")).output().await.unwrap();
        assert!(started.status.success(), "no broker: {}", String::from_utf8_lossy(&started.stderr));
        let brokers = String::from_utf8(started.stdout).unwrap().trim().to_owned();
        let behind = std::fs::read_to_string(directory.path().join("behind")).unwrap_or_default();
        let behind = behind.split_whitespace().map(|address| address.parse().unwrap()).collect();
        Self { directory, brokers, behind }
    }

    /// Ends it at once, wherever it is.
    ///
    /// # Panics
    /// It does not run.
    pub async fn kill(&self) {
        let pid = self.pid();
        kill(pid, Signal::SIGKILL).expect("a running broker");
        // Its parent is not us, and may leave it as a zombie, which has no command line.
        while std::fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| !line.is_empty()) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Stops it where it is; connections stay open and nobody answers.
    ///
    /// # Panics
    /// It does not run.
    pub fn freeze(&self) {
        kill(self.pid(), Signal::SIGSTOP).expect("a running broker");
    }

    /// Lets it go on.
    ///
    /// # Panics
    /// It does not run.
    pub fn thaw(&self) {
        kill(self.pid(), Signal::SIGCONT).expect("a running broker");
    }

    /// Deletes the records of a topic from its disk. It must be down.
    ///
    /// # Panics
    /// There is no such topic.
    pub fn forget(&self, topic: &str) {
        let mut forgotten = 0;
        for partition in std::fs::read_dir(self.directory.path().join("data")).unwrap() {
            let partition = partition.unwrap();
            if partition.file_name().to_string_lossy().starts_with(&format!("{topic}-")) {
                std::fs::remove_dir_all(partition.path()).unwrap();
                forgotten += 1;
            }
        }
        assert!(forgotten > 0, "nothing of {topic} is stored");
    }

    fn pid(&self) -> Pid {
        let pid = std::fs::read_to_string(self.directory.path().join("kafka.pid")).expect("a running broker");
        Pid::from_raw(pid.trim().parse().expect("a process id"))
    }

    /// Takes it away. What it has stays.
    ///
    /// # Panics
    /// It does not stop.
    pub async fn stop(&self) {
        self.say("stop").await;
    }

    /// Brings it back, at the same address.
    ///
    /// # Panics
    /// It does not start.
    pub async fn back(&self) {
        self.say("start").await;
    }

    async fn say(&self, word: &str) {
        let said = tokio::process::Command::from(script(word, self.directory.path())).output().await.unwrap();
        assert!(said.status.success(), "{word}: {}", String::from_utf8_lossy(&said.stderr));
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        drop(script("stop", self.directory.path()).output());
    }
}

fn script(word: &str, directory: &Path) -> std::process::Command {
    let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../.dev/kafka");
    let mut command = std::process::Command::new(script);
    command.arg(word).arg(directory).stdin(Stdio::null());
    command
}

/// A record as anybody may read it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Partition it is in.
    pub partition: i32,
    /// Its key.
    pub key: String,
    /// Its headers.
    pub headers: BTreeMap<String, String>,
    /// Its value.
    pub payload: String,
}

impl Record {
    /// A header that holds a number.
    ///
    /// # Panics
    /// It is missing, or holds none.
    #[must_use]
    pub fn number(&self, header: &str) -> i64 {
        self.headers.get(header).unwrap_or_else(|| panic!("no header {header}: {self:?}")).parse().unwrap()
    }

    /// Its place in the log.
    #[must_use]
    pub fn position(&self) -> i64 {
        self.number("position")
    }

    /// Place in the log of the record before it in its partition.
    #[must_use]
    pub fn prev(&self) -> i64 {
        self.number("prev")
    }

    /// Epoch of the relay that sent it.
    #[must_use]
    pub fn epoch(&self) -> i64 {
        self.number("epoch")
    }
}

/// Reads a topic from its beginning.
pub struct Reader {
    consumer: StreamConsumer,
}

impl Reader {
    /// A reader of every partition from 0 to `partitions - 1`, which need not be there yet.
    ///
    /// # Panics
    /// The client refuses.
    #[must_use]
    pub fn new(brokers: &str, topic: &str, partitions: i32) -> Self {
        let consumer: StreamConsumer = ClientConfig::new()
            .set("bootstrap.servers", brokers)
            .set("group.id", "nobody")
            .set("enable.auto.commit", "false")
            .set("auto.offset.reset", "earliest")
            .set("topic.metadata.refresh.interval.ms", "200")
            .set("fetch.wait.max.ms", "50")
            .create()
            .unwrap();
        let mut assignment = TopicPartitionList::new();
        for partition in 0..partitions {
            assignment.add_partition_offset(topic, partition, Offset::Beginning).unwrap();
        }
        consumer.assign(&assignment).unwrap();
        Self { consumer }
    }

    /// The next record of any partition.
    ///
    /// # Panics
    /// None comes in time.
    pub async fn next(&self) -> Record {
        let reading = async {
            loop {
                // Errors are passing: a broker that is away, a topic that is not there yet.
                if let Ok(message) = self.consumer.recv().await {
                    let text = |bytes: Option<&[u8]>| String::from_utf8(bytes.unwrap_or_default().to_vec()).unwrap();
                    let headers = message.headers().map(|headers| headers.iter().collect::<Vec<_>>());
                    let headers = headers.unwrap_or_default().into_iter();
                    return Record {
                        partition: message.partition(),
                        key: text(message.key()),
                        headers: headers.map(|header| (header.key.to_owned(), text(header.value))).collect(),
                        payload: text(message.payload()),
                    };
                }
            }
        };
        tokio::time::timeout(WITHIN, reading).await.expect("no record in time")
    }

    /// As many records as asked for.
    pub async fn take(&self, count: usize) -> Vec<Record> {
        let mut records = Vec::with_capacity(count);
        while records.len() < count {
            records.push(self.next().await);
        }
        records
    }

    /// Records up to the first one that fits, with it.
    pub async fn until(&self, mut fits: impl FnMut(&Record) -> bool) -> Vec<Record> {
        let mut records = vec![self.next().await];
        while !records.last().is_some_and(&mut fits) {
            records.push(self.next().await);
        }
        records
    }
}
