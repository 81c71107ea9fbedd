//! What every client is put through: its line is cut and its token revoked while events go on being appended, and in the
//! end it holds every event once and in order.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use tests::Script;
use tokio::task::JoinHandle;

use super::World;

/// Events that a client must see between two interruptions.
const SEEN_BETWEEN: usize = 5;
/// Times the line is cut.
const CUTS: usize = 3;
/// Most events that are appended in the background.
const APPENDED_MAX: usize = 20_000;
const END_WITHIN: Duration = Duration::from_secs(20);

/// What a client may be expected to have done.
pub(super) struct Expected {
    /// Sign-ins: one at first and one after the revocation, for each place that keeps a token.
    pub(super) sign_ins: u64,
    /// What the client says when it is sent away for its token.
    pub(super) sent_away: Value,
}

/// Positions of events that others append while the client is being interrupted.
struct Appending {
    stop: Arc<AtomicBool>,
    positions: JoinHandle<Vec<i64>>,
}

impl Appending {
    fn start(world: &World) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (client, call_id, stopped) = (world.other.clone(), world.call_id, Arc::clone(&stop));
        let positions = tokio::spawn(async move {
            let mut positions = Vec::new();
            while !stopped.load(Ordering::Relaxed) && positions.len() < APPENDED_MAX {
                let begin = positions.len() * 1_000;
                let input = json!({ "callId": call_id, "speaker": "CUSTOMER", "beginMs": begin, "endMs": begin + 500,
                    "text": "and another thing", "model": "m" });
                positions.push(client.accepted("addTranscriptSegment", input).await);
            }
            positions
        });
        Self { stop, positions }
    }

    async fn end(self) -> Vec<i64> {
        self.stop.store(true, Ordering::Relaxed);
        self.positions.await.unwrap()
    }
}

fn events(lines: &[Value]) -> usize {
    lines.iter().filter(|line| line.get("event").is_some()).count()
}

/// Waits until the client has seen some events more than now.
async fn sees_more(script: &Script, what: &str) {
    let wanted = script.said("event").len() + SEEN_BETWEEN;
    script.wait_for(what, |lines| (events(lines) >= wanted).then_some(())).await;
}

/// The two answers to a command that was sent twice.
async fn commanded(script: &Script, times: usize) -> i64 {
    let answered = |lines: &[Value]| lines.iter().filter(|line| line.get("command").is_some()).count();
    script.wait_for("the answers to a command", |lines| (answered(lines) == 2 * times).then_some(())).await;
    let answers = script.said("command");
    let [first, again] = &answers[2 * times - 2..] else { unreachable!() };
    assert_eq!(first["__typename"], "CommandAccepted");
    assert_eq!((&first["alreadyApplied"], &again["alreadyApplied"]), (&json!(false), &json!(true)));
    assert_eq!((&first["commandId"], &first["position"]), (&again["commandId"], &again["position"]));
    first["position"].as_i64().unwrap()
}

/// Puts the client of a script through it.
pub(super) async fn comes_back(world: World, script: &str, expected: Expected) {
    let mut script = world.script(script);
    let began = commanded(&script, 1).await;
    sees(&script, began).await;

    let appending = Appending::start(&world);
    sees_more(&script, "events as they are appended").await;
    for _ in 0..CUTS {
        let carried = world.proxy.carried();
        world.proxy.cut();
        // What it still sees of the old line is over when it is on a new one.
        let is_back = |_: &[Value]| (world.proxy.carried() > carried).then_some(());
        script.wait_for("coming back after the line was cut", is_back).await;
        sees_more(&script, "events after the line was cut").await;
    }
    let connections = world.proxy.carried();
    world.revoke().await;
    let sent_away = |lines: &[Value]| lines.contains(&expected.sent_away).then_some(());
    script.wait_for("being sent away for the token", sent_away).await;
    sees_more(&script, "events after the token was revoked").await;
    script.tell("again");
    let added = commanded(&script, 2).await;
    let mut positions = appending.end().await;
    positions.extend([began, added]);
    positions.sort_unstable();
    sees(&script, positions[positions.len() - 1]).await;
    assert!(world.proxy.carried() > connections, "nobody came back after the token was revoked");

    script.tell("end");
    let said = script.succeeded(END_WITHIN).await;
    let values = |key: &str| said.iter().filter_map(|line| line.get(key)).collect::<Vec<_>>();
    let seen: Vec<i64> = values("event").iter().map(|event| event["position"].as_i64().unwrap()).collect();
    assert_eq!(seen, positions, "every event once and in order");
    let viewer = json!({ "userId": world.user.id, "role": "SUPERVISOR" });
    assert_eq!(values("viewer"), [&viewer, &viewer]);
    assert_eq!(values("summary")[0]["signIns"], expected.sign_ins);
    world.end().await;
}

/// Waits until the client has seen the event at a position.
async fn sees(script: &Script, position: i64) {
    let is_it = |line: &Value| line["event"]["position"] == json!(position);
    script.wait_for(&format!("position {position}"), |lines| lines.iter().any(is_it).then_some(())).await;
}
