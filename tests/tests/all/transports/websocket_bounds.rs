//! Bounds of a socket, each at its value and one past it.

use std::time::Duration;

use api::Limits;
use serde_json::json;
use tokio_tungstenite::tungstenite::Message;

use super::wire::{EVENTS, Heard, VIEWER, World, complete, subscribe, viewer};

#[tokio::test]
async fn without_connection_init_in_time_it_closes_4408() {
    let world = World::with(Limits { init_within: Duration::from_millis(50), ..Limits::default() }).await;
    assert_eq!(world.open().await.closed().await, 4408);
    let mut silent = world.open().await;
    silent.say(json!({ "type": "ping" })).await;
    assert_eq!(silent.closed().await, 4408);
    world.end().await;
}

#[tokio::test]
async fn a_token_that_is_revoked_closes_4403_while_connected() {
    let world = World::with(Limits { recheck_every: Duration::from_millis(20), ..Limits::default() }).await;
    let mut wire = world.ready().await;
    wire.say(subscribe("1", EVENTS)).await;
    wire.hears_nothing_before_a_pong().await;
    world.server.users.set_role(world.user.id, world.user.role, &[]).await.unwrap();
    assert_eq!(wire.closed().await, 4403);
    world.end().await;
}

#[tokio::test]
async fn messages_up_to_the_limit_are_taken_and_longer_ones_end_the_socket() {
    const MOST: usize = 2_000;
    let world = World::with(Limits { message_bytes: MOST, ..Limits::default() }).await;
    let padded = |bytes: usize| {
        let message = subscribe("1", VIEWER).to_string();
        format!("{message}{}", " ".repeat(bytes - message.len()))
    };
    let mut wire = world.ready().await;
    wire.send(Message::text(padded(MOST))).await;
    wire.hears(viewer("1")).await;
    wire.hears(complete("1")).await;
    // A code by which clients know that sending it again is no use.
    wire.send(Message::text(padded(MOST + 1))).await;
    assert_eq!(wire.closed().await, 1009);
    let mut far = world.ready().await;
    far.send(Message::text(padded(100 * MOST))).await;
    assert!(matches!(far.hear().await, Heard::Closed(1009) | Heard::Cut), "not even read to its end");
    world.end().await;
}

#[tokio::test]
async fn operations_up_to_the_limit_run_and_one_more_is_an_error() {
    const MOST: usize = 3;
    let world = World::with(Limits { operations_per_socket: MOST, ..Limits::default() }).await;
    let mut wire = world.ready().await;
    for n in 0..MOST {
        wire.say(subscribe(&n.to_string(), EVENTS)).await;
    }
    wire.hears_nothing_before_a_pong().await;
    wire.say(subscribe("more", VIEWER)).await;
    assert_eq!(wire.hears_error("more").await, "TOO_MANY_OPERATIONS");
    wire.say(complete("0")).await;
    wire.say(subscribe("more", VIEWER)).await;
    wire.hears(viewer("more")).await;
    wire.hears(complete("more")).await;
    world.end().await;
}

#[tokio::test]
async fn sockets_of_a_viewer_up_to_the_limit_are_taken_and_one_more_is_sent_away() {
    const MOST: usize = 2;
    let world = World::with(Limits { sockets_per_viewer: MOST, ..Limits::default() }).await;
    let held = [world.ready().await, world.ready().await];
    let mut more = world.open().await;
    more.say(world.init()).await;
    assert_eq!(more.closed().await, 1013);
    // Nobody else is kept out.
    let mut nobody = world.open().await;
    nobody.say(json!({ "type": "connection_init" })).await;
    nobody.hears(json!({ "type": "connection_ack" })).await;
    drop(held);
    world.end().await;
}

#[tokio::test]
async fn in_silence_the_server_pings_and_who_does_not_answer_is_cut_off() {
    let world = World::with(Limits { heartbeat_every: Duration::from_millis(40), ..Limits::default() }).await;
    let mut wire = world.ready().await;
    wire.say(subscribe("1", EVENTS)).await;
    // A client's library answers as it reads on: it stays for many times the silence that is allowed.
    for _ in 0..10 {
        assert_eq!(wire.hear().await, Heard::Ping);
    }
    wire.hears_nothing_before_a_pong().await;
    // What is read from the connection itself is answered by nobody.
    wire.ends_unanswered().await;
    world.end().await;
}

#[tokio::test]
async fn where_the_accounts_can_not_be_asked_it_closes_4500() {
    let world = World::new().await;
    let mut before = world.ready().await;
    sqlx::query("ALTER TABLE users RENAME TO gone").execute(&world.database.pool).await.unwrap();
    let mut wire = world.open().await;
    wire.say(world.init()).await;
    assert_eq!(wire.closed().await, 4500);
    // Who is here already is not sent away for that.
    before.hears_nothing_before_a_pong().await;
    world.end().await;
}
