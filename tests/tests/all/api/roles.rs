//! What each role may do, seen through what it is refused.

use domain::permission::Role;
use serde_json::{Value, json};
use tests::Command;
use tests::server::PASSWORD;
use uuid::Uuid;

use super::{BAD_INPUT, FORBIDDEN, World, column, history, segment};

const CALL: &str = "query ($id: UUID!) { call(callId: $id) { callId transcript { text } sentiment { score } } }";
const CALLS: &str = "query ($filter: CallFilterInput, $at: Position) {
    calls(filter: $filter, atLeast: $at) { nodes { callId } } }";

#[tokio::test]
async fn an_agent_sees_own_calls_only() {
    let world = World::new().await;
    let (own, foreign) = (world.connected_to(&world.ann).await, world.connected_to(&world.bob).await);
    world.say(own, 0, "this is great").await;
    let position = world.say(foreign, 0, "this is terrible").await;
    let ann = &world.ann.client;

    let list = async |filter: Value| {
        let data = ann.query(CALLS, json!({ "filter": filter, "at": position })).await;
        column(data["calls"]["nodes"].as_array().unwrap(), "/callId")
    };
    assert_eq!(list(json!({})).await, [json!(own)]);
    assert_eq!(list(json!({ "agentId": world.ann.agent_id })).await, [json!(own)]);
    assert_eq!(list(json!({ "agentId": world.bob.agent_id })).await, Vec::<Value>::new());
    assert_eq!(list(json!({ "team": "blue" })).await, Vec::<Value>::new());

    let seen = ann.query(CALL, json!({ "id": own })).await;
    assert_eq!(seen["call"]["callId"], json!(own));
    assert_eq!(ann.refused(CALL, json!({ "id": foreign })).await.words(), FORBIDDEN);
    assert_eq!(ann.query(CALL, json!({ "id": Uuid::now_v7() })).await["call"], Value::Null);
    assert!(history(ann, own).await.len() >= 4);
    let asked = "query ($id: UUID!) { callHistory(callId: $id) { nodes { eventId } } }";
    assert_eq!(ann.refused(asked, json!({ "id": foreign })).await.words(), FORBIDDEN);
    for field in ["call", "transcript", "sentiment", "replayCall"] {
        let document = format!("subscription ($id: UUID!) {{ {field}(callId: $id) {{ cursor }} }}");
        assert_eq!(ann.subscription_refused(&document, json!({ "id": foreign })).await.words(), FORBIDDEN, "{field}");
        let pushed = ann.subscribe(&document, json!({ "id": own })).await.next().await;
        assert!(pushed[field]["cursor"].is_string(), "{field}");
        // Whether a call exists is not told either.
        let unknown = json!({ "id": Uuid::now_v7() });
        assert_eq!(ann.subscription_refused(&document, unknown).await.words(), FORBIDDEN, "{field}");
    }
    let search = "{ searchTranscripts(text: \"great\") { nodes { snippet } } }";
    for document in [search, "{ logPosition }", "{ users { nodes { userId } } }"] {
        assert_eq!(ann.refused(document, json!({})).await.words(), FORBIDDEN, "{document}");
    }
    let events = "subscription { events { cursor } }";
    assert_eq!(ann.subscription_refused(events, json!({})).await.words(), FORBIDDEN);
    for document in ["{ agents { nodes { name } } }", "{ queues { name } }", "{ dashboard { waiting } }"] {
        ann.query(document, json!({})).await;
    }
    world.end().await;
}

#[tokio::test]
async fn what_hangs_on_a_call_has_a_guard_of_its_own() {
    let world = World::new().await;
    let call = world.connected_to(&world.bob).await;
    let user = world.server.user(Role::Agent, Some(Uuid::now_v7()), &["call:read"]).await;
    let reader = world.server.sign_in(&user).await;
    let seen = reader.query("query ($id: UUID!) { call(callId: $id) { state } }", json!({ "id": call })).await;
    assert_eq!(seen["call"]["state"], json!("CONNECTED"));
    for field in ["transcript { text }", "sentiment { score }", "sentimentSummary { mean }"] {
        let document = format!("query ($id: UUID!) {{ call(callId: $id) {{ {field} }} }}");
        assert_eq!(reader.refused(&document, json!({ "id": call })).await.words(), FORBIDDEN, "{field}");
        let listed = format!("{{ calls {{ nodes {{ {field} }} }} }}");
        assert_eq!(reader.refused(&listed, json!({})).await.words(), FORBIDDEN, "{field}");
    }
    world.end().await;
}

#[tokio::test]
async fn an_agent_changes_own_calls_only() {
    let world = World::new().await;
    let foreign = world.connected_to(&world.bob).await;
    let before = history(&world.supervisor, foreign).await;
    let (ann, bob) = (&world.ann.client, world.bob.agent_id);
    let call = || json!({ "callId": foreign });
    let with = |more: Value| {
        let mut input = call();
        input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        input
    };
    for (command, input) in [
        ("holdCall", call()),
        ("resumeCall", call()),
        ("muteParty", with(json!({ "party": "CUSTOMER" }))),
        ("unmuteParty", with(json!({ "party": "CUSTOMER" }))),
        ("answerCall", call()),
        ("answerCall", with(json!({ "agentId": bob }))),
        ("declineOffer", with(json!({ "agentId": bob }))),
        ("endCall", with(json!({ "by": "AGENT", "reason": "COMPLETED" }))),
        ("completeWrapUp", with(json!({ "disposition": "done" }))),
        ("transferBlind", with(json!({ "target": { "queue": "sales" } }))),
        ("startConsult", with(json!({ "agentId": world.ann.agent_id }))),
        ("transferConsult", call()),
        ("cancelConsult", call()),
        ("startRecording", call()),
        ("pauseRecording", call()),
        ("resumeRecording", call()),
        ("stopRecording", call()),
        ("addTranscriptSegment", segment(foreign, 0, "not mine")),
        // Not an agent's business, whosever call it is.
        ("queueCall", with(json!({ "queue": "sales" }))),
        ("offerCall", with(json!({ "agentId": world.ann.agent_id }))),
        ("expireOffer", with(json!({ "agentId": bob }))),
        ("abandonCall", call()),
        ("failCall", with(json!({ "reason": "broken" }))),
        ("registerAgent", json!({ "name": "New" })),
        ("setCapability", json!({ "agentId": world.ann.agent_id, "capability": { "name": "dutch", "level": 10 } })),
        ("removeCapability", json!({ "agentId": world.ann.agent_id, "name": "dutch" })),
        ("assignTeam", json!({ "agentId": world.ann.agent_id, "team": "blue" })),
        ("changeCapacity", json!({ "agentId": world.ann.agent_id, "capacity": 9 })),
        ("signInAgent", json!({ "agentId": bob })),
        ("signOutAgent", json!({ "agentId": bob })),
        ("changePresence", json!({ "agentId": bob, "presence": "ON_BREAK" })),
    ] {
        assert_eq!(ann.command_refused(command, input).await.words(), FORBIDDEN, "{command}");
    }
    let interim = "mutation ($input: PublishInterimInput!) { publishInterimTranscript(input: $input) }";
    let input = json!({ "input": { "callId": foreign, "speaker": "AGENT", "beginMs": 0, "text": "not mine" } });
    assert_eq!(ann.refused(interim, input).await.words(), FORBIDDEN);
    assert_eq!(history(&world.supervisor, foreign).await, before);
    // The same on one's own.
    let own = world.offered_to(&world.ann).await;
    ann.accepted("answerCall", json!({ "callId": own })).await;
    ann.accepted("holdCall", json!({ "callId": own })).await;
    ann.accepted("addTranscriptSegment", segment(own, 0, "mine")).await;
    ann.accepted("changePresence", json!({ "presence": "ON_BREAK" })).await;
    world.end().await;
}

/// Who once had a part in a call has no say over the one who has it now.
#[tokio::test]
async fn nobody_acts_in_anothers_name() {
    let world = World::new().await;
    let call = world.offered_to(&world.ann).await;
    let (ann, bob) = (&world.ann.client, &world.bob.client);
    let decline = json!({ "callId": call, "commandId": Uuid::now_v7() });
    ann.accepted("declineOffer", decline.clone()).await;
    world.offer(call, &world.bob).await;
    let in_bobs_name = json!({ "callId": call, "agentId": world.bob.agent_id });
    assert_eq!(ann.command_refused("answerCall", in_bobs_name.clone()).await.words(), FORBIDDEN);
    assert_eq!(ann.command_refused("declineOffer", in_bobs_name).await.words(), FORBIDDEN);
    let hold = json!({ "callId": call });
    assert_eq!(ann.command("answerCall", hold.clone()).await, Command::Refused("NO_OPEN_OFFER".into()));
    bob.accepted("answerCall", hold.clone()).await;

    let end = json!({ "callId": call, "by": "AGENT", "reason": "COMPLETED" });
    let transfer = json!({ "callId": call, "target": { "queue": "sales" }, "commandId": Uuid::now_v7() });
    for (command, input) in [
        ("holdCall", hold.clone()),
        ("holdCall", json!({ "callId": call, "leg": 2 })),
        ("muteParty", json!({ "callId": call, "party": "AGENT" })),
        ("transferBlind", transfer.clone()),
        ("startConsult", json!({ "callId": call, "agentId": world.ann.agent_id })),
        ("startRecording", hold.clone()),
        ("endCall", end.clone()),
    ] {
        assert_eq!(ann.command_refused(command, input).await.words(), FORBIDDEN, "{command}");
    }
    // A repetition of what was one's own then is answered as before.
    let repeated = ann.command("declineOffer", decline).await;
    assert!(matches!(repeated, Command::Accepted { already_applied: true, .. }), "{repeated:?}");

    bob.accepted("transferBlind", transfer.clone()).await;
    world.offer(call, &world.ann).await;
    ann.accepted("answerCall", hold.clone()).await;
    let repeated = bob.command("transferBlind", transfer).await;
    assert!(matches!(repeated, Command::Accepted { already_applied: true, .. }), "{repeated:?}");
    assert_eq!(bob.command_refused("holdCall", hold).await.words(), FORBIDDEN);
    assert_eq!(bob.command_refused("endCall", end.clone()).await.words(), FORBIDDEN);
    let wrap_up = |leg: u32| json!({ "callId": call, "leg": leg, "disposition": "done" });
    assert_eq!(ann.command_refused("completeWrapUp", wrap_up(2)).await.words(), FORBIDDEN);
    ann.accepted("endCall", end).await;
    assert_eq!(bob.command_refused("completeWrapUp", wrap_up(3)).await.words(), FORBIDDEN);
    bob.accepted("completeWrapUp", wrap_up(2)).await;
    let unnamed = json!({ "callId": call, "disposition": "done" });
    assert_eq!(bob.command_refused("completeWrapUp", unnamed.clone()).await.words(), FORBIDDEN);
    ann.accepted("completeWrapUp", unnamed).await;
    assert_eq!(ann.command("holdCall", json!({ "callId": call })).await, Command::Refused("CALL_OVER".into()));
    world.end().await;
}

#[tokio::test]
async fn only_administrators_add_users() {
    let world = World::new().await;
    let admin = world.server.signed_in(Role::Admin).await;
    let create = "mutation ($input: CreateUserInput!) { createUser(input: $input) { userId role permissions } }";
    let input =
        |email: &str| json!({ "input": { "email": email, "name": "New", "role": "SUPERVISOR", "password": PASSWORD } });
    for client in [&world.ann.client, &world.supervisor] {
        assert_eq!(client.refused(create, input("new@voice.test")).await.words(), FORBIDDEN);
    }
    let listed = world.supervisor.query("{ users(first: 100) { nodes { email } } }", json!({})).await;
    assert!(!column(listed["users"]["nodes"].as_array().unwrap(), "/email").contains(&json!("new@voice.test")));
    let set_role = "mutation ($input: SetUserRoleInput!) { setUserRole(input: $input) { userId } }";
    let raise = json!({ "input": { "userId": world.ann.user_id, "role": "ADMIN" } });
    assert_eq!(world.supervisor.refused(set_role, raise).await.words(), FORBIDDEN);

    let made = admin.query(create, input("New@Voice.test")).await;
    assert_eq!(made["createUser"]["role"], json!("SUPERVISOR"));
    let taken = admin.refused(create, input("new@voice.test")).await;
    assert_eq!(taken.words(), (BAD_INPUT, "EMAIL_TAKEN"));
    let unknown = json!({ "input": { "userId": Uuid::now_v7(), "role": "ADMIN" } });
    assert_eq!(admin.refused(set_role, unknown).await.words(), ("NOT_FOUND", ""));
    world.end().await;
}
