//! One role a process, as in the distributed form: the same work, and any of them may die.

use std::collections::BTreeMap;

use commands::relay::PARTITIONS;
use serde_json::{Value, json};
use tests::kafka::Reader;
use tests::{Voice, kafka};

use super::health::health;
use super::watcher::{Watcher, events};
use super::{EMAIL, PASSWORD, World, conversations, sign_in, stored};
use crate::view::until;

const ROLES: [&str; 4] = ["relay", "projections", "ingest", "api"];

async fn unmigrated() -> World {
    let world = World::new().await;
    sqlx::raw_sql("DROP SCHEMA read CASCADE; DROP SCHEMA public CASCADE; CREATE SCHEMA public")
        .execute(&world.database.pool)
        .await
        .unwrap();
    world
}

#[tokio::test]
async fn four_processes_do_together_what_one_does() {
    let world = unmigrated().await;
    let pool = &world.database.pool;
    let (brokers, topic) = (kafka::brokers(), kafka::topic());
    let environment =
        [("DATABASE_URL", world.database.url.as_str()), ("KAFKA_BROKERS", &brokers), ("KAFKA_TOPIC", &topic)];
    let role =
        |name: &str| Voice::start(&[name, "--listen", "127.0.0.1:0", "--database-connections", "12"], &environment);

    for name in ROLES {
        let ended = Voice::ended_of(role(name)).await;
        assert_eq!(ended.status.code(), Some(1), "{name}: {ended:?}");
        assert!(ended.log.contains("is the database migrated?"), "{name}: {ended:?}");
    }
    for _ in 0..2 {
        let migrated = Voice::run(&["migrate"], &environment).await;
        assert!(migrated.status.success() && migrated.output == ["the database is up to date"], "{migrated:?}");
    }

    // Nothing to answer from yet.
    let (early, models) = (role("api"), projections::read_models(chrono_tz::UTC).len());
    let (status, body) = health(early.address().await, "ready").await;
    assert!(status == 503 && body.matches("\"missing\"").count() == models, "{status} {body}");
    assert!(early.line("Login").await.contains("shown this once"));
    drop(early);
    sqlx::query("DELETE FROM users").execute(pool).await.unwrap();

    let [mut relay, mut projections, mut ingest, api] = ROLES.map(role);
    for running in [&relay, &projections, &ingest, &api] {
        let address = running.address().await;
        assert_eq!(health(address, "live").await, (200, "live".to_owned()));
        until("it is ready", async || health(address, "ready").await.0 == 200).await;
        let (_, body) = health(address, "ready").await;
        let body: Value = serde_json::from_str(&body).unwrap();
        let checks = body["checks"].as_array().unwrap();
        let well = ["ok", "standing-by", "degraded"].map(|status| json!(status));
        assert!(body["ready"] == true && checks.iter().all(|check| well.contains(&check["status"])), "{body}");
    }
    // Nobody else could let the first person in.
    let address = world.serves(&api).await;
    let login = api.line("Login").await;
    let words: Vec<&str> = login.split_whitespace().collect();
    let (email, password) = (words[1], words[3]);
    let client = sign_in(address, email, password).await;
    let log = Watcher::start(world.server.subscribe(), client.token().unwrap(), events());

    conversations::short(&world.path("conversations"));
    let expected = conversations::sentences(world.path("conversations").as_ref());
    let said = i64::try_from(expected.iter().map(Vec::len).sum::<usize>()).unwrap();
    let (path, url) = (world.path("conversations"), format!("http://{address}"));
    let import = ["import", &path, "--speed", "40", "--gap-s", "2", "--url", &url, "--email", email];
    let wrong = Voice::run(&[&import[..], &["--password", "wrong horse battery"]].concat(), &[]).await;
    assert!(!wrong.status.success() && wrong.log.contains("wrong e-mail address or password"), "{wrong:?}");
    let import = Voice::start(&[&import[..], &["--password", password]].concat(), &[]);

    // All but the one that the import speaks to die, one after the other.
    for (share, name, running) in
        [(20, "projections", &mut projections), (40, "ingest", &mut ingest), (60, "relay", &mut relay)]
    {
        until("a part was said", async || stored::segments(pool).await >= said * share / 100).await;
        std::mem::replace(running, role(name)).kill().await;
        running.address().await;
    }
    import.line("import finished").await;
    assert!(import.ended().await.success());
    let head = stored::scored(pool).await;
    stored::projected(pool, head).await;
    until("everything is on Kafka", async || commands::relay::position(pool, &topic).await.unwrap() == head).await;
    let found = stored::stories(pool).await.into_values().map(|story| story.sentences).collect();
    conversations::assert_said(found, &expected);
    let seen = log.until("every event", |payloads| payloads.len() >= usize::try_from(head).unwrap()).await;
    let seen: Vec<i64> = seen.iter().map(|payload| payload["event"]["position"].as_i64().unwrap()).collect();
    assert_eq!(seen, (1..=head).collect::<Vec<_>>());

    // The topic was lost, say: published anew, and nobody minds.
    let before = stored::read_models(pool).await;
    let again = Voice::run(&["relay", "--from", "1"], &environment).await;
    assert!(again.status.success() && again.output == ["the relay publishes again from position 1"], "{again:?}");
    until("everything is on Kafka again", async || commands::relay::position(pool, &topic).await.unwrap() == head)
        .await;
    let records = Reader::new(&brokers, &topic, PARTITIONS);
    let mut times = BTreeMap::new();
    while times.len() < usize::try_from(head).unwrap() || times.values().any(|times| *times < 2) {
        *times.entry(records.next().await.position()).or_insert(0) += 1;
    }
    assert_eq!(times.keys().copied().collect::<Vec<_>>(), (1..=head).collect::<Vec<_>>());
    assert_eq!(stored::read_models(pool).await, before);

    // Another node takes the same tokens, and shows no password.
    let second = role("api");
    let at_second = tests::Client::new(second.address().await, client.token().map(str::to_owned));
    let data = at_second.query("{ calls(first: 100) { edges { node { state } } } }", json!({})).await;
    assert_eq!(data["calls"]["edges"], json!(vec![json!({ "node": { "state": "ENDED" } }); expected.len()]));
    assert!(!second.output().iter().any(|line| line.contains("password")));
    for running in [second, api, ingest, projections, relay] {
        assert!(running.terminate().await.success());
    }
}

#[tokio::test]
async fn two_of_everything_on_one_database_do_the_work_once() {
    let world = World::new().await;
    let pool = &world.database.pool;
    let (brokers, topic) = (kafka::brokers(), kafka::topic());
    let kafka = [("KAFKA_BROKERS", brokers.as_str()), ("KAFKA_TOPIC", topic.as_str())];
    conversations::short(&world.path("conversations"));
    let expected = conversations::sentences(world.path("conversations").as_ref());
    let said = i64::try_from(expected.iter().map(Vec::len).sum::<usize>()).unwrap();
    let first = world.served(&[], &kafka).await;
    let client = world.client().await;
    let near = Watcher::start(world.server.subscribe(), client.token().unwrap(), events());
    let url = format!("http://{}", world.server.borrow().unwrap());
    // One follows Kafka, the other one the table.
    let second = world.served(&[], &[]).await;
    let far = Watcher::start(world.server.subscribe(), client.token().unwrap(), events());
    let path = world.path("conversations");
    let import =
        ["import", &path, "--speed", "40", "--gap-s", "2", "--url", &url, "--email", EMAIL, "--password", PASSWORD];
    let import = Voice::start(&import, &[]);
    until("a part was said", async || stored::segments(pool).await >= said / 2).await;
    second.kill().await;
    let second = world.served(&[], &[]).await;
    import.line("import finished").await;
    let head = stored::scored(pool).await;
    stored::projected(pool, head).await;
    let found = stored::stories(pool).await.into_values().map(|story| story.sentences).collect();
    conversations::assert_said(found, &expected);
    for watcher in [near, far] {
        let seen = watcher.until("every event", |payloads| payloads.len() >= usize::try_from(head).unwrap()).await;
        let seen: Vec<i64> = seen.iter().map(|payload| payload["event"]["position"].as_i64().unwrap()).collect();
        assert_eq!(seen, (1..=head).collect::<Vec<_>>());
    }
    for model in projections::read_models(chrono_tz::UTC) {
        let rebuilt = Voice::run(&["rebuild", model.name()], &[("DATABASE_URL", &world.database.url)]).await;
        assert!(rebuilt.output.last().unwrap().contains("equal to the view before"), "{rebuilt:?}");
    }
    for running in [first, second] {
        assert!(running.terminate().await.success());
    }
}
