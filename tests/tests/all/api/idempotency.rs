//! A command with an id counts once, however often and however much at once it is sent.

use futures_util::future::join_all;
use serde_json::{Value, json};
use tests::Command;
use uuid::Uuid;

use super::{BAD_INPUT, World, column, history, initiate, segment};

#[tokio::test]
async fn a_repeated_command_changes_nothing_and_is_answered_alike() {
    let world = World::new().await;
    let boss = &world.supervisor;
    let (call, agent) = (Uuid::now_v7(), Uuid::now_v7());
    let with_id = |mut input: Value| {
        input["commandId"] = json!(Uuid::now_v7());
        input
    };
    // Each is refused by what it has done itself, but for its id.
    let commands = [
        ("initiateCall", with_id(initiate(call))),
        ("queueCall", with_id(json!({ "callId": call, "queue": "sales" }))),
        ("offerCall", with_id(json!({ "callId": call, "agentId": world.ann.agent_id }))),
        ("answerCall", with_id(json!({ "callId": call, "agentId": world.ann.agent_id }))),
        ("holdCall", with_id(json!({ "callId": call }))),
        ("startConsult", with_id(json!({ "callId": call, "agentId": world.bob.agent_id }))),
        ("answerCall", with_id(json!({ "callId": call, "agentId": world.bob.agent_id }))),
        ("transferConsult", with_id(json!({ "callId": call }))),
        ("startRecording", with_id(json!({ "callId": call }))),
        ("addTranscriptSegment", with_id(segment(call, 0, "hello"))),
        ("endCall", with_id(json!({ "callId": call, "by": "AGENT", "reason": "COMPLETED" }))),
        ("completeWrapUp", with_id(json!({ "callId": call, "leg": 1, "disposition": "done" }))),
        ("registerAgent", with_id(json!({ "agentId": agent, "name": "New" }))),
        ("signInAgent", with_id(json!({ "agentId": agent }))),
    ];
    let mut first = Vec::new();
    for (command, input) in &commands {
        let Command::Accepted { version, position, already_applied: false } =
            boss.command(command, input.clone()).await
        else {
            panic!("{command} was not applied");
        };
        first.push((version, position));
        let again = boss.command(command, input.clone()).await;
        assert_eq!(again, Command::Accepted { version, position, already_applied: true }, "{command}");
    }
    let events = history(boss, call).await;
    // Long after, when the state has moved on.
    for ((command, input), (version, position)) in commands.iter().zip(first) {
        let again = boss.command(command, input.clone()).await;
        assert_eq!(again, Command::Accepted { version, position, already_applied: true }, "{command}");
    }
    let but_scores = |events: &[Value]| {
        column(events, "/eventId")
            .into_iter()
            .zip(column(events, "/category"))
            .filter(|e| e.1 != "sentiment")
            .collect::<Vec<_>>()
    };
    assert_eq!(but_scores(&history(boss, call).await), but_scores(&events));
    let causes = column(&events, "/causationId");
    for (command, input) in commands.iter().take(11) {
        assert!(causes.contains(&input["commandId"]), "{command} is not named by its events");
    }
    world.end().await;
}

#[tokio::test]
async fn twenty_at_once_are_one() {
    let world = World::new().await;
    let (boss, call) = (&world.supervisor, Uuid::now_v7());
    for (command, mut input) in [
        ("initiateCall", initiate(call)),
        ("queueCall", json!({ "callId": call, "queue": "sales" })),
        ("addTranscriptSegment", segment(call, 0, "once")),
        ("registerAgent", json!({ "agentId": Uuid::now_v7(), "name": "Once" })),
    ] {
        input["commandId"] = json!(Uuid::now_v7());
        let answers = join_all((0..20).map(|_| boss.command(command, input.clone()))).await;
        let mut places = Vec::new();
        let mut firsts = 0;
        for answer in answers {
            let Command::Accepted { version, position, already_applied } = answer else {
                panic!("{command}: {answer:?}");
            };
            places.push((version, position));
            firsts += usize::from(!already_applied);
        }
        places.dedup();
        assert_eq!((places.len(), firsts), (1, 1), "{command}: {places:?}");
    }
    let types = column(&history(boss, call).await, "/type");
    for once in ["call.initiated", "call.queued", "transcript.segment_added"] {
        assert_eq!(types.iter().filter(|ty| **ty == once).count(), 1, "{types:?}");
    }
    world.end().await;
}

#[tokio::test]
async fn an_id_belongs_to_one_call() {
    let world = World::new().await;
    let (boss, one, two) = (&world.supervisor, world.call().await, world.call().await);
    let command_id = Uuid::now_v7();
    let queue = |call: Uuid| json!({ "callId": call, "queue": "sales", "commandId": command_id });
    boss.accepted("queueCall", queue(one)).await;
    let reused = boss.command_refused("queueCall", queue(two)).await;
    assert_eq!(reused.words(), (BAD_INPUT, "COMMAND_ID_REUSED"));
    // Also where the state would have refused it anyway.
    let hold = json!({ "callId": two, "commandId": command_id });
    assert_eq!(boss.command_refused("holdCall", hold).await.words(), (BAD_INPUT, "COMMAND_ID_REUSED"));
    assert_eq!(history(boss, two).await.len(), 1);
    // A refused command has used up nothing.
    let refused = json!({ "callId": two, "commandId": Uuid::now_v7() });
    assert_eq!(boss.command("abandonCall", refused.clone()).await, Command::Refused("NOT_WAITING".into()));
    boss.accepted("queueCall", json!({ "callId": two, "queue": "sales" })).await;
    boss.accepted("abandonCall", refused).await;
    world.end().await;
}

#[tokio::test]
async fn of_rivals_with_one_expected_version_one_wins() {
    let world = World::new().await;
    let (boss, call) = (&world.supervisor, world.call().await);
    for version in 1..=5 {
        let rivals = (0..10).map(|n| {
            let input = json!({ "callId": call, "queue": format!("queue {version} {n}"), "expectedVersion": version });
            boss.command("queueCall", input)
        });
        let answers = join_all(rivals).await;
        let won = answers.iter().filter(|a| matches!(a, Command::Accepted { already_applied: false, .. })).count();
        let told = answers.iter().filter(|a| **a == Command::Refused("VERSION_CONFLICT".into())).count();
        assert_eq!((won, told), (1, 9), "{answers:?}");
    }
    assert_eq!(history(boss, call).await.len(), 6);
    world.end().await;
}
