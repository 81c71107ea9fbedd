//! Somebody who gives commands, one after the other, and keeps the receipts.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use domain::Position;
use serde_json::{Value, json};
use sqlx::PgPool;
use tests::Client;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::PATIENCE;

/// That a command was applied.
#[derive(Debug)]
pub(super) struct Receipt {
    call_id: Uuid,
    command_id: Uuid,
    version: i64,
    position: Position,
}

/// What a clerk has at the end.
#[derive(Debug)]
pub(super) struct Work {
    pub(super) receipts: Vec<Receipt>,
    /// Answers that were missing or were errors.
    pub(super) failures: Vec<String>,
}

/// A clerk at work.
pub(super) struct Clerk {
    stop: CancellationToken,
    done: Arc<AtomicUsize>,
    task: JoinHandle<Work>,
}

impl Drop for Clerk {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Clerk {
    /// Begins to give commands to whatever server runs. Each is given again, under its id, until it is answered, and then
    /// looked for by a query.
    pub(super) fn start(server: watch::Receiver<Option<SocketAddr>>, token: &str) -> Self {
        let (stop, done) = (CancellationToken::new(), Arc::new(AtomicUsize::new(0)));
        let work = work(server, token.to_owned(), stop.clone(), Arc::clone(&done));
        Self { stop, done, task: tokio::spawn(work) }
    }

    /// Commands answered so far.
    pub(super) fn done(&self) -> usize {
        self.done.load(Ordering::SeqCst)
    }

    /// Ends after the command at hand.
    pub(super) async fn stop(mut self) -> Work {
        self.stop.cancel();
        tokio::time::timeout(PATIENCE, &mut self.task).await.expect("a command is not answered").unwrap()
    }
}

async fn work(
    mut server: watch::Receiver<Option<SocketAddr>>,
    token: String,
    stop: CancellationToken,
    done: Arc<AtomicUsize>,
) -> Work {
    let mut work = Work { receipts: Vec::new(), failures: Vec::new() };
    while !stop.is_cancelled() {
        let (call_id, command_id) = (Uuid::now_v7(), Uuid::now_v7());
        let input = json!({
            "callId": call_id, "commandId": command_id, "direction": "INBOUND",
            "from": "+12025550100", "to": "+12025550101",
        });
        let initiate = "mutation ($input: InitiateCallInput!) { initiateCall(input: $input) {
                        ... on CommandAccepted { version position } } }";
        let answer = insist(&mut server, &token, initiate, &json!({ "input": input }), &mut work.failures).await;
        let (version, position) = (&answer["initiateCall"]["version"], &answer["initiateCall"]["position"]);
        let (version, position) = (version.as_i64().unwrap(), position.as_i64().unwrap());
        let call = "query ($id: UUID!, $at: Position!) { call(callId: $id, atLeast: $at) { version position } }";
        let answer =
            insist(&mut server, &token, call, &json!({ "id": call_id, "at": position }), &mut work.failures).await;
        assert_eq!(answer["call"], json!({ "version": version, "position": position }), "one's own write is seen");
        work.receipts.push(Receipt { call_id, command_id, version, position });
        done.fetch_add(1, Ordering::SeqCst);
    }
    work
}

/// Asks until there is an answer, at the next server where one is gone.
async fn insist(
    server: &mut watch::Receiver<Option<SocketAddr>>,
    token: &str,
    document: &str,
    variables: &Value,
    failures: &mut Vec<String>,
) -> Value {
    loop {
        let address = *server.borrow_and_update();
        let Some(address) = address else {
            server.changed().await.expect("a server");
            continue;
        };
        let request = Client::new(address, Some(token.to_owned())).post();
        let asked = request.json(&json!({ "query": document, "variables": variables })).send().await;
        let answer: Result<Value, _> = match asked {
            Ok(response) => response.json().await,
            Err(error) => Err(error),
        };
        match answer {
            Ok(mut answer) if answer["errors"].is_null() => return answer["data"].take(),
            Ok(answer) => {
                failures.push(answer.to_string());
                let code = &answer["errors"][0]["extensions"]["code"];
                assert!(["UNAVAILABLE", "INTERNAL_SERVER_ERROR"].iter().any(|passing| code == passing), "{answer}");
                tokio::task::yield_now().await;
            }
            Err(error) => {
                failures.push(error.to_string());
                server.changed().await.expect("a server");
            }
        }
    }
}

/// What was acknowledged is in the log, once, at the place that was named.
pub(super) async fn assert_kept(pool: &PgPool, receipts: &[Receipt]) {
    let kept: Vec<(Uuid, i64, Position, i64)> = sqlx::query_as(
        "SELECT e.stream_id, e.version, e.position, (SELECT count(*) FROM events o WHERE o.stream_id = e.stream_id)
         FROM events e WHERE e.stream_id = ANY($1) AND e.category = 'call' ORDER BY e.position",
    )
    .bind(receipts.iter().map(|receipt| receipt.call_id).collect::<Vec<_>>())
    .fetch_all(pool)
    .await
    .unwrap();
    let promised: Vec<_> =
        receipts.iter().map(|receipt| (receipt.call_id, receipt.version, receipt.position, 1)).collect();
    assert_eq!(kept, promised);
    let keys = "SELECT count(*) FROM append_keys WHERE stream_id = ANY($1)";
    let keys: i64 = sqlx::query_scalar(keys)
        .bind(receipts.iter().map(|receipt| receipt.call_id).collect::<Vec<_>>())
        .fetch_one(pool)
        .await
        .unwrap();
    assert_eq!(usize::try_from(keys).unwrap(), receipts.len());
    assert!(receipts.iter().all(|receipt| !receipt.command_id.is_nil()));
}
