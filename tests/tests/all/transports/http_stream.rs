//! Answers over HTTP that go on: events and parts, read as they come.

use std::time::Duration;

use reqwest::header::HeaderMap;
use reqwest::{RequestBuilder, Response, StatusCode};
use serde_json::Value;
use tests::graphql::ANSWER_WITHIN;
use tokio::time::timeout;

/// Longer than any stream of a test.
const STREAM_WITHIN: Duration = Duration::from_secs(120);

/// An answer as it comes.
pub(super) struct Streamed {
    response: Response,
    read: String,
    ended: bool,
}

/// An event of an event stream (https://html.spec.whatwg.org/multipage/server-sent-events.html).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Event {
    pub(super) name: String,
    pub(super) data: String,
    pub(super) id: Option<String>,
    pub(super) retry: Option<u64>,
    /// Lines that mean nothing, such as signs of life.
    pub(super) comments: usize,
    /// Whether there was a `data` line at all.
    pub(super) has_data: bool,
}

impl Event {
    fn parse(lines: &str) -> Self {
        let (mut event, mut data) = (Self::default(), Vec::new());
        for line in lines.lines() {
            let (field, value) = line.split_once(':').unwrap_or((line, ""));
            let value = value.strip_prefix(' ').unwrap_or(value);
            match field {
                "" => event.comments += 1,
                "event" => value.clone_into(&mut event.name),
                "id" => event.id = Some(value.to_owned()),
                "retry" => event.retry = Some(value.parse().unwrap()),
                "data" => data.push(value),
                other => panic!("no field of an event stream: {other:?}"),
            }
        }
        event.has_data = !data.is_empty();
        event.data = data.join("\n");
        event
    }

    /// The data, which is JSON.
    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.data).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

impl Streamed {
    /// Sends a request, whose answer may go on.
    pub(super) async fn of(request: RequestBuilder) -> Self {
        let sending = request.timeout(STREAM_WITHIN).send();
        let response = timeout(ANSWER_WITHIN, sending).await.expect("no answer in time").expect("an answer");
        Self { response, read: String::new(), ended: false }
    }

    pub(super) fn status(&self) -> StatusCode {
        self.response.status()
    }

    pub(super) fn headers(&self) -> &HeaderMap {
        self.response.headers()
    }

    pub(super) fn header(&self, name: &str) -> &str {
        self.headers().get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The whole of an answer that does not go on.
    pub(super) async fn whole(mut self) -> Value {
        while self.more().await {}
        serde_json::from_str(&self.read).unwrap_or_else(|error| panic!("{error}: {}", self.read))
    }

    /// Everything up to a mark, which is left out; `None`: the answer ended in order, with nothing left to read.
    pub(super) async fn upto(&mut self, mark: &str) -> Option<String> {
        loop {
            if let Some((before, after)) = self.read.split_once(mark) {
                let (before, after) = (before.to_owned(), after.to_owned());
                self.read = after;
                return Some(before);
            }
            if !self.more().await {
                assert_eq!(self.read, "", "it ended in the middle");
                return None;
            }
        }
    }

    /// What was read and not taken yet.
    pub(super) fn rest(&self) -> &str {
        &self.read
    }

    /// Reads on; false at the end.
    async fn more(&mut self) -> bool {
        if self.ended {
            return false;
        }
        let chunk = timeout(ANSWER_WITHIN, self.response.chunk()).await.expect("nothing came in time");
        match chunk.expect("the answer was cut") {
            Some(bytes) => self.read.push_str(std::str::from_utf8(&bytes).unwrap()),
            None => self.ended = true,
        }
        !self.ended
    }

    /// What stands between two empty lines: an event, a hint, or comments only.
    pub(super) async fn block(&mut self) -> Option<Event> {
        Some(Event::parse(&self.upto("\n\n").await?))
    }

    /// The next event with data; `None`: the stream has ended.
    pub(super) async fn event(&mut self) -> Option<Event> {
        loop {
            let event = self.block().await?;
            if event.has_data {
                return Some(event);
            }
        }
    }
}
