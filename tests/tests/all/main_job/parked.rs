//! An event that a read model can't take: what the program says of it, and how it is taken up again.

use serde_json::json;
use tests::Voice;
use uuid::Uuid;

use super::World;
use crate::view::until;

#[tokio::test]
async fn what_is_parked_is_listed_and_taken_up_again_once_the_fault_is_mended() {
    let world = World::new().await;
    let voice = world.served(&[], &[]).await;
    let (client, pool) = (world.client().await, &world.database.pool);
    let environment = [("DATABASE_URL", world.database.url.as_str())];
    let nothing = Voice::run(&["parked"], &environment).await;
    assert!(nothing.status.success() && nothing.output == ["nothing is parked"], "{nothing:?}");

    // As if a column were too narrow for what is true.
    let sick = "ALTER TABLE read.calls ADD CONSTRAINT sick CHECK (from_number <> '+14155552671')";
    sqlx::query(sick).execute(pool).await.unwrap();
    let (ill, well) = (Uuid::now_v7(), Uuid::now_v7());
    let numbers = |call_id: Uuid, from: &str| json!({ "callId": call_id, "direction": "INBOUND", "from": from, "to": "+14155550100" });
    client.accepted("initiateCall", numbers(ill, "+14155552671")).await;
    client.accepted("queueCall", json!({ "callId": ill, "queue": "sales" })).await;
    let at = client.accepted("initiateCall", numbers(well, "+14155552672")).await;
    let call = "query ($id: UUID!, $at: Position!) { call(callId: $id, atLeast: $at) { queue state } }";
    let found = client.query(call, json!({ "id": well, "at": at })).await;
    assert_eq!(found["call"]["state"], "INITIATED", "the others go on");
    assert!(client.query(call, json!({ "id": ill, "at": at })).await["call"].is_null());

    let listed = Voice::run(&["parked", "calls"], &environment).await;
    assert!(listed.status.success() && listed.output.len() == 2, "{listed:?}");
    assert!(listed.output[0].contains("call.initiated") && listed.output[0].contains("sick"), "{listed:?}");
    assert!(listed.output[1].contains("call.queued") && listed.output[1].contains(&ill.to_string()), "{listed:?}");
    let key = ill.to_string();
    let retry = ["parked", "calls", "--retry", &key];
    let refused = Voice::run(&retry, &environment).await;
    assert!(!refused.status.success() && refused.log.contains("still can't be"), "{refused:?}");
    let unknown = Voice::run(&["parked", "call"], &environment).await;
    assert!(!unknown.status.success() && unknown.log.contains("there is no read model \"call\""), "{unknown:?}");

    sqlx::query("ALTER TABLE read.calls DROP CONSTRAINT sick").execute(pool).await.unwrap();
    let retried = Voice::run(&retry, &environment).await;
    assert!(
        retried.status.success() && retried.output == [format!("2 parked events of {ill} were folded")],
        "{retried:?}"
    );
    until("the call is shown as it is", async || {
        client.query(call, json!({ "id": ill, "at": at })).await["call"]["queue"] == "sales"
    })
    .await;
    let nothing = Voice::run(&["parked"], &environment).await;
    assert_eq!(nothing.output, ["nothing is parked"]);
    assert!(voice.terminate().await.success());
}
