//! Who is let in: tokens that are none, tokens that were good, and what sign-in gives away.

use domain::permission::Role;
use serde_json::{Value, json};
use tests::graphql::Pushed;
use tests::server::PASSWORD;
use tests::{Client, TestDatabase, TestServer};

use super::{BAD_INPUT, FORBIDDEN};

const VIEWER: &str = "{ viewer { userId role permissions disabled } }";
const LOGIN: &str =
    "mutation ($input: LoginInput!) { login(input: $input) { accessToken expiresInS user { userId } } }";

async fn is_let_in(client: &Client) -> bool {
    let answer = client.send(VIEWER, json!({})).await;
    if answer["errors"].is_null() {
        return true;
    }
    assert_eq!(tests::Refusal::of(&answer).words(), ("UNAUTHENTICATED", ""));
    false
}

#[tokio::test]
async fn garbage_is_no_token() {
    let database = TestDatabase::new().await;
    let server = TestServer::start(&database).await;
    let user = server.user(Role::Supervisor, None, &[]).await;
    let good = server.sign_in(&user).await;
    assert!(is_let_in(&good).await);
    let token = good.token().unwrap();
    let (head, signature) = token.rsplit_once('.').unwrap();
    let (_, claims) = head.split_once('.').unwrap();
    let no_algorithm = "eyJhbGciOiJub25lIiwidHlwIjoiYXQrand0In0";
    for garbage in [
        "x".to_owned(),
        "a.b.c".to_owned(),
        format!("{head}."),
        format!("{head}.{}", signature.chars().rev().collect::<String>()),
        format!("{no_algorithm}.{claims}."),
        format!("{token}x"),
        "9".repeat(10_000),
    ] {
        let client = server.with_token(&garbage);
        assert!(!is_let_in(&client).await, "{garbage}");
        // Who shows a bad token is not taken for nobody: also what is open to all is refused.
        assert_eq!(client.refused("{ __typename }", json!({})).await.code, "UNAUTHENTICATED", "{garbage}");
        let mut socket = client.open().await;
        let payload = json!({ "authorization": format!("Bearer {garbage}") });
        socket.say(&json!({ "type": "connection_init", "payload": payload })).await;
        assert_eq!(socket.message().await, Pushed::Closed(4403), "{garbage}");
    }
    for scheme in ["Basic", "Token", ""] {
        let value = format!("{scheme} {token}");
        let request = server.anonymous().post().header("authorization", value).json(&json!({ "query": VIEWER }));
        let answer: Value = request.send().await.unwrap().json().await.unwrap();
        assert_eq!(tests::Refusal::of(&answer).code, "UNAUTHENTICATED", "{scheme}");
    }
    server.stop().await;
}

#[tokio::test]
async fn sign_in_does_not_say_what_was_wrong() {
    let database = TestDatabase::new().await;
    let server = TestServer::start(&database).await;
    let user = server.user(Role::Agent, None, &[]).await;
    let closed = server.user(Role::Agent, None, &[]).await;
    server.users.set_disabled(closed.id, true).await.unwrap();
    let nobody = server.anonymous();
    let sign_in = async |email: &str, password: &str| {
        let input = json!({ "input": { "email": email, "password": password } });
        nobody.send(LOGIN, input).await
    };
    let upper = sign_in(&user.email.to_uppercase(), PASSWORD).await;
    assert_eq!(upper["data"]["login"]["user"]["userId"], json!(user.id));
    assert_eq!(upper["data"]["login"]["expiresInS"], json!(api::TOKEN_LASTS.as_secs()));
    let wrong_password = sign_in(&user.email, "wrong password").await;
    assert_eq!(tests::Refusal::of(&wrong_password).words(), ("UNAUTHENTICATED", ""));
    for (email, password) in [
        ("nobody@voice.test", PASSWORD),
        ("no address", PASSWORD),
        ("", ""),
        ("a\u{0}b@voice.test", PASSWORD),
        (&closed.email, PASSWORD),
        (&user.email, ""),
        (&user.email, &"p".repeat(5_000)),
    ] {
        assert_eq!(sign_in(email, password).await, wrong_password, "{email:?}");
    }
    server.stop().await;
}

#[tokio::test]
async fn a_closed_account_is_out_at_once_and_its_socket_soon() {
    let database = TestDatabase::new().await;
    let server = TestServer::start(&database).await;
    let admin = server.signed_in(Role::Admin).await;
    let user = server.user(Role::Supervisor, None, &[]).await;
    let client = server.sign_in(&user).await;
    let mut socket = client.subscribe("subscription { queueBoard { cursor } }", json!({})).await;
    socket.next().await;

    let close = "mutation ($input: SetUserDisabledInput!) { setUserDisabled(input: $input) { disabled } }";
    let input = |disabled: bool| json!({ "input": { "userId": user.id, "disabled": disabled } });
    assert_eq!(admin.query(close, input(true)).await["setUserDisabled"]["disabled"], json!(true));
    assert!(!is_let_in(&client).await);
    // The common client comes back after this code, with a new token if it has one.
    assert_eq!(socket.message().await, Pushed::Closed(4403));

    assert_eq!(admin.query(close, input(false)).await["setUserDisabled"]["disabled"], json!(false));
    assert!(!is_let_in(&client).await, "the old token must stay worthless");
    assert!(is_let_in(&server.sign_in(&user).await).await);
    server.stop().await;
}

#[tokio::test]
async fn a_new_password_ends_the_old_tokens() {
    let database = TestDatabase::new().await;
    let server = TestServer::start(&database).await;
    let user = server.user(Role::Agent, None, &[]).await;
    let client = server.sign_in(&user).await;
    let other = server.sign_in(&user).await;
    let change = "mutation ($input: ChangePasswordInput!) { changePassword(input: $input) { accessToken } }";
    let input = |current: &str, new: &str| json!({ "input": { "currentPassword": current, "newPassword": new } });
    let wrong = client.refused(change, input("wrong password", "a new password")).await;
    assert_eq!(wrong.words(), (BAD_INPUT, "PASSWORD_WRONG"));
    let short = client.refused(change, input(PASSWORD, "short")).await;
    assert_eq!(short.words(), (BAD_INPUT, "PASSWORD_LENGTH"));
    assert!(is_let_in(&client).await);

    let data = client.query(change, input(PASSWORD, "a new password")).await;
    let token = data["changePassword"]["accessToken"].as_str().unwrap();
    assert!(!is_let_in(&client).await && !is_let_in(&other).await);
    assert!(is_let_in(&server.with_token(token)).await);
    let renewed = server.with_token(token).query("mutation { renewToken { accessToken } }", json!({})).await;
    assert!(is_let_in(&server.with_token(renewed["renewToken"]["accessToken"].as_str().unwrap())).await);
    server.stop().await;
}

#[tokio::test]
async fn permissions_beside_a_role_count_at_once() {
    let database = TestDatabase::new().await;
    let server = TestServer::start(&database).await;
    let admin = server.signed_in(Role::Admin).await;
    let agent_id = uuid::Uuid::now_v7();
    let user = server.user(Role::Agent, Some(agent_id), &[]).await;
    let client = server.sign_in(&user).await;
    let head = "{ logPosition }";
    assert_eq!(client.refused(head, json!({})).await.words(), FORBIDDEN);

    let set = "mutation ($input: SetUserRoleInput!) { setUserRole(input: $input) { role permissions } }";
    let give = async |permissions: &[&str]| {
        let input = json!({ "input": { "userId": user.id, "role": "AGENT", "permissions": permissions } });
        admin.query(set, input).await;
        server.sign_in(&user).await
    };
    let given = give(&["event:read"]).await;
    assert!(!is_let_in(&client).await, "a token from before must not carry the old rights on");
    assert!(given.query(head, json!({})).await["logPosition"].is_i64());

    let users = "{ users { nodes { userId } } }";
    assert_eq!(given.refused(users, json!({})).await.words(), FORBIDDEN);
    let wild = give(&["*:read"]).await;
    assert!(wild.query(users, json!({})).await["users"]["nodes"].as_array().unwrap().len() >= 2);
    let create = json!({ "agentId": agent_id, "name": "One" });
    assert_eq!(wild.command_refused("registerAgent", create.clone()).await.words(), FORBIDDEN);

    // `:own` is for the agent the user is, and for no other.
    let own = give(&["agent:create:own", "agent:manage:own"]).await;
    let foreign = json!({ "agentId": uuid::Uuid::now_v7(), "name": "Two" });
    assert_eq!(own.command_refused("registerAgent", foreign).await.words(), FORBIDDEN);
    own.accepted("registerAgent", create).await;
    own.accepted("changeCapacity", json!({ "agentId": agent_id, "capacity": 3 })).await;

    let everything = give(&["*"]).await;
    assert!(everything.query(users, json!({})).await["users"]["nodes"].is_array());
    let nothing = give(&[]).await;
    assert_eq!(nothing.refused(head, json!({})).await.words(), FORBIDDEN);
    let bad = json!({ "input": { "userId": user.id, "role": "AGENT", "permissions": ["event read"] } });
    assert_eq!(admin.refused(set, bad).await.words(), (BAD_INPUT, "PERMISSION_INVALID"));
    server.stop().await;
}
