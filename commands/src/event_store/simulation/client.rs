//! Those who append in a simulation: one after the other, or a few in a row without waiting.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use chrono::DateTime;
use domain::{Actor, Category, Position, StreamName, Version};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::sync::{mpsc, oneshot};
use uuid::Uuid;

use super::super::queue::Pending;
use super::super::{Append, AppendError, Appended, Expected, NewEvent};
use super::{Nodes, POISON, queue_of};
use crate::simulation::lock;

const STREAMS: u128 = 3;
const APPENDS: u64 = 12;
/// Tries of one append; more than the writers' patience needs once nothing breaks any more.
const TRIES_MAX: usize = 200;
/// Appends sent in a row.
const TRAIN: usize = 3;

/// What came of a try.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Given {
    Appended {
        version: Version,
        position: Position,
    },
    Conflict,
    Refused,
    /// Not known.
    Unknown,
    /// Nothing was done.
    NotTaken,
}

/// An answer, as its client has it.
#[derive(Debug, Clone)]
pub(super) struct Answered {
    pub(super) key: String,
    pub(super) stream: StreamName,
    pub(super) events: usize,
    pub(super) given: Given,
    /// Which row of appends it was part of.
    pub(super) train: Option<u64>,
}

pub(super) type Answers = Arc<Mutex<Vec<Answered>>>;

/// An append under way.
pub(super) struct Sent {
    append: Append,
    answer: Option<oneshot::Receiver<Result<Appended, AppendError>>>,
    train: Option<u64>,
}

pub(super) struct Client {
    number: u64,
    made: u64,
    /// The version of each stream, as far as it knows.
    versions: Vec<Version>,
    last: Option<Append>,
    nodes: Nodes,
    answers: Answers,
    luck: StdRng,
}

impl Client {
    pub(super) fn new(number: u64, seed: u64, nodes: Nodes, answers: Answers) -> Self {
        let versions = vec![0; usize::try_from(STREAMS).unwrap_or(1)];
        Self { number, made: 0, versions, last: None, nodes, answers, luck: StdRng::seed_from_u64(seed) }
    }

    pub(super) async fn run(mut self) {
        while self.made < APPENDS {
            tokio::time::sleep(Duration::from_millis(self.luck.random_range(0..100))).await;
            if self.luck.random_range(0..4) == 0 {
                self.train().await;
            } else {
                self.insist().await;
            }
        }
    }

    /// One append, under its key again and again until its outcome is known.
    async fn insist(&mut self) {
        let append = match self.last.take() {
            // Given twice, as by a client that has lost the answer.
            Some(again) if self.luck.random_range(0..8) == 0 => again,
            _ => self.append(None),
        };
        for _ in 0..TRIES_MAX {
            let node = self.luck.random_range(0..2);
            let sent = self.give(append.clone(), node, None);
            if !matches!(self.answered(sent).await, Given::Unknown | Given::NotTaken) {
                self.last = Some(append);
                return;
            }
            tokio::time::sleep(Duration::from_millis(self.luck.random_range(0..300))).await;
        }
        panic!("the outcome of {} is never known", append.key);
    }

    /// Some appends to one stream in a row, to one node, without waiting.
    async fn train(&mut self) {
        let (stream, node, train) =
            (self.luck.random_range(0..STREAMS), self.luck.random_range(0..2), self.luck.random());
        let appends: Vec<Append> = (0..TRAIN).map(|_| self.append(Some(stream))).collect();
        let sent: Vec<Sent> = appends.into_iter().map(|append| self.give(append, node, Some(train))).collect();
        let mut given = Vec::new();
        for sent in sent {
            given.push((sent.append.clone(), self.wait(sent).await));
        }
        for (append, given) in given {
            self.note(&append, given, Some(train));
        }
    }

    /// Something new, without waiting for the answer.
    pub(super) fn send(&mut self, node: usize) -> Sent {
        let append = self.append(None);
        self.give(append, node, None)
    }

    pub(super) fn append(&mut self, stream: Option<u128>) -> Append {
        self.made += 1;
        let chosen = stream.unwrap_or_else(|| self.luck.random_range(0..STREAMS));
        let known = self.versions[usize::try_from(chosen).unwrap_or(0)];
        let exact = stream.is_none() && self.luck.random_range(0..2) == 0;
        let poison = if self.luck.random_range(0..40) == 0 { POISON } else { "key" };
        let event = NewEvent {
            id: Uuid::nil(),
            event_type: "simulated",
            schema_version: 1,
            occurred_at: DateTime::UNIX_EPOCH,
            actor: Actor::System("simulation".to_owned()),
            correlation_id: Uuid::nil(),
            causation_id: None,
            trace: None,
            payload: String::new(),
        };
        Append {
            key: format!("{poison} {}.{}", self.number, self.made),
            stream: StreamName { category: Category::Call, id: Uuid::from_u128(chosen) },
            expected: if exact { Expected::Exact(known) } else { Expected::Any },
            events: vec![event; self.luck.random_range(1..4)],
        }
    }

    fn give(&self, append: Append, node: usize, train: Option<u64>) -> Sent {
        let (reply, answer) = oneshot::channel();
        let queued = queue_of(&self.nodes, node).try_send(Pending { append: append.clone(), reply });
        let answer = match queued {
            Ok(()) => Some(answer),
            Err(mpsc::error::TrySendError::Full(_) | mpsc::error::TrySendError::Closed(_)) => None,
        };
        Sent { append, answer, train }
    }

    pub(super) async fn answered(&mut self, sent: Sent) -> Given {
        let (append, train) = (sent.append.clone(), sent.train);
        let given = self.wait(sent).await;
        self.note(&append, given.clone(), train);
        given
    }

    async fn wait(&self, sent: Sent) -> Given {
        let Some(answer) = sent.answer else { return Given::NotTaken };
        // As `EventStore::append`: a writer that dies drops the reply.
        match answer.await.unwrap_or(Err(AppendError::OutcomeUnknown)) {
            Ok(Appended { version, position, .. }) => Given::Appended { version, position },
            Err(AppendError::Conflict { .. }) => Given::Conflict,
            Err(AppendError::Refused(_)) => Given::Refused,
            Err(AppendError::OutcomeUnknown) => Given::Unknown,
            Err(_) => Given::NotTaken,
        }
    }

    fn note(&mut self, append: &Append, given: Given, train: Option<u64>) {
        if let Given::Appended { version, .. } = given {
            let stream = usize::try_from(append.stream.id.as_u128()).unwrap_or(0);
            self.versions[stream] = self.versions[stream].max(version);
        }
        let answered =
            Answered { key: append.key.clone(), stream: append.stream, events: append.events.len(), given, train };
        lock(&self.answers).push(answered);
    }
}
