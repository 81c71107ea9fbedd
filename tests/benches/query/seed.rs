//! Calls as they come about: every event of theirs is what a command has brought forth.

use std::sync::Arc;

use futures_util::{StreamExt, stream};
use serde_json::{Value, json};
use tests::Client;
use uuid::Uuid;

use crate::support::floor::Floor;

/// Segments of each call's transcript.
pub const SEGMENTS: usize = 10;
/// Agents, each with one call at a time.
const AGENTS: usize = 16;
const WORDS: [&str; 5] = [
    "i would like to know why my card was refused at the shop yesterday although there was money on it",
    "let me look that up for you, may i have the last four digits of the card please",
    "it is four two four two, and i have tried it twice since then without any luck",
    "i see it here, the card was blocked after three wrong numbers, i have unblocked it just now",
    "thank you very much, that was quick, have a nice day",
];

/// Lets agents have these many calls between them, and waits until all read models show everything.
pub async fn seed(floor: &Arc<Floor>, calls: usize) {
    let agents = stream::iter(0..AGENTS).map(|agent| {
        let share = calls / AGENTS + usize::from(agent < calls % AGENTS);
        work(&floor.supervisor, agent, share)
    });
    let position = agents.buffer_unordered(AGENTS).collect::<Vec<i64>>().await.into_iter().max().unwrap();
    settled(&floor.supervisor, position).await;
}

/// One agent's calls, one after another. The position of the last event.
async fn work(supervisor: &Client, agent: usize, calls: usize) -> i64 {
    let agent_id = Uuid::now_v7();
    let team = ["red", "blue"][agent % 2];
    let new = json!({ "agentId": agent_id, "name": format!("Agent {agent}"), "team": team });
    let mut position = supervisor.accepted("registerAgent", new).await;
    supervisor.accepted("signInAgent", json!({ "agentId": agent_id })).await;
    for _ in 0..calls {
        let call_id = Uuid::now_v7();
        let commands: [(&str, Value); 4] = [
            (
                "initiateCall",
                json!({ "direction": "INBOUND", "from": "+14155552671", "to": "+14155550100",
                                     "customerName": "Grace Hopper", "language": "en-US" }),
            ),
            ("queueCall", json!({ "queue": "sales" })),
            ("offerCall", json!({ "agentId": agent_id })),
            ("answerCall", json!({ "agentId": agent_id })),
        ];
        for (name, input) in commands {
            supervisor.accepted(name, of(call_id, input)).await;
        }
        for segment in 0..SEGMENTS {
            let (speaker, begin_ms) = (["CUSTOMER", "AGENT"][segment % 2], segment * 4_000);
            let said = json!({ "speaker": speaker, "beginMs": begin_ms, "endMs": begin_ms + 3_500, "confidence": 0.93,
                               "text": WORDS[segment % WORDS.len()], "model": "nova-3" });
            supervisor.accepted("addTranscriptSegment", of(call_id, said)).await;
        }
        supervisor.accepted("endCall", of(call_id, json!({ "by": "CUSTOMER" }))).await;
        let done = of(call_id, json!({ "disposition": "resolved" }));
        position = supervisor.accepted("completeWrapUp", done).await;
    }
    position
}

fn of(call_id: Uuid, mut input: Value) -> Value {
    input["callId"] = json!(call_id);
    input
}

/// Waits until calls and transcripts show a position, and until the mood of every customer's segment was scored too.
async fn settled(supervisor: &Client, position: i64) {
    let document = "query ($at: Position!) { calls(first: 100, atLeast: $at) { nodes { sentiment { segment } } }
                      dashboard(atLeast: $at) { day } }";
    loop {
        let data = supervisor.query(document, json!({ "at": position })).await;
        let ended = data["calls"]["nodes"].as_array().unwrap();
        if ended.iter().all(|call| call["sentiment"].as_array().unwrap().len() >= SEGMENTS / 2) {
            return;
        }
    }
}
