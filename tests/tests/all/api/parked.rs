//! What read models could not take, as who runs the system sees it.

use domain::permission::Role;
use serde_json::{Value, json};
use tests::{Client, TestDatabase};
use uuid::Uuid;

use super::World;
use crate::view::until;

const PARKED: &str = "projection key position error attempts parkedAt waiting
    event { position type category streamId version schemaVersion actor payload }";
const SICK_NUMBER: &str = "+14155552679";

/// A call whose number the read model `calls` does not take, and two events of it: the positions.
async fn ill(supervisor: &Client) -> (Uuid, i64, i64) {
    let call_id = Uuid::now_v7();
    let call = json!({ "callId": call_id, "direction": "INBOUND", "from": SICK_NUMBER, "to": "+14155550100" });
    let first = supervisor.accepted("initiateCall", call).await;
    let second = supervisor.accepted("queueCall", json!({ "callId": call_id, "queue": "sales" })).await;
    (call_id, first, second)
}

async fn execute(database: &TestDatabase, sql: &'static str) {
    sqlx::query(sql).execute(&database.pool).await.unwrap();
}

/// As if a column were too narrow for what is true.
async fn sicken(database: &TestDatabase) {
    execute(database, "ALTER TABLE read.calls ADD CONSTRAINT sick CHECK (from_number <> '+14155552679')").await;
}

async fn mend(database: &TestDatabase) {
    execute(database, "ALTER TABLE read.calls DROP CONSTRAINT sick").await;
}

async fn page(admin: &Client, arguments: &str) -> Value {
    let document = format!(
        "{{ parkedKeys({arguments}) {{ nodes {{ {PARKED} }} pageInfo {{ hasNextPage hasPreviousPage startCursor endCursor }} }} }}"
    );
    admin.query(&document, json!({})).await["parkedKeys"].take()
}

async fn retry(admin: &Client, key: Uuid) -> Value {
    let document = "mutation ($input: RetryParkedKeyInput!) {
        retryParkedKey(input: $input) { projection key outcome folded stoppedAt error } }";
    let input = json!({ "input": { "projection": "calls", "key": key } });
    admin.query(document, input).await["retryParkedKey"].take()
}

/// Waits until the read model is past a position; what it could not take is parked then.
async fn passed(supervisor: &Client, position: i64) {
    let document =
        "query ($at: Position!) { call(callId: \"018f3f3f-0000-7000-8000-000000000000\", atLeast: $at) { state } }";
    supervisor.query(document, json!({ "at": position })).await;
}

#[tokio::test]
async fn parked_keys_are_listed_looked_at_and_taken_up_again() {
    let world = World::new().await;
    let admin = world.server.signed_in(Role::Admin).await;
    assert_eq!(page(&admin, "first: 5").await["nodes"], json!([]));
    sicken(&world.database).await;
    let (ill_one, first, _) = ill(&world.supervisor).await;
    let (ill_two, other_first, last) = ill(&world.supervisor).await;
    let well = world.call().await;
    passed(&world.supervisor, last + 1).await;

    let all = page(&admin, "projection: \"calls\", first: 1").await;
    let parked = &all["nodes"][0];
    assert_eq!(parked["key"], json!(ill_one));
    assert_eq!((&parked["projection"], &parked["position"]), (&json!("calls"), &json!(first)));
    assert_eq!((&parked["waiting"], &parked["attempts"]), (&json!(1), &json!(1)));
    assert!(parked["error"].as_str().unwrap().contains("sick"), "{parked}");
    assert!(parked["parkedAt"].as_str().is_some_and(|since| since.ends_with('Z') || since.contains('+')), "{parked}");
    let event = &parked["event"];
    assert_eq!((&event["type"], &event["version"]), (&json!("call.initiated"), &json!(1)));
    assert_eq!((&event["category"], &event["streamId"]), (&json!("call"), &json!(ill_one)));
    assert_eq!((&event["position"], &event["payload"]["from"]), (&json!(first), &json!(SICK_NUMBER)));
    assert_eq!(all["pageInfo"]["hasNextPage"], true);
    let after = all["pageInfo"]["endCursor"].as_str().unwrap();
    let rest = page(&admin, &format!("first: 1, after: \"{after}\"")).await;
    assert_eq!((&rest["nodes"][0]["key"], &rest["pageInfo"]["hasNextPage"]), (&json!(ill_two), &json!(false)));
    assert_eq!(rest["nodes"][0]["position"], json!(other_first));
    let back = page(&admin, &format!("last: 5, before: {}", rest["pageInfo"]["startCursor"])).await;
    assert_eq!(back["nodes"], all["nodes"]);
    let both = page(&admin, "last: 5").await;
    assert_eq!([&both["nodes"][0]["key"], &both["nodes"][1]["key"]], [&json!(ill_one), &json!(ill_two)]);
    assert_eq!(page(&admin, "projection: \"agents\"").await["nodes"], json!([]), "others take everything");

    let one = format!("query ($key: UUID!) {{ parkedKey(projection: \"calls\", key: $key) {{ {PARKED} }} }}");
    assert_eq!(admin.query(&one, json!({ "key": ill_one })).await["parkedKey"], *parked);
    assert!(admin.query(&one, json!({ "key": well })).await["parkedKey"].is_null());

    let still = retry(&admin, ill_one).await;
    assert_eq!((&still["outcome"], &still["folded"]), (&json!("STILL_PARKED"), &json!(0)));
    assert!(still["stoppedAt"] == json!(first) && still["error"].as_str().unwrap().contains("sick"), "{still}");
    assert_eq!(admin.query(&one, json!({ "key": ill_one })).await["parkedKey"]["attempts"], 2);

    mend(&world.database).await;
    let taken = |outcome: &str, folded: i64| json!({ "projection": "calls", "key": ill_one, "outcome": outcome, "folded": folded, "stoppedAt": null, "error": null });
    assert_eq!(retry(&admin, ill_one).await, taken("TAKEN_UP", 2));
    assert_eq!(retry(&admin, ill_one).await, taken("NOTHING_PARKED", 0), "sent again, it changes nothing");
    assert_eq!(page(&admin, "first: 5").await["nodes"].as_array().unwrap().len(), 1, "the other one is left alone");
    let call = "query ($id: UUID!) { call(callId: $id) { queue } }";
    until("the call is shown as it is", async || {
        world.supervisor.query(call, json!({ "id": ill_one })).await["call"]["queue"] == "sales"
    })
    .await;
    world.end().await;
}

#[tokio::test]
async fn only_who_runs_the_system_sees_and_retries_what_is_parked() {
    let world = World::new().await;
    let list = "{ parkedKeys { nodes { key } } }";
    let one = "{ parkedKey(projection: \"calls\", key: \"018f3f3f-0000-7000-8000-000000000000\") { key } }";
    let retry = "mutation { retryParkedKey(input: { projection: \"calls\", key: \"018f3f3f-0000-7000-8000-000000000000\" }) { outcome } }";
    for document in [list, one, retry] {
        for client in [&world.supervisor, &world.ann.client] {
            assert_eq!(client.refused(document, json!({})).await.words(), super::FORBIDDEN, "{document}");
        }
    }
    let admin = world.server.signed_in(Role::Admin).await;
    for document in [
        &list.replace("parkedKeys", "parkedKeys(projection: \"call\")"),
        &one.replace("calls", "call"),
        &retry.replace("calls", "call"),
    ] {
        let refusal = admin.refused(document, json!({})).await;
        assert_eq!(refusal.words(), (super::BAD_INPUT, "PROJECTION_UNKNOWN"), "{document}");
    }
    world.end().await;
}

#[tokio::test]
async fn a_view_that_is_busy_is_no_reason_to_wait_for_ever() {
    let world = World::new().await;
    let admin = world.server.signed_in(Role::Admin).await;
    let mut held = world.database.pool.begin().await.unwrap();
    sqlx::query("SELECT FROM projections WHERE name = 'calls' FOR UPDATE").execute(&mut *held).await.unwrap();
    let document = "mutation { retryParkedKey(input: { projection: \"calls\", key: \"018f3f3f-0000-7000-8000-000000000000\" }) { outcome } }";
    let refusal = admin.refused(document, json!({})).await;
    assert_eq!(refusal.words(), ("UNAVAILABLE", "PROJECTION_BUSY"), "{refusal:?}");
    held.rollback().await.unwrap();
    assert_eq!(admin.query(document, json!({})).await["retryParkedKey"]["outcome"], "NOTHING_PARKED");
    world.end().await;
}
