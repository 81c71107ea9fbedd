//! One socket: who speaks to whom.
//!
//! ```text
//! client ──▶ reader ──▶ one task an operation, until it rides along with its equals ──▶ outbox ──▶ writer ──▶ client
//! ```
//!
//! A client that does not read
//! stops the writer, and by the bounds of the outbox its operations; nobody else notices. The reader closes the socket: it
//! ends the operations and has the writer say the reason. A writer that can't write ends, and the reader with it.

use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, WebSocket};
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt, poll};
use serde_json::Value;
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until, timeout};

use super::Endpoint;
use super::operation::{Answer, Caller, Refused, prepare};
use super::protocol::{self, Closing, FromClient, SUBPROTOCOL};
use super::running;
use super::seats::Seat;
use crate::auth::AuthError;
use crate::error::coded;
use crate::fanout::{BeginError, Control, Ending, Out, Outbox};

/// How long what was taken to be written at once may take.
const WRITE_WITHIN: Duration = Duration::from_secs(30);
/// How long a client is waited for that is told why its socket closes.
const CLOSE_WITHIN: Duration = Duration::from_secs(5);
/// What is taken to be written at once, in bytes.
const WRITE_BYTES: usize = 64 * 1024;

struct Session {
    endpoint: Endpoint,
    authorization: Option<String>,
    caller: Caller,
    acknowledged: bool,
    /// Held while the socket counts among those of its viewer.
    seat: Option<Seat>,
    outbox: Arc<Outbox>,
}

impl Drop for Session {
    fn drop(&mut self) {
        self.outbox.close();
    }
}

/// Serves a socket until one side closes it.
pub(super) async fn serve(socket: WebSocket, endpoint: Endpoint, authorization: Option<String>, caller: Caller) {
    let agreed = socket.protocol().is_some_and(|protocol| protocol.as_bytes() == SUBPROTOCOL.as_bytes());
    let (sink, incoming) = socket.split();
    let outbox = Outbox::new(endpoint.limits.queue_bytes);
    let mut session =
        Session { endpoint, authorization, caller, acknowledged: false, seat: None, outbox: Arc::clone(&outbox) };
    let mut writer = Writer(tokio::spawn(write(sink, Arc::clone(&outbox))));
    let closing = if agreed {
        tokio::select! {
            closing = session.read(incoming) => closing,
            _ = &mut writer.0 => None,
        }
    } else {
        Some(Closing::SubprotocolNotAcceptable)
    };
    drop(session);
    if let Some(closing) = closing {
        let (code, reason) = closing.words();
        let closed = async {
            outbox.say(Control::Close(code, reason)).await;
            drop((&mut writer.0).await);
        };
        drop(timeout(CLOSE_WITHIN, closed).await);
    }
}

/// The task that writes; ends with the socket.
struct Writer(JoinHandle<()>);

impl Drop for Writer {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Writes until it can't, or nothing follows. A task of its own: what there is to write wakes it alone, and not all that
/// the reader waits for.
async fn write(mut sink: SplitSink<WebSocket, Message>, outbox: Arc<Outbox>) {
    loop {
        let taken = outbox.take(WRITE_BYTES).await;
        let last = taken.iter().any(|out| matches!(out, Out::Control(Control::Close(..))));
        let written = async {
            for out in taken {
                sink.feed(message(out)).await?;
            }
            sink.flush().await
        };
        let mut written = pin!(written);
        // Most clients take everything at once: only where one does not, there is something to time.
        let written = match poll!(&mut written) {
            Poll::Ready(written) => Ok(written),
            Poll::Pending => timeout(WRITE_WITHIN, written).await,
        };
        match written {
            Ok(Ok(())) if !last => {}
            Ok(_) => return,
            Err(_) => {
                tracing::info!("a client that takes nothing is cut off; it may come back with its cursor");
                return;
            }
        }
    }
}

fn message(out: Out) -> Message {
    let text = match out {
        Out::Control(Control::Ping) => return Message::Ping(Vec::new().into()),
        Out::Control(Control::Close(code, reason)) => {
            return Message::Close(Some(CloseFrame { code, reason: reason.into() }));
        }
        Out::Control(Control::Text(text)) => text,
        Out::Next(id, frame) => protocol::next(&id, &frame.body),
        Out::Last(id, Ending::Complete) => protocol::complete(&id),
        Out::Last(id, Ending::Errors(errors)) => protocol::error(&id, &errors),
        Out::Last(id, Ending::TooSlow) => protocol::error(&id, &running::too_slow().into_errors()),
    };
    Message::Text(text.into())
}

impl Session {
    /// Reads until the socket is to be closed, and says why; `None`: it is closed already.
    async fn read(&mut self, mut incoming: SplitStream<WebSocket>) -> Option<Closing> {
        let init_until = Instant::now() + self.endpoint.limits.init_within;
        let mut pings = interval(self.endpoint.limits.heartbeat_every);
        let mut rechecks = interval(self.endpoint.limits.recheck_every);
        for ticks in [&mut pings, &mut rechecks] {
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            ticks.reset();
        }
        // Two pings and a half without an answer.
        let silence_max = self.endpoint.limits.heartbeat_every * 5 / 2;
        let shutdown = self.endpoint.shutdown.clone();
        let mut heard = Instant::now();
        loop {
            let message = tokio::select! {
                message = incoming.next() => message,
                () = sleep_until(init_until), if !self.acknowledged => return Some(Closing::InitTimeout),
                _ = pings.tick() => {
                    if heard.elapsed() > silence_max {
                        return None;
                    }
                    // Where there is no room the client is being written to, which shows as well whether it lives.
                    self.outbox.try_say(Control::Ping);
                    continue;
                }
                _ = rechecks.tick(), if self.caller.viewer.is_some() => {
                    if Box::pin(self.is_revoked()).await {
                        return Some(Closing::Forbidden);
                    }
                    continue;
                }
                () = shutdown.cancelled() => {
                    // What was asked for is answered first; nothing new is taken.
                    tokio::select! {
                        () = self.outbox.settled() => {}
                        () = self.endpoint.long_out_of_time() => {}
                    }
                    return Some(Closing::ServiceRestart);
                }
            };
            heard = Instant::now();
            let handled = match message {
                Some(Ok(Message::Text(text))) if text.len() > self.endpoint.limits.message_bytes => {
                    Err(Closing::MessageTooBig)
                }
                Some(Ok(Message::Text(text))) => match FromClient::parse(&text) {
                    // Boxed, because a socket that waits should not keep room for what it does when it is spoken to.
                    Ok(message) => Box::pin(self.handle(message)).await,
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
                let viewer = self.caller.viewer.as_ref().map(|viewer| viewer.user.id);
                let seat = self.endpoint.seats.take(viewer, self.endpoint.limits.sockets_per_viewer);
                self.seat = Some(seat.ok_or(Closing::TooManySockets)?);
                self.acknowledged = true;
                self.say(protocol::ack()).await
            }
            FromClient::Ping(payload) => self.say(protocol::pong(payload)).await,
            FromClient::Pong => Ok(()),
            FromClient::Subscribe { .. } if !self.acknowledged => Err(Closing::Unauthorized),
            FromClient::Subscribe { id, payload } => self.begin(&id, payload).await,
            FromClient::Complete(id) => {
                self.outbox.end(&id);
                Ok(())
            }
        }
    }

    async fn say(&self, text: String) -> Result<(), Closing> {
        self.outbox.say(Control::Text(text)).await;
        Ok(())
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

    async fn begin(&mut self, id: &str, payload: Value) -> Result<(), Closing> {
        let most = self.endpoint.limits.operations_per_socket;
        let lane = match self.outbox.begin(id, most) {
            Ok(lane) => lane,
            Err(BeginError::InUse) => return Err(Closing::SubscriberExists(id.to_owned())),
            Err(BeginError::TooMany) => {
                let message = format!("at most {most} operations run on one socket");
                let errors = Answer::rejected(coded("TOO_MANY_OPERATIONS", message)).into_errors();
                return self.say(protocol::error(id, &errors)).await;
            }
        };
        match prepare(&self.endpoint, payload, &self.caller) {
            Ok(prepared) => running::run(&self.endpoint, prepared, self.caller.viewer.as_ref(), &lane),
            Err(Refused::Parameters(message)) => return Err(Closing::BadMessage(message)),
            Err(Refused::Document(answer)) => lane.finish(Ending::Errors(answer.into_errors())),
        }
        Ok(())
    }
}
