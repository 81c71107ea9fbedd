//! What `/health/ready` says of a process whose work stalls, and of one that only depends on it.

use std::net::SocketAddr;

use serde_json::{Value, json};
use sqlx::{Postgres, Transaction};
use tests::{Voice, kafka};
use uuid::Uuid;

use super::World;
use crate::view::{append, until};

/// The answer of a health check: status and body.
pub(super) async fn health(address: SocketAddr, which: &str) -> (u16, String) {
    let response = reqwest::get(format!("http://{address}/health/{which}")).await.unwrap();
    (response.status().as_u16(), response.text().await.unwrap())
}

/// What `/health/ready` says: its status code, and the check of a name.
async fn check(address: SocketAddr, name: &str) -> (u16, Value) {
    let (code, body) = health(address, "ready").await;
    let body: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(body["ready"], json!(code == 200), "{body}");
    let checks = body["checks"].as_array().unwrap();
    let unready: Vec<&Value> = checks.iter().filter(|check| check["ready"] == false).collect();
    assert_eq!(unready.is_empty(), code == 200, "what is not ready is named: {body}");
    (code, checks.iter().find(|check| check["name"] == name).cloned().unwrap_or_default())
}

/// Waits until a check of a process says so, with this status code.
async fn becomes(voice: &Voice, name: &str, status: &str, code: u16) -> Value {
    let address = voice.address().await;
    let mut found = Value::Null;
    until(&format!("{name} is {status}"), async || {
        let (code_now, check) = check(address, name).await;
        let as_awaited = check["status"] == status && code_now == code;
        found = check;
        as_awaited
    })
    .await;
    found
}

impl World {
    /// One role as a process that calls a second without progress a stall.
    fn watched(&self, role: &str, environment: &[(&str, &str)]) -> Voice {
        let arguments = [role, "--listen", "127.0.0.1:0", "--database-connections", "12", "--stalled-after-s", "1"];
        Voice::start(&arguments, &[&[("DATABASE_URL", self.database.url.as_str())], environment].concat())
    }

    /// Holds a lock, as a session does that hangs.
    async fn held(&self, lock: &'static str) -> Transaction<'static, Postgres> {
        let mut transaction = self.database.pool.begin().await.unwrap();
        assert_eq!(sqlx::query(lock).execute(&mut *transaction).await.unwrap().rows_affected(), 1, "{lock}");
        transaction
    }
}

#[tokio::test]
async fn a_read_model_that_stalls_is_named_and_takes_no_node_that_serves_clients_out_of_rotation() {
    let world = World::new().await;
    let projections = world.watched("projections", &[]);
    let api = world.watched("api", &[]);
    for voice in [&projections, &api] {
        becomes(voice, "projection:calls", "ok", 200).await;
    }
    let before = append(&world.database.pool, Uuid::now_v7(), &["sales"; 2]).await;
    let caught_up = becomes_at(&projections, "projection:calls", before).await;
    assert_eq!((&caught_up["head"], &caught_up["restsS"]), (&json!(before), &json!(0.0)));

    let lock = world.held("SELECT FROM projections WHERE name = 'calls' FOR UPDATE").await;
    let head = append(&world.database.pool, Uuid::now_v7(), &["sales"; 3]).await;
    let stalled = becomes(&projections, "projection:calls", "stalled", 503).await;
    assert_eq!((&stalled["position"], &stalled["head"]), (&json!(before), &json!(head)));
    assert!(stalled["restsS"].as_f64().unwrap() >= 1.0 && stalled["behindS"].as_f64().unwrap() >= 1.0, "{stalled}");
    becomes(&api, "projection:calls", "stalled", 200).await;
    for voice in [&projections, &api] {
        // The others go on, and so does the feed.
        for name in ["projection:agents", "feed", "database"] {
            let (_, other) = check(voice.address().await, name).await;
            assert_eq!((&other["status"], &other["ready"]), (&json!("ok"), &json!(true)), "{other}");
        }
        voice.logged("watchdog name=\"projection:calls\" status=Stalled").await;
    }
    lock.rollback().await.unwrap();
    for voice in [&projections, &api] {
        becomes(voice, "projection:calls", "ok", 200).await;
        voice.logged("watchdog name=\"projection:calls\" status=Ok before=Stalled").await;
    }
    for voice in [projections, api] {
        assert!(voice.terminate().await.success());
    }
}

/// Waits until a read model is at a position.
async fn becomes_at(voice: &Voice, name: &str, position: i64) -> Value {
    let address = voice.address().await;
    let mut found = Value::Null;
    until(&format!("{name} is at {position}"), async || {
        found = check(address, name).await.1;
        found["position"] == position
    })
    .await;
    found
}

#[tokio::test]
async fn a_read_model_with_parked_keys_is_named() {
    let world = World::new().await;
    let voice = world.served(&[], &[]).await;
    becomes(&voice, "projection:calls", "ok", 200).await;
    let sick = "ALTER TABLE read.calls ADD CONSTRAINT sick CHECK (from_number <> '+14155552671')";
    sqlx::query(sick).execute(&world.database.pool).await.unwrap();
    let call =
        json!({ "callId": Uuid::now_v7(), "direction": "INBOUND", "from": "+14155552671", "to": "+14155550100" });
    world.client().await.accepted("initiateCall", call).await;
    let parked = becomes(&voice, "projection:calls", "parked", 200).await;
    assert_eq!(parked["parkedKeys"], 1, "{parked}");
    assert!(voice.terminate().await.success());
}

#[tokio::test]
async fn a_feed_that_stalls_takes_its_node_out_of_rotation() {
    let world = World::new().await;
    let (projections, api) = (world.watched("projections", &[]), world.watched("api", &[]));
    let before = append(&world.database.pool, Uuid::now_v7(), &["sales"]).await;
    becomes_at(&projections, "projection:calls", before).await;
    becomes(&api, "feed", "ok", 200).await;
    // As a newer program may write it: nothing that this one could take for an event.
    let foreign = "WITH counter AS (UPDATE event_log SET position = position + 1 RETURNING position)
        INSERT INTO events SELECT c.position, gen_random_uuid(), gen_random_uuid(), 'weather', 1, e.type, e.schema_version,
            now(), now(), e.actor, e.correlation_id, NULL, NULL, e.payload FROM events e, counter c WHERE e.position = $1";
    sqlx::query(foreign).bind(before).execute(&world.database.pool).await.unwrap();
    for voice in [&projections, &api] {
        let stalled = becomes(voice, "feed", "stalled", 503).await;
        assert_eq!((&stalled["position"], &stalled["head"]), (&json!(before), &json!(before + 1)));
        voice.logged("watchdog name=\"feed\" status=Stalled").await;
    }
    for voice in [projections, api] {
        assert!(voice.terminate().await.success());
    }
}

#[tokio::test]
async fn a_kafka_that_is_away_is_told_by_all_and_stops_the_relay_alone() {
    let world = World::new().await;
    let nowhere = [("KAFKA_BROKERS", "127.0.0.1:1"), ("KAFKA_TOPIC", "nowhere")];
    let (projections, api) = (world.watched("projections", &nowhere), world.watched("api", &nowhere));
    let relay = world.watched("relay", &nowhere);
    let head = append(&world.database.pool, Uuid::now_v7(), &["sales"]).await;
    let stalled = becomes(&relay, "relay:nowhere", "stalled", 503).await;
    assert_eq!((&stalled["position"], &stalled["head"]), (&json!(0), &json!(head)));
    for voice in [&projections, &api] {
        becomes_at(voice, "projection:calls", head).await;
        let degraded = becomes(voice, "feed", "degraded", 200).await;
        assert_eq!(degraded["ready"], true, "{degraded}");
    }
    assert!(relay.terminate().await.success());
    // Everything in one process serves clients, so it stays in rotation.
    let together = world.up(&["--stalled-after-s", "1"], &nowhere);
    let told = becomes(&together, "relay:nowhere", "stalled", 200).await;
    assert_eq!(told["ready"], true, "{told}");
    for voice in [projections, api, together] {
        assert!(voice.terminate().await.success());
    }
}

#[tokio::test]
async fn a_relay_that_stands_by_does_not_stall_as_long_as_another_one_leads() {
    let world = World::new().await;
    let (brokers, topic) = (kafka::brokers(), kafka::topic());
    let environment = [("KAFKA_BROKERS", brokers.as_str()), ("KAFKA_TOPIC", topic.as_str())];
    let pool = &world.database.pool;
    let before = append(pool, Uuid::now_v7(), &["sales"]).await;
    let relays = [world.watched("relay", &environment), world.watched("relay", &environment)];
    until("it is published", async || commands::relay::position(pool, &topic).await.unwrap() == before).await;
    let name = format!("relay:{topic}");
    let lock = world.held("SELECT FROM relay_checkpoints FOR UPDATE").await;
    let head = append(pool, Uuid::now_v7(), &["sales"; 2]).await;
    let addresses = [relays[0].address().await, relays[1].address().await];
    // Whoever leads hangs at the lock; when its lease has run out the other one leads, and hangs there too.
    until("one stalls and one stands by", async || {
        let (one, two) = (check(addresses[0], &name).await, check(addresses[1], &name).await);
        let mut both = [(one.0, one.1["status"].clone()), (two.0, two.1["status"].clone())];
        both.sort_by_key(|(code, _)| *code);
        let head_seen = one.1["head"] == head && two.1["head"] == head;
        head_seen && both == [(200, json!("standing-by")), (503, json!("stalled"))]
    })
    .await;
    lock.rollback().await.unwrap();
    until("it is published", async || commands::relay::position(pool, &topic).await.unwrap() == head).await;
    for address in addresses {
        until("both are ready", async || health(address, "ready").await.0 == 200).await;
    }
    for relay in relays {
        assert!(relay.terminate().await.success());
    }
}
