//! Many who watch the same: resolved once, delivered to each once and in order, and nobody waits for the slow one.

use api::Limits;
use domain::permission::Role;
use futures_util::future::join_all;
use serde_json::{Value, json};
use tests::graphql::Pushed;
use tests::{Client, Subscription};
use uuid::Uuid;

use super::{World, column, initiate};

const DASHBOARD: &str =
    "subscription ($after: String) { dashboard(after: $after) { cursor dashboard { at offered } } }";
const EVENTS: &str = "subscription ($after: String) {
    events(types: [\"transcript.segment_added\"], after: $after) { cursor event { position payload } } }";
/// Changes after which all must ride along with each other.
const ROUNDS_MAX: usize = 50;
/// Calls in which is spoken at once.
const CALLS: usize = 8;

impl World {
    async fn calls(&self) -> Vec<Uuid> {
        join_all((0..CALLS).map(|_| self.call())).await
    }

    /// Appends segments of a length, `count` to each of some calls at once, and gives their positions in order.
    async fn say_many(&self, calls: &[Uuid], count: usize, length: usize) -> Vec<i64> {
        let text = "a ".repeat(length / 2);
        let saying = calls.iter().map(async |call_id| {
            let mut positions = Vec::new();
            for n in 0..count {
                positions.push(self.say(*call_id, n * 1_000, &format!("{n} {text}")).await);
            }
            positions
        });
        let mut positions: Vec<i64> = join_all(saying).await.into_iter().flatten().collect();
        positions.sort_unstable();
        positions
    }
}

/// Positions of events up to one, each once and in order.
async fn read_upto(subscription: &mut Subscription, last: i64) -> Vec<i64> {
    let mut read = Vec::new();
    while read.last() != Some(&last) {
        read.push(subscription.next().await["events"]["event"]["position"].as_i64().unwrap());
    }
    read
}

async fn watch(client: &Client, count: usize) -> Vec<Subscription> {
    join_all((0..count).map(|_| client.subscribe(DASHBOARD, json!({})))).await
}

/// The next push to each of them that follows a snapshot or another push.
async fn pushed(watching: &mut [Subscription]) -> Vec<Value> {
    join_all(watching.iter_mut().map(Subscription::next)).await
}

#[tokio::test]
async fn equal_subscriptions_get_the_answer_of_one_resolution() {
    let world = World::with(Limits { dashboard_every: std::time::Duration::ZERO, ..Limits::default() }).await;
    let mut equal = watch(&world.supervisor, 20).await;
    let mut other = watch(&world.server.signed_in(Role::Admin).await, 1).await;
    // The moment of the answer tells resolutions apart.
    let moments = |pushes: &[Value]| {
        let mut moments = column(pushes, "/dashboard/dashboard/at").iter().map(Value::to_string).collect::<Vec<_>>();
        moments.sort();
        moments.dedup();
        moments
    };
    pushed(&mut equal).await;
    pushed(&mut other).await;
    for round in 1..=ROUNDS_MAX {
        // One change at a time, so that each push shows exactly one.
        let call_id = Uuid::now_v7();
        world.supervisor.accepted("initiateCall", initiate(call_id)).await;
        world.supervisor.accepted("queueCall", json!({ "callId": call_id, "queue": "sales" })).await;
        let offered = json!(round);
        let mut last = Vec::new();
        for subscription in equal.iter_mut().chain(&mut other) {
            let mut push = subscription.next().await;
            while push["dashboard"]["dashboard"]["offered"] != offered {
                push = subscription.next().await;
            }
            last.push(push);
        }
        let (equal, other) = last.split_at(20);
        let resolved = moments(equal);
        assert!(!resolved.contains(&moments(other)[0]), "who may see more is answered apart");
        if resolved.len() == 1 {
            assert_eq!(column(equal, "/dashboard/cursor"), vec![equal[0]["dashboard"]["cursor"].clone(); 20]);
            return world.end().await;
        }
    }
    panic!("equal subscriptions are still resolved apart after {ROUNDS_MAX} changes");
}

#[tokio::test]
async fn whoever_comes_with_whatever_cursor_gets_everything_after_it_once() {
    const BEFORE: usize = 40;
    const MEANWHILE: usize = 120;
    let world = World::new().await;
    let calls = world.calls().await;
    let from_start = EVENTS.replace("after: $after)", "after: $after, fromStart: true)");
    let mut first = world.supervisor.subscribe(&from_start, json!({})).await;
    let old = world.say_many(&calls, BEFORE / CALLS, 20).await;
    let cursors = column(&first.take(BEFORE).await, "/events/cursor");

    let joining = async {
        let mut joined = Vec::new();
        for (n, cursor) in cursors.iter().enumerate() {
            // The document of all but the first, who began it: the group of those who came later.
            let subscription = world.supervisor.subscribe(&from_start, json!({ "after": cursor })).await;
            joined.push((n + 1, subscription));
        }
        joined
    };
    let (mut joined, new) = tokio::join!(joining, world.say_many(&calls, MEANWHILE / CALLS, 20));
    let all: Vec<i64> = old.into_iter().chain(new).collect();
    let last = all[all.len() - 1];
    assert_eq!(read_upto(&mut first, last).await, all[BEFORE..]);
    let readings = joined.iter_mut().map(|(_, subscription)| read_upto(subscription, last));
    let read = join_all(readings).await;
    for (read, (seen, _)) in read.into_iter().zip(&joined) {
        assert_eq!(read, all[*seen..], "after {seen}");
    }
    world.end().await;
}

#[tokio::test]
async fn a_slow_client_is_sent_away_with_everything_up_to_then_and_goes_on_from_its_cursor() {
    const SEGMENTS: usize = 400;
    let world = World::with(Limits { queue_bytes: 64 * 1024, ..Limits::default() }).await;
    let calls = world.calls().await;
    let mut fast = world.supervisor.subscribe(EVENTS, json!({})).await;
    let mut slow = world.supervisor.subscribe(EVENTS, json!({})).await;
    let first = world.say(calls[0], 0, "hello").await;
    for subscription in [&mut fast, &mut slow] {
        assert_eq!(read_upto(subscription, first).await, [first]);
    }
    // Far more than the kernel's buffers and the queue hold for who does not read.
    let positions = {
        let reading = async {
            let mut read = Vec::new();
            while read.len() < SEGMENTS {
                read.push(fast.next().await["events"]["event"]["position"].as_i64().unwrap());
            }
            read
        };
        let (read, positions) = tokio::join!(reading, world.say_many(&calls, SEGMENTS / CALLS, 4_000));
        assert_eq!(read, positions, "the fast one is not kept waiting");
        positions
    };
    let (mut read, mut cursor) = (Vec::new(), Value::Null);
    let refusal = loop {
        match slow.message().await {
            Pushed::Next(data) => {
                read.push(data["events"]["event"]["position"].as_i64().unwrap());
                cursor = data["events"]["cursor"].clone();
            }
            Pushed::Error(errors) => break errors,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(refusal[0]["extensions"]["code"], "SLOW_CONSUMER");
    assert!(!read.is_empty() && read.len() < positions.len());
    let mut again = world.supervisor.subscribe(EVENTS, json!({ "after": cursor })).await;
    read.extend(read_upto(&mut again, positions[SEGMENTS - 1]).await);
    assert_eq!(read, positions, "nothing is lost and nothing comes twice");
    world.end().await;
}

#[tokio::test]
async fn a_hot_operation_starves_no_other_on_its_socket() {
    const SEGMENTS: usize = 600;
    let world = World::new().await;
    let calls = world.calls().await;
    world.say_many(&calls, SEGMENTS / CALLS, 2_000).await;
    let mut socket = world.supervisor.socket().await;
    let all = EVENTS.replace("after: $after)", "after: $after, fromStart: true)");
    let subscribe = |id: &str, query: &str, variables: Value| json!({ "type": "subscribe", "id": id, "payload": { "query": query, "variables": variables } });
    socket.say(&subscribe("hot", &all, json!({}))).await;
    socket.say(&subscribe("quiet", "{ viewer { role } }", json!({}))).await;
    let (mut hot, mut quiet_after) = (0, None);
    while hot < SEGMENTS {
        match socket.message().await {
            Pushed::Next(data) if data["viewer"].is_object() => quiet_after = Some(hot),
            Pushed::Next(_) => hot += 1,
            Pushed::Complete => {}
            other => panic!("{other:?}"),
        }
    }
    assert!(quiet_after.is_some_and(|after| after < SEGMENTS / 2), "{quiet_after:?}");
    world.end().await;
}
