//! What writers ask for: calls of their own, what is said in them, and a call and an agent that all contend for.

use std::sync::{Arc, Mutex, PoisonError};

use rand::RngExt;
use rand::rngs::StdRng;
use serde_json::{Value, json};
use uuid::Uuid;

/// What is said about a contended call before the writers move on to another one: each command reads the whole stream.
const SEGMENTS_MAX: i64 = 300;

/// A character of four bytes: the length of a text is bounded in characters.
const FOUR_BYTES: &str = "\u{1D11E}";

/// What all writers know.
pub(super) struct Shared {
    /// The first call in which everybody speaks at once.
    pub(super) first_call: Uuid,
    agent: Uuid,
    contended: Mutex<Contended>,
}

/// The call in which everybody speaks at once.
struct Contended {
    call: Uuid,
    /// Version of its transcript, as far as anybody knows.
    known: i64,
    /// The next such call, while it is being made.
    next: Option<Uuid>,
}

/// A command, as it goes over the wire and as it must come out in the log.
pub(super) struct Order {
    pub(super) command: Uuid,
    pub(super) stream: Uuid,
    pub(super) category: &'static str,
    pub(super) expected: Option<i64>,
    /// Members of the payload of its event.
    pub(super) content: Value,
    /// The mutation.
    pub(super) name: &'static str,
    pub(super) input: Value,
}

impl Shared {
    pub(super) fn new() -> Self {
        let call = Uuid::now_v7();
        let contended = Mutex::new(Contended { call, known: 0, next: None });
        Self { first_call: call, agent: Uuid::now_v7(), contended }
    }

    /// What has to be there before anybody begins.
    pub(super) fn preparation(&self) -> Vec<Order> {
        vec![initiate(self.first_call, "+12025550100"), register(self.agent)]
    }

    /// A writer has learned that a stream is at a version.
    pub(super) fn learned(&self, order: &Order, version: i64) {
        let mut contended = self.contended.lock().unwrap_or_else(PoisonError::into_inner);
        if order.stream == contended.call && order.category == "transcript" {
            contended.known = contended.known.max(version);
        } else if contended.next == Some(order.stream) {
            *contended = Contended { call: order.stream, known: 0, next: None };
        }
    }

    /// The call in which everybody speaks now.
    pub(super) fn current_call(&self) -> Uuid {
        self.contended.lock().unwrap_or_else(PoisonError::into_inner).call
    }

    /// The contended call and the version of its transcript; or a new one is to be made, by whoever asks first.
    fn contended(&self) -> Result<(Uuid, i64), Uuid> {
        let mut contended = self.contended.lock().unwrap_or_else(PoisonError::into_inner);
        if contended.known >= SEGMENTS_MAX && contended.next.is_none() {
            let next = Uuid::now_v7();
            contended.next = Some(next);
            return Err(next);
        }
        Ok((contended.call, contended.known))
    }
}

/// One writer's orders.
pub(super) struct Orders {
    shared: Arc<Shared>,
    /// The call that this writer is about.
    own: Option<Uuid>,
    said: u64,
}

impl Orders {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared, own: None, said: 0 }
    }

    /// The next one.
    pub(super) fn next(&mut self, luck: &mut StdRng) -> Order {
        self.said += 1;
        let Some(own) = self.own.filter(|_| luck.random_range(0..100) < 85) else {
            let (call, from) = (Uuid::now_v7(), format!("+120255501{:02}", luck.random_range(0..100)));
            self.own = Some(call);
            return initiate(call, &from);
        };
        let (call, known) = match self.shared.contended() {
            Ok(contended) => contended,
            Err(next) => return initiate(next, "+12025550100"),
        };
        match luck.random_range(0..100) {
            0..45 => say(own, None, self.said),
            // What is known may be old: then the command conflicts, as it must.
            45..80 => say(call, Some(known), self.said),
            80..90 => say(call, None, self.said),
            _ => assign(self.shared.agent),
        }
    }
}

/// A call that is put into a queue.
pub(super) fn conversation(call: Uuid) -> Vec<Order> {
    let queue = json!({ "callId": call, "queue": "sales" });
    vec![
        initiate(call, "+12025550101"),
        order("queueCall", "call", call, json!({ "queue": "sales" }), &queue),
        say(call, None, 1),
    ]
}

/// Something said in a call, longer by so much.
pub(super) fn remark(call: Uuid, padding_bytes: usize) -> Order {
    say_more(call, None, 1, &FOUR_BYTES.repeat(padding_bytes / FOUR_BYTES.len()))
}

fn order(name: &'static str, category: &'static str, stream: Uuid, content: Value, input: &Value) -> Order {
    let command = Uuid::now_v7();
    let mut input = input.clone();
    input["commandId"] = json!(command);
    Order { command, stream, category, expected: None, content, name, input }
}

fn initiate(call: Uuid, from: &str) -> Order {
    let to = "+12025550199";
    let input = json!({ "callId": call, "direction": "INBOUND", "from": from, "to": to });
    order("initiateCall", "call", call, json!({ "direction": "inbound", "from": from, "to": to }), &input)
}

fn register(agent: Uuid) -> Order {
    let input = json!({ "agentId": agent, "name": "Faults", "capacity": 3 });
    order("registerAgent", "agent", agent, json!({ "name": "Faults", "capacity": 3 }), &input)
}

/// A team nobody was in before, so that no rule forbids it.
fn assign(agent: Uuid) -> Order {
    let team = Uuid::now_v7().simple().to_string();
    order("assignTeam", "agent", agent, json!({ "team": team }), &json!({ "agentId": agent, "team": team }))
}

fn say(call: Uuid, expected: Option<i64>, number: u64) -> Order {
    say_more(call, expected, number, "")
}

fn say_more(call: Uuid, expected: Option<i64>, number: u64, more: &str) -> Order {
    let text = format!("This is great, I say for the {number}. time: {}{more}", Uuid::now_v7());
    let mut input = json!({
        "callId": call, "speaker": "CUSTOMER", "beginMs": number, "endMs": number + 1, "text": text, "model": "faults",
    });
    if let Some(expected) = expected {
        input["expectedVersion"] = json!(expected);
    }
    let said = order("addTranscriptSegment", "transcript", call, json!({ "text": text }), &input);
    Order { expected, ..said }
}
