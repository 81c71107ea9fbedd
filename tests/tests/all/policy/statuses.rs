//! Status codes of GraphQL over HTTP, as the audit suite and as the draft of August 2026 have them.

use api::{Policy, Statuses};
use serde_json::{Value, json};

use super::{GRAPHQL, JSON, World, told};

const NOBODYS_CALL: &str = "01998c2e-3b4a-7c1d-9e0f-1a2b3c4d5e6f";

/// A request, and its status: audited as JSON, audited as GraphQL, draft.
fn cases() -> Vec<(&'static str, Value, [u16; 3])> {
    let with = |query: &str, variables: Value| json!({ "query": query, "variables": variables });
    let call = "query ($id: UUID!) { call(callId: $id) { callId } }";
    vec![
        ("success", json!({ "query": "{ __typename }" }), [200, 200, 200]),
        ("not parsed", json!({ "query": "{" }), [200, 400, 400]),
        ("not valid", json!({ "query": "{ nothing }" }), [200, 400, 422]),
        ("no such operation", json!({ "query": "query A { __typename }", "operationName": "B" }), [200, 400, 422]),
        ("variable missing", with(call, json!({})), [200, 400, 422]),
        ("variable wrong", with(call, json!({ "id": 7 })), [200, 400, 422]),
        ("too much", json!({ "query": format!("{{ {} }}", "a:__typename ".repeat(31)) }), [200, 400, 422]),
        ("found nothing", with(call, json!({ "id": NOBODYS_CALL })), [200, 200, 200]),
        ("not persisted", json!({ "documentId": format!("sha256:{}", "0".repeat(64)) }), [200, 200, 404]),
        ("no parameters", json!({ "qeury": "{ __typename }" }), [400, 400, 400]),
        ("variables of the wrong shape", json!({ "query": "{ __typename }", "variables": [7] }), [400, 400, 400]),
        ("not an object", json!("{ __typename }"), [400, 400, 400]),
    ]
}

#[tokio::test]
async fn each_text_has_its_codes() {
    let audited = World::new(Policy::default()).await;
    let draft = World::new(Policy { statuses: Statuses::Draft, ..Policy::default() }).await;
    for (what, request, [as_json, as_graphql, by_draft]) in cases() {
        assert_eq!(audited.posted(JSON, &request).await.0, as_json, "{what}, audited, JSON");
        assert_eq!(audited.posted(GRAPHQL, &request).await.0, as_graphql, "{what}, audited, GraphQL");
        for accept in [JSON, GRAPHQL] {
            let (status, answer) = draft.posted(accept, &request).await;
            assert_eq!(status, by_draft, "{what}, draft, {accept}: {answer}");
            assert_eq!(answer.get("data").is_none(), status >= 400, "{what}: {answer}");
        }
    }
    // Nobody may read a call: one field fails, the other does not.
    let partial = json!({ "query": format!("{{ __typename call(callId: \"{NOBODYS_CALL}\") {{ callId }} }}") });
    for (world, expected) in [(&audited, 200), (&draft, 294)] {
        let request = world.server.anonymous().post().header("accept", GRAPHQL).json(&partial);
        let (status, answer) = told(request.send().await.unwrap()).await;
        assert_eq!(status, expected, "{answer}");
        assert_eq!(answer["data"], json!({ "__typename": "Query", "call": null }), "{answer}");
    }
    audited.server.stop().await;
    draft.server.stop().await;
}

#[tokio::test]
async fn what_is_no_question_of_taste_is_the_same_for_both() {
    for statuses in [Statuses::Audited, Statuses::Draft] {
        let world = World::new(Policy { statuses, ..Policy::default() }).await;
        let get = world.client.get(&[("query", "mutation { renewToken { __typename } }")]).send().await.unwrap();
        assert_eq!((get.status().as_u16(), get.headers()["allow"].to_str().unwrap()), (405, "POST"));
        let form = world.client.post().header("content-type", "application/x-www-form-urlencoded").body("query={a}");
        assert_eq!(form.send().await.unwrap().status(), 415);
        let body = json!({ "query": "{ __typename }" });
        assert_eq!(world.posted("text/html", &body).await.0, 406);
        // Who is not let in learns it from the status, where the status may say so.
        let stranger = world.server.with_token("nonsense");
        let refused = stranger.post().header("accept", GRAPHQL).json(&body).send().await.unwrap();
        assert_eq!(refused.status(), 401);
        assert_eq!(refused.headers()["www-authenticate"], "Bearer");
        let plain = stranger.post().header("accept", JSON).json(&body).send().await.unwrap();
        assert_eq!(plain.status().as_u16(), if statuses == Statuses::Draft { 401 } else { 200 });
        world.server.stop().await;
    }
}

#[tokio::test]
async fn who_takes_anything_gets_the_media_type_of_the_text() {
    for (statuses, expected) in [(Statuses::Audited, JSON), (Statuses::Draft, GRAPHQL)] {
        let world = World::new(Policy { statuses, ..Policy::default() }).await;
        let response = world.client.post().header("accept", "*/*").json(&json!({ "query": "{ __typename }" }));
        let response = response.send().await.unwrap();
        assert_eq!(response.headers()["content-type"], format!("{expected}; charset=utf-8"));
        world.server.stop().await;
    }
}
