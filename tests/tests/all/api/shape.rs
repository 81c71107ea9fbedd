//! The shape of answers: fields in the order of the document, and null where something failed and may be null.

use domain::permission::Role;
use serde_json::{Value, json};
use tests::{TestDatabase, TestServer};
use uuid::Uuid;

#[tokio::test]
async fn fields_are_answered_in_the_order_of_the_document_whichever_is_ready_first() {
    let database = TestDatabase::new().await;
    let server = TestServer::start(&database).await;
    let client = server.signed_in(Role::Supervisor).await;
    let numbers =
        json!({ "callId": Uuid::now_v7(), "direction": "INBOUND", "from": "+14155552671", "to": "+14155550100" });
    let at = client.accepted("initiateCall", numbers).await;
    // What is read from the database stands before what is known already.
    let document = format!(
        "{{ calls(atLeast: {at}) {{ nodes {{ transcript {{ text }} agent {{ name }} state ...More }} }} queues {{ name }}
            viewer {{ role }} z: __typename a: __typename }}
         fragment More on Call {{ sentiment {{ score }} version direction }}"
    );
    let response = client.post().json(&json!({ "query": document })).send().await.unwrap();
    let text = response.text().await.unwrap();
    let call = r#"{"transcript":[],"agent":null,"state":"INITIATED","sentiment":[],"version":1,"direction":"INBOUND"}"#;
    let expected = format!(
        r#"{{"data":{{"calls":{{"nodes":[{call}]}},"queues":[],"viewer":{{"role":"SUPERVISOR"}},"z":"Query","a":"Query"}}}}"#
    );
    assert_eq!(text, expected);
    server.stop().await;
}

#[tokio::test]
async fn what_failed_is_null_and_so_is_what_can_not_be_without_it() {
    let database = TestDatabase::new().await;
    let server = TestServer::start(&database).await;
    let client = server.signed_in(Role::Supervisor).await;
    let nobody = server.anonymous();
    let call_id = Uuid::now_v7();
    let ask = async |document: &str| -> Value { nobody.send(document, json!({})).await };
    // Both may be null.
    let answer = ask(&format!("{{ call(callId: \"{call_id}\") {{ state }} node(id: \"x\") {{ id }} }}")).await;
    assert_eq!(answer["data"], json!({ "call": null, "node": null }));
    assert_eq!(answer["errors"].as_array().unwrap().len(), 2);
    // A list of calls is never null, so nothing is left of the whole answer.
    let answer = ask("{ __typename calls { nodes { state } } }").await;
    assert_eq!(answer.get("data"), Some(&Value::Null), "{answer}");
    assert_eq!(answer["errors"][0]["path"], json!(["calls"]));

    // Further down: one of two calls asks for too much.
    let numbers = json!({ "callId": call_id, "direction": "INBOUND", "from": "+14155552671", "to": "+14155550100" });
    let at = client.accepted("initiateCall", numbers).await;
    let document = format!(
        "{{ good: call(callId: \"{call_id}\", atLeast: {at}) {{ state }}
        bad: call(callId: \"{call_id}\", atLeast: {at}) {{ state transcript(last: 0) {{ text }} version }} }}"
    );
    let answer = client.send(&document, json!({})).await;
    assert_eq!(answer["data"], json!({ "good": { "state": "INITIATED" }, "bad": null }), "{answer}");
    assert_eq!(answer["errors"][0]["path"], json!(["bad", "transcript"]), "{answer}");
    server.stop().await;
}
