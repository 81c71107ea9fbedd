//! Kafka or not: the read models are the same, to the byte.

use sqlx::PgPool;
use tests::{TestDatabase, Voice, copy_log, kafka};

use super::watcher::{Watcher, events};
use super::{World, conversations, stored};
use crate::view::until;

/// A database with the same log and nothing else.
async fn copy_of(pool: &PgPool) -> TestDatabase {
    let copy = TestDatabase::new().await;
    copy_log(pool, &copy.pool, stored::dense(pool).await).await;
    copy
}

#[tokio::test]
async fn a_kafka_that_is_not_there_stops_nobody() {
    let world = World::new().await;
    let pool = &world.database.pool;
    conversations::short(&world.path("conversations"));
    let expected = conversations::sentences(world.path("conversations").as_ref());
    let import = ["--import", &world.path("conversations"), "--speed", "1000", "--gap-s", "5"];
    let voice = world.served(&import, &[("KAFKA_BROKERS", "127.0.0.1:1"), ("KAFKA_TOPIC", "nowhere")]).await;
    voice.line("import finished").await;
    let head = stored::scored(pool).await;
    stored::projected(pool, head).await;
    conversations::assert_said(
        stored::stories(pool).await.into_values().map(|story| story.sentences).collect(),
        &expected,
    );
    assert!(voice.terminate().await.success());
    assert_eq!(commands::relay::position(pool, "nowhere").await.unwrap(), 0);
}

#[tokio::test]
async fn kafka_is_switched_off_and_on_during_an_import_and_the_views_are_as_if_it_had_never_been() {
    let world = World::new().await;
    let pool = &world.database.pool;
    conversations::short(&world.path("conversations"));
    let expected = conversations::sentences(world.path("conversations").as_ref());
    let said = i64::try_from(expected.iter().map(Vec::len).sum::<usize>()).unwrap();
    let path = world.path("conversations");
    let import = ["--import", path.as_str(), "--speed", "40", "--gap-s", "2", "--agents", "2"];
    let (brokers, topic) = (kafka::brokers(), kafka::topic());
    let kafka = [("KAFKA_BROKERS", brokers.as_str()), ("KAFKA_TOPIC", topic.as_str())];

    let first = world.served(&import, &kafka).await;
    let client = world.client().await;
    let log = Watcher::start(world.server.subscribe(), client.token().unwrap(), events());
    first.logged("following Kafka").await;
    until("a part was said", async || stored::segments(pool).await >= said / 4).await;
    assert!(first.terminate().await.success());

    let second = world.served(&import, &[]).await;
    until("more was said", async || stored::segments(pool).await >= said / 2).await;
    assert!(!second.log().contains("following Kafka"));
    second.kill().await;

    let third = world.served(&import, &kafka).await;
    third.line("import finished").await;
    third.logged("following Kafka").await;
    let head = stored::scored(pool).await;
    stored::projected(pool, head).await;
    until("everything is on Kafka", async || commands::relay::position(pool, &topic).await.unwrap() == head).await;
    conversations::assert_said(
        stored::stories(pool).await.into_values().map(|story| story.sentences).collect(),
        &expected,
    );
    let seen = log.until("every event", |payloads| payloads.len() >= usize::try_from(head).unwrap()).await;
    let seen: Vec<i64> = seen.iter().map(|payload| payload["event"]["position"].as_i64().unwrap()).collect();
    assert_eq!(seen, (1..=head).collect::<Vec<_>>());
    assert!(third.terminate().await.success());

    // The same log, followed without Kafka from the beginning.
    let copy = copy_of(pool).await;
    let role = ["projections", "--listen", "127.0.0.1:0", "--database-connections", "12"];
    let projections = Voice::start(&role, &[("DATABASE_URL", copy.url.as_str())]);
    stored::projected(&copy.pool, head).await;
    assert!(projections.terminate().await.success());
    let (by_both, by_table) = (stored::read_models(pool).await, stored::read_models(&copy.pool).await);
    assert_eq!(by_both.keys().collect::<Vec<_>>(), by_table.keys().collect::<Vec<_>>());
    for (table, rows) in by_both {
        assert_eq!(rows, by_table[&table], "{table}");
    }
}
