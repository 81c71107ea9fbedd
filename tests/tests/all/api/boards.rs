//! Views that are pushed: what is so, then what has changed, and after a cut only that.

use serde_json::{Value, json};
use tests::Client;
use uuid::Uuid;

use super::{Worker, World, column};

const CALL: &str = "subscription ($id: UUID!, $after: String) { call(callId: $id, after: $after) {
    cursor call { state version position queue agentId legs { leg state } } } }";
const AGENTS: &str = "subscription ($team: String, $after: String) { agentBoard(team: $team, after: $after) {
    cursor snapshot agents { agentId name team presence activity version position contacts { callId state } } gone } }";
const QUEUES: &str = "subscription ($after: String) { queueBoard(after: $after) {
    cursor snapshot queues { name waiting oldestEnqueuedAt position calls { callId place } } } }";
const DASHBOARD: &str = "subscription ($queue: String, $after: String) { dashboard(queue: $queue, after: $after) {
    cursor dashboard { queue waiting inProgress offered answered abandoned handled agents { activity agents } } } }";

#[tokio::test]
async fn a_call_as_it_is_then_as_it_becomes() {
    let world = World::new().await;
    let (boss, call) = (&world.supervisor, world.call().await);
    let mut subscription = boss.subscribe(CALL, json!({ "id": call })).await;
    let first = subscription.next().await;
    assert_eq!((&first["call"]["call"]["state"], &first["call"]["call"]["version"]), (&json!("INITIATED"), &json!(1)));

    boss.accepted("queueCall", json!({ "callId": call, "queue": "sales" })).await;
    let queued = subscription.next().await;
    assert_eq!((&queued["call"]["call"]["state"], &queued["call"]["call"]["version"]), (&json!("WAITING"), &json!(2)));
    world.offer(call, &world.ann).await;
    world.ann.client.accepted("answerCall", json!({ "callId": call })).await;
    let position = world.ann.client.accepted("holdCall", json!({ "callId": call })).await;
    let seen = subscription.until(|data| data["call"]["call"]["position"] == json!(position)).await;
    // Latest state: some may have been shown as one, none twice, none backwards.
    let versions: Vec<i64> = column(&seen, "/call/call/version").iter().filter_map(Value::as_i64).collect();
    assert!(versions.is_sorted_by(|a, b| a < b) && versions[0] > 2, "{versions:?}");
    let held = seen.last().unwrap();
    assert_eq!(held["call"]["call"]["state"], "ON_HOLD");
    assert_eq!(held["call"]["call"]["legs"], json!([{ "leg": 1, "state": "ON_HOLD" }]));

    // From an old cursor the newest state at once; from the newest cursor nothing until the call changes.
    let from = |cursor: &Value| json!({ "id": call, "after": cursor });
    let caught_up = boss.subscribe(CALL, from(&first["call"]["cursor"])).await.next().await;
    assert_eq!(caught_up, *held);
    let mut resumed = boss.subscribe(CALL, from(&held["call"]["cursor"])).await;
    boss.accepted("queueCall", json!({ "callId": world.call().await, "queue": "sales" })).await;
    let position = world.ann.client.accepted("resumeCall", json!({ "callId": call })).await;
    let newer = resumed.next().await;
    assert_eq!(
        (&newer["call"]["call"]["state"], &newer["call"]["call"]["position"]),
        (&json!("CONNECTED"), &json!(position))
    );
    world.end().await;
}

fn agents(data: &Value) -> Vec<Value> {
    column(data["agentBoard"]["agents"].as_array().unwrap(), "/agentId")
}

async fn presence(worker: &Worker, presence: &str) -> i64 {
    worker.client.accepted("changePresence", json!({ "presence": presence })).await
}

/// A board's payloads until one of them is as new as a position.
async fn up_to(client: &Client, document: &str, variables: Value, field: &str, position: i64) -> Value {
    let mut subscription = client.subscribe(document, variables).await;
    let rows = |data: &Value| {
        let all = data[field]["agents"].as_array().or(data[field]["queues"].as_array()).cloned();
        all.unwrap_or_default().iter().any(|row| row["position"].as_i64() >= Some(position))
    };
    subscription.until(rows).await.pop().unwrap()
}

#[tokio::test]
async fn agents_who_work() {
    let world = World::new().await;
    let (boss, ann, bob) = (&world.supervisor, json!(world.ann.agent_id), json!(world.bob.agent_id));
    let position = presence(&world.bob, "IN_MEETING").await;
    let whole = up_to(boss, AGENTS, json!({}), "agentBoard", position).await;
    let mut board = boss.subscribe(AGENTS, json!({ "after": whole["agentBoard"]["cursor"] })).await;
    let mut red = boss.subscribe(AGENTS, json!({ "team": "red" })).await;
    let snapshot = red.next().await;
    assert_eq!((&snapshot["agentBoard"]["snapshot"], agents(&snapshot)), (&json!(true), vec![ann.clone()]));

    presence(&world.ann, "ON_BREAK").await;
    let changed = board.next().await;
    assert_eq!((&changed["agentBoard"]["snapshot"], agents(&changed)), (&json!(false), vec![ann.clone()]));
    assert_eq!(changed["agentBoard"]["agents"][0]["activity"], "ON_BREAK");
    assert_eq!(changed["agentBoard"]["gone"], json!([]));
    assert_eq!(agents(&red.next().await), std::slice::from_ref(&ann));

    // A contact changes the agent, too.
    presence(&world.ann, "AVAILABLE").await;
    assert_eq!(board.next().await["agentBoard"]["agents"][0]["activity"], "AVAILABLE");
    let call = world.offered_to(&world.ann).await;
    let ringing = board.next().await;
    assert_eq!(ringing["agentBoard"]["agents"][0]["contacts"], json!([{ "callId": call, "state": "RINGING" }]));

    // While nobody looks: Bob leaves, and Ann's offer is declined. Only that is shown, and as it is at the end.
    let cursor = ringing["agentBoard"]["cursor"].clone();
    drop(board);
    world.bob.client.accepted("signOutAgent", json!({})).await;
    let position = world.ann.client.accepted("declineOffer", json!({ "callId": call })).await;
    let missed = up_to(boss, AGENTS, json!({ "after": cursor }), "agentBoard", position).await;
    assert_eq!((&missed["agentBoard"]["snapshot"], agents(&missed)), (&json!(false), vec![ann.clone()]));
    assert_eq!(missed["agentBoard"]["agents"][0]["activity"], "AVAILABLE");
    let whole = boss.subscribe(AGENTS, json!({})).await.next().await;
    assert_eq!((&whole["agentBoard"]["snapshot"], agents(&whole)), (&json!(true), vec![ann.clone()]));

    // Bob was told to be gone either with Ann's change or before it.
    let mut seen = boss.subscribe(AGENTS, json!({ "after": cursor })).await;
    assert_eq!(seen.next().await["agentBoard"]["gone"], json!([bob]));
    // Who moves to another team is gone from this one.
    boss.accepted("assignTeam", json!({ "agentId": ann, "team": "green" })).await;
    red.until(|data| data["agentBoard"]["gone"].as_array().unwrap().contains(&ann)).await;
    let green = boss.subscribe(AGENTS, json!({ "team": "green" })).await.next().await;
    assert_eq!(agents(&green), [ann]);
    let other = json!({ "team": "red", "after": whole["agentBoard"]["cursor"] });
    assert_eq!(boss.subscription_refused(AGENTS, other).await.reason, "CURSOR_OF_OTHER_SCOPE");
    world.end().await;
}

#[tokio::test]
async fn queues_and_who_waits_in_them() {
    let world = World::new().await;
    let boss = &world.supervisor;
    let queue = async |call: Uuid, queue: &str, priority: i16| {
        boss.accepted("queueCall", json!({ "callId": call, "queue": queue, "priority": priority })).await
    };
    let mut board = boss.subscribe(QUEUES, json!({})).await;
    let empty = board.next().await["queueBoard"].take();
    assert_eq!((&empty["snapshot"], &empty["queues"]), (&json!(true), &json!([])));
    let (one, two, three) = (world.call().await, world.call().await, world.call().await);
    queue(one, "sales", 0).await;
    let first = board.next().await["queueBoard"].take();
    assert_eq!((&first["snapshot"], &first["queues"][0]["waiting"]), (&json!(false), &json!(1)));
    queue(two, "sales", 5).await;
    let second = board.next().await["queueBoard"].take();
    let places = json!([{ "callId": two, "place": 1 }, { "callId": one, "place": 2 }]);
    assert_eq!((&second["queues"][0]["calls"], &second["queues"][0]["waiting"]), (&places, &json!(2)));
    queue(three, "support", 0).await;
    let third = board.next().await["queueBoard"].take();
    assert_eq!(column(third["queues"].as_array().unwrap(), "/name"), ["support"]);

    let cursor = third["cursor"].clone();
    drop(board);
    boss.accepted("abandonCall", json!({ "callId": two })).await;
    let position = queue(one, "billing", 0).await;
    let missed = up_to(boss, QUEUES, json!({ "after": cursor }), "queueBoard", position).await["queueBoard"].take();
    assert_eq!(missed["snapshot"], json!(false));
    let mut names = column(missed["queues"].as_array().unwrap(), "/name");
    names.sort_by_key(ToString::to_string);
    assert_eq!(names, ["billing", "sales"]);
    let mut resumed = boss.subscribe(QUEUES, json!({ "after": missed["cursor"] })).await;
    boss.accepted("abandonCall", json!({ "callId": three })).await;
    let next = resumed.next().await["queueBoard"].take();
    assert_eq!(column(next["queues"].as_array().unwrap(), "/name"), ["support"]);
    assert_eq!((&next["queues"][0]["waiting"], &next["queues"][0]["oldestEnqueuedAt"]), (&json!(0), &Value::Null));
    world.end().await;
}

#[tokio::test]
async fn the_dashboard() {
    let world = World::new().await;
    let boss = &world.supervisor;
    let queue =
        async |call: Uuid, queue: &str| boss.accepted("queueCall", json!({ "callId": call, "queue": queue })).await;
    let mut all = boss.subscribe(DASHBOARD, json!({})).await;
    let mut sales = boss.subscribe(DASHBOARD, json!({ "queue": "sales" })).await;
    assert_eq!(all.next().await["dashboard"]["dashboard"]["waiting"], 0);
    assert_eq!(sales.next().await["dashboard"]["dashboard"]["queue"], "sales");
    let (one, two) = (world.call().await, world.call().await);
    queue(one, "sales").await;
    queue(two, "support").await;
    let counts = |data: &Value| {
        let shown = &data["dashboard"]["dashboard"];
        (shown["waiting"].as_i64().unwrap(), shown["offered"].as_i64().unwrap())
    };
    all.until(|data| counts(data) == (2, 2)).await;
    let latest = sales.until(|data| counts(data) == (1, 1)).await.pop().unwrap();
    assert_eq!(latest["dashboard"]["dashboard"]["abandoned"], 0);

    // Pushed are changes of the floor: of those that came while nobody looked, the state at their end.
    boss.accepted("abandonCall", json!({ "callId": two })).await;
    let last = all.until(|data| counts(data) == (1, 2)).await.pop().unwrap();
    let cursor = &last["dashboard"]["cursor"];
    drop(all);
    let mut resumed = boss.subscribe(DASHBOARD, json!({ "after": cursor })).await;
    world.offer(one, &world.ann).await;
    world.ann.client.accepted("answerCall", json!({ "callId": one })).await;
    let shown = resumed.until(|data| data["dashboard"]["dashboard"]["inProgress"] == 1).await;
    let shown = &shown.last().unwrap()["dashboard"]["dashboard"];
    assert_eq!((&shown["waiting"], &shown["answered"], &shown["abandoned"]), (&json!(0), &json!(1), &json!(1)));
    let busy = shown["agents"].as_array().unwrap().iter().find(|tile| tile["activity"] == "ON_CONTACT").unwrap();
    assert_eq!(busy["agents"], 1);
    let other = json!({ "queue": "sales", "after": cursor });
    assert_eq!(boss.subscription_refused(DASHBOARD, other).await.reason, "CURSOR_OF_OTHER_SCOPE");
    world.end().await;
}

/// More than is read at once has changed since the cursor: nothing of it is left out.
#[tokio::test]
async fn a_board_that_was_left_for_long_is_shown_whole() {
    const CHANGES: usize = 1_005;
    const QUEUES_EACH: usize = 5;
    let world = World::new().await;
    let boss = &world.supervisor;
    let agents_at = boss.subscribe(AGENTS, json!({})).await.next().await["agentBoard"]["cursor"].take();
    let queues_at = boss.subscribe(QUEUES, json!({})).await.next().await["queueBoard"]["cursor"].take();
    for batch in (0..CHANGES).collect::<Vec<_>>().chunks(50) {
        let register = batch.iter().map(|n| boss.accepted("registerAgent", json!({ "name": format!("Agent {n}") })));
        futures_util::future::join_all(register).await;
    }
    let position = presence(&world.ann, "ON_BREAK").await;
    boss.query("query ($at: Position) { agents(atLeast: $at) { nodes { name } } }", json!({ "at": position })).await;
    let missed = boss.subscribe(AGENTS, json!({ "after": agents_at })).await.next().await["agentBoard"].take();
    assert_eq!(missed["snapshot"], json!(true));
    assert_eq!(missed["agents"].as_array().unwrap().len(), 2);

    // From queue to queue, many callers at a time.
    let wander = async |n: usize| {
        let (call, mut position) = (world.call().await, 0);
        for queue in 0..QUEUES_EACH {
            let input = json!({ "callId": call, "queue": format!("queue {n} {queue}") });
            position = boss.accepted("queueCall", input).await;
        }
        position
    };
    let position = futures_util::future::join_all((0..CHANGES / QUEUES_EACH).map(wander)).await.into_iter().max();
    boss.query("query ($at: Position) { queues(atLeast: $at) { name } }", json!({ "at": position })).await;
    let missed = boss.subscribe(QUEUES, json!({ "after": queues_at })).await.next().await["queueBoard"].take();
    let queues = missed["queues"].as_array().unwrap();
    assert_eq!((&missed["snapshot"], queues.len()), (&json!(true), CHANGES));
    let waiting: i64 = queues.iter().filter_map(|queue| queue["waiting"].as_i64()).sum();
    assert_eq!(waiting, 201);
    world.end().await;
}
