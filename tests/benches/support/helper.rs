//! A second process of the same benchmark: asked in lines of JSON on its standard input, answering on its standard output.

use std::process::Stdio;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

/// What the argument begins with that tells a helper what it is.
pub const PREFIX: &str = "helper=";

/// A helper process; killed when dropped.
pub struct Helper {
    child: Child,
    questions: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
}

impl Helper {
    /// Starts one.
    ///
    /// # Panics
    /// It does not start.
    pub fn start(role: &str) -> Self {
        let program = std::env::current_exe().expect("this program");
        let mut child = Command::new(program)
            .arg(format!("{PREFIX}{role}"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("a helper process");
        let questions = child.stdin.take().expect("its input");
        let answers = BufReader::new(child.stdout.take().expect("its output")).lines();
        Self { child, questions, answers }
    }

    /// Asks, and waits for the answer.
    ///
    /// # Panics
    /// The helper has ended, or answers something else.
    pub async fn ask<A: DeserializeOwned>(&mut self, question: &impl Serialize) -> A {
        let mut line = serde_json::to_string(question).expect("a question");
        line.push('\n');
        self.questions.write_all(line.as_bytes()).await.expect("a helper that listens");
        let answer = self.answers.next_line().await.expect("a helper that speaks").expect("a helper that lives");
        serde_json::from_str(&answer).unwrap_or_else(|error| panic!("{error}: {answer}"))
    }

    /// Resident memory, in KiB.
    ///
    /// # Panics
    /// It has ended.
    pub fn resident_kib(&self) -> u64 {
        let id = self.child.id().expect("a helper that lives");
        let status = std::fs::read_to_string(format!("/proc/{id}/status")).expect("its status");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("its resident memory");
        line.trim().trim_end_matches(" kB").parse().expect("a number")
    }

    /// Lets it end in order.
    ///
    /// # Panics
    /// It fails.
    pub async fn end(mut self) {
        drop(self.questions);
        assert!(self.child.wait().await.expect("a helper").success(), "a helper has failed");
    }
}

/// The helper's side: answers until nobody asks any more.
///
/// # Panics
/// A question is none.
pub async fn answer<Q: DeserializeOwned, A: Serialize>(mut answer: impl AsyncFnMut(Q) -> A) {
    let next = || std::io::stdin().lines().next().transpose();
    while let Some(line) = tokio::task::spawn_blocking(next).await.expect("a thread").expect("questions") {
        let question = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
        println!("{}", serde_json::to_string(&answer(question).await).expect("an answer"));
    }
}
