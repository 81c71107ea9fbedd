//! One socket: who speaks to whom.
//!
//! ```text
//! client ──▶ reader (this task) ──▶ one task an operation ──▶ bounded channel ──▶ writer task ──▶ client
//! ```
//!
//! An operation puts one message at a time into the channel, and waiters are served in turn: a hot subscription can't
//! starve the others. A client that does not read fills the channel and then stops its operations, which read on from
//! their own place when it goes on; nothing is dropped and nothing piles up. The reader closes the socket: it tells the
//! writer the reason and ends the operations. The writer that can't write ends, and the reader with it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_graphql::Response;
use axum::extract::ws::{Message, WebSocket};
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use serde_json::Value;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until, timeout};

use super::Endpoint;
use super::operation::{Answer, Caller, Refused, prepare};
use super::protocol::{self, Closing, FromClient, SUBPROTOCOL};
use crate::auth::AuthError;
use crate::error::coded;
use crate::graphql::TraceParent;

/// How long a client may take to send `connection_init`.
const INIT_WITHIN: Duration = Duration::from_secs(10);
/// How often the server pings.
const PING_EVERY: Duration = Duration::from_secs(12);
/// Silence after which a client is taken for gone: two pings and a half without an answer.
const SILENCE_MAX: Duration = Duration::from_secs(30);
/// How long one message may take to be written.
const WRITE_WITHIN: Duration = Duration::from_secs(30);
/// Messages of all operations that wait to be written.
const OUTGOING_MAX: usize = 16;

/// What the writer writes.
enum Out {
    Text(String),
    /// A message of an operation; not written when the client has ended the operation meanwhile.
    Of {
        ended: Ended,
        text: String,
    },
    Ping,
    Close(Closing),
}

/// Set when the client has ended an operation. Each run of an id has its own.
type Ended = Arc<AtomicBool>;

/// Operations that run, by the client's id.
type Running = Arc<Mutex<HashMap<String, (Ended, AbortHandle)>>>;

struct Session {
    endpoint: Endpoint,
    authorization: Option<String>,
    caller: Caller,
    acknowledged: bool,
    running: Running,
    outgoing: mpsc::Sender<Out>,
}

/// Serves a socket until one side closes it.
pub(super) async fn serve(
    socket: WebSocket,
    endpoint: Endpoint,
    authorization: Option<String>,
    trace: Option<TraceParent>,
) {
    let agreed = socket.protocol().is_some_and(|protocol| protocol.as_bytes() == SUBPROTOCOL.as_bytes());
    let (sink, incoming) = socket.split();
    let (outgoing, queued) = mpsc::channel(OUTGOING_MAX);
    let running = Running::default();
    let mut writer = tokio::spawn(write(sink, queued));
    let mut session = Session {
        endpoint,
        authorization,
        caller: Caller { viewer: None, trace },
        acknowledged: false,
        running,
        outgoing: outgoing.clone(),
    };
    let closing = if agreed {
        tokio::select! {
            closing = session.read(incoming) => closing,
            _ = &mut writer => None,
        }
    } else {
        Some(Closing::SubprotocolNotAcceptable)
    };
    for (_, (_, operation)) in lock(&session.running).drain() {
        operation.abort();
    }
    if let Some(closing) = closing {
        drop(timeout(WRITE_WITHIN, outgoing.send(Out::Close(closing))).await);
    }
    drop((session, outgoing));
    // It ends by itself once nobody can send any more; a client that takes nothing is not waited for.
    if !writer.is_finished() && timeout(WRITE_WITHIN, &mut writer).await.is_err() {
        writer.abort();
    }
}

fn lock(running: &Running) -> MutexGuard<'_, HashMap<String, (Ended, AbortHandle)>> {
    // Nothing panics while it is held; and if it did, the map would still be whole.
    running.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn write(mut sink: SplitSink<WebSocket, Message>, mut queued: mpsc::Receiver<Out>) {
    while let Some(out) = queued.recv().await {
        let message = match out {
            Out::Text(text) => Message::Text(text.into()),
            Out::Of { ended, .. } if ended.load(Ordering::Acquire) => continue,
            Out::Of { text, .. } => Message::Text(text.into()),
            Out::Ping => Message::Ping(Vec::new().into()),
            Out::Close(closing) => {
                drop(timeout(WRITE_WITHIN, sink.send(Message::Close(Some(closing.frame())))).await);
                return;
            }
        };
        match timeout(WRITE_WITHIN, sink.send(message)).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) => return,
            Err(_) => {
                tracing::info!("a client that takes nothing is cut off; it may come back with its cursor");
                return;
            }
        }
    }
}

impl Session {
    /// Reads until the socket is to be closed, and says why; `None`: it is closed already.
    async fn read(&mut self, mut incoming: SplitStream<WebSocket>) -> Option<Closing> {
        let init_until = Instant::now() + INIT_WITHIN;
        let mut pings = interval(PING_EVERY);
        let mut rechecks = interval(self.endpoint.limits.recheck_every);
        for ticks in [&mut pings, &mut rechecks] {
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            ticks.reset();
        }
        let shutdown = self.endpoint.shutdown.clone();
        let mut heard = Instant::now();
        loop {
            let message = tokio::select! {
                message = incoming.next() => message,
                () = sleep_until(init_until), if !self.acknowledged => return Some(Closing::InitTimeout),
                _ = pings.tick() => {
                    if heard.elapsed() > SILENCE_MAX {
                        return None;
                    }
                    // A full channel says that the client is being written to, which shows as well whether it lives.
                    drop(self.outgoing.try_send(Out::Ping));
                    continue;
                }
                _ = rechecks.tick(), if self.caller.viewer.is_some() => {
                    if self.is_revoked().await {
                        return Some(Closing::Forbidden);
                    }
                    continue;
                }
                () = shutdown.cancelled() => return Some(Closing::ServiceRestart),
            };
            heard = Instant::now();
            let handled = match message {
                Some(Ok(Message::Text(text))) => match FromClient::parse(&text) {
                    Ok(message) => self.handle(message).await,
                    Err(what) => Err(Closing::BadMessage(what)),
                },
                Some(Ok(Message::Binary(_))) => Err(Closing::BadMessage("Messages are text".to_owned())),
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => Ok(()),
                Some(Ok(Message::Close(_)) | Err(_)) | None => return None,
            };
            if let Err(closing) = handled {
                return Some(closing);
            }
        }
    }

    async fn handle(&mut self, message: FromClient) -> Result<(), Closing> {
        match message {
            FromClient::Init(_) if self.acknowledged => Err(Closing::TooManyInits),
            FromClient::Init(payload) => {
                self.sign_in(&payload).await?;
                self.acknowledged = true;
                self.say(protocol::ack()).await
            }
            FromClient::Ping(payload) => self.say(protocol::pong(payload)).await,
            FromClient::Pong => Ok(()),
            FromClient::Subscribe { .. } if !self.acknowledged => Err(Closing::Unauthorized),
            FromClient::Subscribe { id, payload } => self.begin(id, payload).await,
            FromClient::Complete(id) => {
                if let Some((ended, operation)) = lock(&self.running).remove(&id) {
                    ended.store(true, Ordering::Release);
                    operation.abort();
                }
                Ok(())
            }
        }
    }

    async fn say(&self, text: String) -> Result<(), Closing> {
        // Only fails when the writer is gone, which ends the session anyway.
        self.outgoing.send(Out::Text(text)).await.map_err(|_| Closing::Internal)
    }

    /// Takes the token of `connection_init`, or of the upgrade's header. Without a token the viewer is nobody.
    async fn sign_in(&mut self, payload: &Value) -> Result<(), Closing> {
        let given = ["authorization", "Authorization"].iter().find_map(|key| payload[key].as_str());
        if let Some(given) = given {
            self.authorization = Some(given.to_owned());
        }
        let Some(authorization) = &self.authorization else { return Ok(()) };
        match self.endpoint.auth.viewer(authorization).await {
            Ok(viewer) => self.caller.viewer = Some(viewer),
            Err(AuthError::Token) => return Err(Closing::Forbidden),
            Err(AuthError::Users(error)) => {
                tracing::error!(%error, "a socket's viewer can't be looked up");
                return Err(Closing::Internal);
            }
        }
        Ok(())
    }

    /// Whether the token has expired, the account was closed, or its rights were changed. A database that does not answer
    /// is no reason to send everybody away.
    async fn is_revoked(&self) -> bool {
        match &self.authorization {
            Some(authorization) => matches!(self.endpoint.auth.viewer(authorization).await, Err(AuthError::Token)),
            None => false,
        }
    }

    async fn reject(&self, id: &str, answer: Answer) -> Result<(), Closing> {
        match answer {
            Answer::Rejected(errors) => self.say(protocol::error(id, &errors)).await,
            Answer::Executed(body) => self.say(protocol::next(id, &body)).await,
        }
    }

    async fn begin(&mut self, id: String, payload: Value) -> Result<(), Closing> {
        let count = {
            let running = lock(&self.running);
            if running.contains_key(&id) {
                return Err(Closing::SubscriberExists(id));
            }
            running.len()
        };
        let most = self.endpoint.limits.operations_per_socket;
        if count >= most {
            let message = format!("at most {most} operations run on one socket");
            return self.reject(&id, Answer::rejected(coded("TOO_MANY_OPERATIONS", message))).await;
        }
        let request = match prepare(&self.endpoint, payload, &self.caller) {
            Ok(prepared) => prepared.request,
            Err(Refused::Parameters(message)) => return Err(Closing::BadMessage(message)),
            Err(Refused::Document(answer)) => return self.reject(&id, answer).await,
        };
        let ended = Ended::default();
        let (running, outgoing) = (Arc::clone(&self.running), self.outgoing.clone());
        let operation = Operation { id: id.clone(), ended: Arc::clone(&ended), running, outgoing };
        let responses = self.endpoint.schema.execute_stream(request);
        // The lock is held until the operation is registered, so that it can't end before it has begun.
        let mut running = lock(&self.running);
        let task = tokio::spawn(operation.run(responses));
        running.insert(id, (ended, task.abort_handle()));
        Ok(())
    }
}

/// An operation that runs.
struct Operation {
    id: String,
    ended: Ended,
    running: Running,
    outgoing: mpsc::Sender<Out>,
}

impl Operation {
    async fn run(self, responses: impl futures_util::Stream<Item = Response>) {
        let mut responses = std::pin::pin!(responses);
        let mut first = true;
        while let Some(response) = responses.next().await {
            // An event stream that could not be made is an operation that was not executed.
            let no_stream = matches!(response.data, async_graphql::Value::Null) && !response.errors.is_empty();
            let body = match if first && no_stream { Answer::unexecuted(response) } else { Answer::of(response) } {
                Answer::Rejected(errors) => return self.fail(&errors).await,
                Answer::Executed(body) => body,
            };
            first = false;
            let text = protocol::next(&self.id, &body);
            let out = Out::Of { ended: Arc::clone(&self.ended), text };
            if self.outgoing.send(out).await.is_err() {
                return;
            }
        }
        let text = protocol::complete(&self.id);
        self.last(text).await;
    }

    async fn fail(self, errors: &str) {
        let text = protocol::error(&self.id, errors);
        self.last(text).await;
    }

    /// The last message. The id is free before the client can read it, so that the client may use it again at once.
    async fn last(self, text: String) {
        let Ok(place) = self.outgoing.reserve().await else { return };
        let mut running = lock(&self.running);
        // Otherwise the client has ended it just now, and may have begun another one under this id.
        if running.get(&self.id).is_some_and(|(ended, _)| Arc::ptr_eq(ended, &self.ended)) {
            running.remove(&self.id);
            place.send(Out::Of { ended: self.ended, text });
        }
    }
}
