//! What a writer answers while its database only refuses, waits or breaks.

use std::sync::Arc;
use std::time::Duration;

use domain::{Category, StreamName};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::super::committed::Told;
use super::super::log::{Log, Outcome};
use super::super::outcome::Failure;
use super::super::queue::Pending;
use super::super::statement::Verdict;
use super::super::writer::{RESOLVE_WITHIN, Writer};
use super::super::{Append, AppendError, Appended, Expected, KeyRecord};
use super::client::Client;
use crate::simulation::broken;

/// How long the server makes each try wait.
const A_TRY: Duration = Duration::from_secs(1);

/// Refuses a batch of several, then is away.
struct Away;

impl Log for Away {
    type Line = ();

    async fn append(&mut self, batch: &[Pending]) -> Result<Vec<Verdict>, Failure> {
        if batch.len() > 1 {
            return Err(Failure::Refused(sqlx::Error::Protocol("one is at fault".to_owned())));
        }
        tokio::time::sleep(A_TRY).await;
        Err(Failure::Retry(broken()))
    }

    async fn place(&mut self, _batch: &[Pending]) -> Option<()> {
        None
    }

    async fn write((): (), _batch: &[Pending]) -> Outcome<()> {
        Err((Failure::OutOfPlace, None))
    }

    fn take_back(&mut self, (): ()) {}

    fn gives_places(&self) -> bool {
        true
    }

    fn lost_place(&mut self, _: bool) {}

    async fn find_keys(&self, _keys: &[&str]) -> Result<Vec<KeyRecord>, sqlx::Error> {
        Err(broken())
    }

    async fn make_room(&self, _batch: &[Pending]) -> Result<(), sqlx::Error> {
        Err(broken())
    }
}

/// Breaks off at once, and holds this under every key.
struct Broken(KeyRecord);

impl Log for Broken {
    type Line = ();

    async fn append(&mut self, _batch: &[Pending]) -> Result<Vec<Verdict>, Failure> {
        Err(Failure::Unknown(broken()))
    }

    async fn place(&mut self, _batch: &[Pending]) -> Option<()> {
        None
    }

    async fn write((): (), _batch: &[Pending]) -> Outcome<()> {
        Err((Failure::OutOfPlace, None))
    }

    fn take_back(&mut self, (): ()) {}

    fn gives_places(&self) -> bool {
        true
    }

    fn lost_place(&mut self, _: bool) {}

    async fn find_keys(&self, keys: &[&str]) -> Result<Vec<KeyRecord>, sqlx::Error> {
        Ok(keys.iter().map(|key| KeyRecord { key: (*key).to_owned(), ..self.0.clone() }).collect())
    }

    async fn make_room(&self, _batch: &[Pending]) -> Result<(), sqlx::Error> {
        Ok(())
    }
}

/// What a writer answers to these appends.
async fn answers_of(log: impl Log + Sync + 'static, appends: Vec<Append>) -> Vec<Result<Appended, AppendError>> {
    let (queue, waiting) = mpsc::channel(appends.len());
    let mut replies = Vec::new();
    for append in appends {
        let (reply, answer) = oneshot::channel();
        queue.send(Pending { append, reply }).await.expect("there is room");
        replies.push(answer);
    }
    drop(queue);
    let writer = Writer::new(log, waiting, Told::new(watch::channel(0).0), usize::MAX);
    writer.run(CancellationToken::new()).await;
    let mut answers = Vec::new();
    for reply in replies {
        answers.push(reply.await.expect("everybody is answered"));
    }
    answers
}

fn append(stream: u128) -> Append {
    let mut client = Client::new(0, 0, Arc::default(), Arc::default());
    let name = StreamName { category: Category::Call, id: Uuid::from_u128(stream) };
    Append { key: format!("key {stream}"), stream: name, ..client.append(None) }
}

#[tokio::test(start_paused = true)]
async fn a_refused_batch_ends_within_the_time_of_one_append() {
    let begin = Instant::now();
    let answers = answers_of(Away, (1..=100).map(append).collect()).await;
    assert!(answers.iter().all(|answer| matches!(answer, Err(AppendError::OutcomeUnknown))), "{answers:?}");
    assert!(begin.elapsed() < RESOLVE_WITHIN + 2 * A_TRY, "it took {:?}", begin.elapsed());
}

#[tokio::test(start_paused = true)]
async fn what_a_broken_try_finds_under_its_key_may_be_of_another() {
    let append = Append { expected: Expected::Exact(4), ..append(1) };
    let events = i64::try_from(append.events.len()).expect("a few");
    let own = KeyRecord { key: String::new(), stream: append.stream, version: 4 + events, position: 9 };
    let elsewhere = StreamName { category: Category::Call, id: Uuid::from_u128(2) };
    let cases = [
        (own.clone(), false),
        (KeyRecord { version: own.version - 1, ..own.clone() }, true),
        (KeyRecord { stream: elsewhere, ..own }, true),
    ];
    for (record, of_another) in cases {
        let answers = answers_of(Broken(record.clone()), vec![append.clone()]).await;
        let applied = matches!(&answers[..], [Ok(Appended { already_applied, .. })] if *already_applied == of_another);
        assert!(applied, "{record:?}: {answers:?}");
    }
}
