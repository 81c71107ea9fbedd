//! A client as it should be: one id a command, sent again to the next node until there is an answer.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use domain::Position;
use serde_json::{Value, json};

use super::Counts;
use super::orders::{Order, Shared};
use crate::history::{Answer, Entry, Journal};

/// How long one try may take.
const ANSWER_WITHIN: Duration = Duration::from_secs(8);
/// How long connecting may take.
const CONNECT_WITHIN: Duration = Duration::from_secs(2);
/// Pause before the next try, where the server names none.
const RETRY_PAUSE: Duration = Duration::from_millis(100);
/// Longest pause that a server may ask for.
const RETRY_PAUSE_MAX: Duration = Duration::from_secs(2);

/// Gives commands until they are answered.
pub(super) struct Insistent {
    http: reqwest::Client,
    doors: Vec<SocketAddr>,
    /// The one that answered last.
    door: AtomicUsize,
    token: String,
    counts: Arc<Counts>,
}

enum Try {
    Answered(Answer),
    /// No answer; worth another try after a pause.
    Again(String, Duration),
}

impl Insistent {
    pub(super) fn new(doors: &[SocketAddr], token: &str, number: usize, counts: Arc<Counts>) -> Self {
        let http = reqwest::Client::builder().timeout(ANSWER_WITHIN).connect_timeout(CONNECT_WITHIN);
        let http = http.build().expect("an HTTP client");
        let (doors, door) = (doors.to_vec(), AtomicUsize::new(number));
        Self { http, doors, door, token: token.to_owned(), counts }
    }

    /// The next try goes to the next node.
    pub(super) fn next_door(&self) {
        self.door.fetch_add(1, Ordering::Relaxed);
    }

    /// Gives a command until it is answered. The position of what it has appended.
    ///
    /// # Panics
    /// The answer is one that no fault explains, such as bad input.
    pub(super) async fn insist(&self, order: &Order, journal: &Journal, shared: &Shared) -> Option<Position> {
        loop {
            let (answer, pause) = match self.try_once(order, shared).await {
                Try::Answered(answer) => (answer, None),
                Try::Again(why, pause) => (Answer::Unknown { why }, Some(pause)),
            };
            let mut appended = None;
            if let Answer::Acknowledged { version, already_applied, position } = answer {
                shared.learned(order, version);
                self.counts.repeated.fetch_add(u64::from(already_applied), Ordering::Relaxed);
                appended = Some(position);
            }
            journal.note(Entry::Answered { command: order.command, answer });
            let Some(pause) = pause else { return appended };
            self.counts.unanswered.fetch_add(1, Ordering::Relaxed);
            self.next_door();
            tokio::time::sleep(pause).await;
        }
    }

    async fn try_once(&self, order: &Order, shared: &Shared) -> Try {
        let door = self.doors[self.door.load(Ordering::Relaxed) % self.doors.len()];
        let input_type = format!("{}{}Input", order.name[..1].to_uppercase(), &order.name[1..]);
        let document = format!(
            "mutation ($input: {input_type}!) {{ {}(input: $input) {{ __typename
             ... on CommandAccepted {{ version position alreadyApplied }} ... on CommandRefused {{ rule message }} }} }}",
            order.name
        );
        let body = json!({ "query": document, "variables": { "input": order.input } });
        let request = self.http.post(format!("http://{door}/graphql")).bearer_auth(&self.token).json(&body);
        let answer: Result<Value, reqwest::Error> = match request.send().await {
            Ok(response) => response.json().await,
            Err(error) => Err(error),
        };
        match answer {
            Ok(answer) => read(order, &answer, shared),
            Err(error) => Try::Again(error.to_string(), RETRY_PAUSE),
        }
    }
}

fn read(order: &Order, answer: &Value, shared: &Shared) -> Try {
    let result = &answer["data"][order.name];
    if let (Some(version), Some(position)) = (result["version"].as_i64(), result["position"].as_i64()) {
        let already_applied = result["alreadyApplied"].as_bool() == Some(true);
        return Try::Answered(Answer::Acknowledged { version, position, already_applied });
    }
    match result["rule"].as_str() {
        Some("VERSION_CONFLICT") => {
            let message = result["message"].as_str().unwrap_or_default();
            let actual = message.split(|c: char| !c.is_ascii_digit()).find_map(|word| word.parse().ok());
            shared.learned(order, actual.unwrap_or(0));
            return Try::Answered(Answer::Conflict);
        }
        Some(rule) => return Try::Answered(Answer::Refused { rule: rule.to_owned() }),
        None => {}
    }
    let extensions = &answer["errors"][0]["extensions"];
    let code = extensions["code"].as_str().unwrap_or("none");
    let passing = ["UNAVAILABLE", "INTERNAL_SERVER_ERROR", "CONFLICT", "RATE_LIMITED"].contains(&code);
    assert!(passing, "{}: {answer}", order.name);
    let pause = extensions["retryAfterMs"].as_u64().map_or(RETRY_PAUSE, Duration::from_millis);
    Try::Again(format!("{code} {}", extensions["reason"]), pause.min(RETRY_PAUSE_MAX))
}
