//! Riding along with others shows nobody more than their own rights do, and depends on nobody else staying.

use std::time::Duration;

use api::Limits;
use domain::permission::Role;
use serde_json::{Value, json};
use tests::graphql::Pushed;
use tests::{Client, Subscription, TestDatabase, TestServer};

use super::{FORBIDDEN, World, worker};

const CALL: &str = "subscription ($id: UUID!) { call(callId: $id) { cursor call { state version } } }";
const EVENTS: &str = "subscription ($id: UUID!, $after: String) {
    events(subjectId: $id, types: [\"transcript.segment_added\"], after: $after) { cursor event { position } } }";
/// Changes within which subscriptions have joined each other.
const SETTLING: usize = 10;

async fn positions(subscription: &mut Subscription, upto: i64) -> Vec<i64> {
    let mut read = Vec::new();
    while read.last() != Some(&upto) {
        read.push(subscription.next().await["events"]["event"]["position"].as_i64().unwrap());
    }
    read
}

/// Waits until a call is shown in a state.
async fn shows(subscription: &mut Subscription, state: &str) {
    while subscription.next().await["call"]["call"]["state"] != json!(state) {}
}

#[tokio::test]
async fn who_may_not_see_a_call_is_refused_also_while_others_watch_it_with_the_same_words() {
    let world = World::new().await;
    let call_id = world.connected_to(&world.ann).await;
    let variables = json!({ "id": call_id });
    let mut own = world.ann.client.subscribe(CALL, variables.clone()).await;
    let mut boss = world.supervisor.subscribe(CALL, variables.clone()).await;
    shows(&mut own, "CONNECTED").await;
    shows(&mut boss, "CONNECTED").await;
    assert_eq!(world.bob.client.subscription_refused(CALL, variables.clone()).await.words(), FORBIDDEN);
    world.ann.client.accepted("holdCall", json!({ "callId": call_id })).await;
    for subscription in [&mut own, &mut boss] {
        shows(subscription, "ON_HOLD").await;
    }
    assert_eq!(world.bob.client.subscription_refused(CALL, variables).await.words(), FORBIDDEN);
    world.end().await;
}

#[tokio::test]
async fn others_go_on_when_the_one_who_came_first_is_sent_away() {
    let database = TestDatabase::new().await;
    let limits = Limits { recheck_every: Duration::from_millis(20), ..Limits::default() };
    let server = TestServer::start_with(&database, limits).await;
    let supervisor = server.signed_in(Role::Supervisor).await;
    let (ann, bob) =
        (worker(&server, &supervisor, "Ann", "red").await, worker(&server, &supervisor, "Bob", "blue").await);
    let world = World { database, server, supervisor, ann, bob };
    let call_id = world.call().await;
    let user = world.server.user(Role::Supervisor, None, &[]).await;
    let first: Client = world.server.sign_in(&user).await;
    // One begins; the others come when it has caught up.
    let mut gone = first.subscribe(EVENTS, json!({ "id": call_id })).await;
    let begun = world.say(call_id, 0, "hello").await;
    assert_eq!(positions(&mut gone, begun).await, [begun]);
    let mut stays = world.supervisor.subscribe(EVENTS, json!({ "id": call_id })).await;
    let mut said = Vec::new();
    for n in 1..=SETTLING {
        said.push(world.say(call_id, n * 1_000, "and another thing").await);
    }
    assert_eq!(positions(&mut gone, said[SETTLING - 1]).await, said);
    let first_seen = positions(&mut stays, said[SETTLING - 1]).await;
    assert!(said.ends_with(&first_seen), "from some moment on: {first_seen:?} of {said:?}");

    world.server.users.set_role(user.id, user.role, &[]).await.unwrap();
    let closed: Value = loop {
        match gone.message().await {
            Pushed::Closed(code) => break json!(code),
            Pushed::Next(_) => {}
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(closed, json!(4403));
    let mut after = Vec::new();
    for n in 1..=SETTLING {
        after.push(world.say(call_id, (SETTLING + n) * 1_000, "are you still there").await);
    }
    assert_eq!(positions(&mut stays, after[SETTLING - 1]).await, after, "nothing is missing and nothing comes twice");
    world.end().await;
}
