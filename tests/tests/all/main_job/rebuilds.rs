//! `voice rebuild` while everything runs.

use serde_json::json;
use sqlx::AssertSqlSafe;
use tests::process::Ended;
use tests::{Client, Voice};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::clerk::{Clerk, assert_kept};
use super::{World, conversations, stored};
use crate::view::until;

/// Every read model.
fn models() -> Vec<&'static str> {
    projections::read_models(chrono_tz::UTC).iter().map(|model| model.name()).collect()
}

async fn rebuild(world: &World, model: &str) -> Ended {
    let ended = Voice::run(&["rebuild", model], &[("DATABASE_URL", &world.database.url)]).await;
    assert!(ended.status.success(), "{ended:?}");
    ended
}

/// It was compared, and there was no difference.
fn assert_equal(model: &str, ended: &Ended) {
    let last = ended.output.last().unwrap();
    assert!(last.starts_with(&format!("{model}: ")) && last.contains("equal to the view before"), "{ended:?}");
}

async fn drop_tables(world: &World) {
    for table in stored::tables(&world.database.pool).await {
        let drop = format!("DROP TABLE read.{table} CASCADE");
        sqlx::query(AssertSqlSafe(drop)).execute(&world.database.pool).await.unwrap();
    }
}

#[tokio::test]
async fn every_model_is_rebuilt_while_commands_are_given_and_queries_answered() {
    let world = World::new().await;
    let pool = &world.database.pool;
    conversations::short(&world.path("conversations"));
    let import = ["--import", &world.path("conversations"), "--speed", "1000", "--gap-s", "5"];
    let voice = world.served(&import, &[]).await;
    let client = world.client().await;
    let token = client.token().unwrap();
    voice.line("import finished").await;
    // The last sentence is scored, and the views told, after the import: what is asked below must not change any more.
    stored::projected(pool, stored::scored(pool).await).await;

    let clerk = Clerk::start(world.server.subscribe(), token);
    let (asking, stop) = ask(&world, token);
    for model in models() {
        let answered = clerk.done();
        assert_equal(model, &rebuild(&world, model).await);
        until("commands were answered meanwhile", async || clerk.done() > answered).await;
    }
    stop.cancel();
    assert!(asking.await.unwrap() > models().len(), "questions were answered all the time");
    let work = clerk.stop().await;
    assert!(work.failures.is_empty(), "{:?}", work.failures);
    assert_kept(pool, &work.receipts).await;

    // Every table gone, and made anew from the log.
    let head = stored::scored(pool).await;
    stored::projected(pool, head).await;
    let before = stored::read_models(pool).await;
    drop_tables(&world).await;
    for model in models() {
        rebuild(&world, model).await;
    }
    let after = stored::read_models(pool).await;
    assert_eq!(before.keys().collect::<Vec<_>>(), after.keys().collect::<Vec<_>>());
    for (table, rows) in before {
        assert_eq!(rows, after[&table], "{table}");
    }

    // The same while more comes in: what can't be taken in meanwhile waits, and nothing is parked.
    let log = stored::dense(pool).await;
    drop_tables(&world).await;
    let appended = commands_without_a_view(&world, token).await;
    for model in models() {
        rebuild(&world, model).await;
    }
    let head = stored::dense(pool).await;
    assert!(head >= log + appended);
    stored::projected(pool, head).await;
    for model in models() {
        assert_equal(model, &rebuild(&world, model).await);
    }
    assert!(voice.terminate().await.success());
}

/// Asks every read model, again and again, about what does not change any more; how often.
fn ask(world: &World, token: &str) -> (JoinHandle<usize>, CancellationToken) {
    let client = Client::new(world.server.borrow().unwrap(), Some(token.to_owned()));
    let stop = CancellationToken::new();
    let stopped = stop.clone();
    let asking = tokio::spawn(async move {
        let document = "{ calls(first: 100, filter: { states: [ENDED] }) { edges { node { callId legs { talkMs }
                                transcript { text } sentiment { score } } } }
                          agents(first: 100) { edges { node { name activity } } }
                          queues { name waiting }
                          searchTranscripts(text: \"thank\") { edges { node { snippet } } }
                          dashboard { offered answered handled } }";
        let first = client.query(document, json!({})).await;
        let mut asked = 1;
        while !stopped.is_cancelled() {
            assert_eq!(client.query(document, json!({})).await, first, "after {asked} equal answers");
            asked += 1;
        }
        asked
    });
    (asking, stop)
}

/// Gives commands whose outcome nobody can query now; how many.
async fn commands_without_a_view(world: &World, token: &str) -> i64 {
    let client = Client::new(world.server.borrow().unwrap(), Some(token.to_owned()));
    for _ in 0..20 {
        let initiate = json!({ "direction": "INBOUND", "from": "+12025550100", "to": "+12025550101" });
        client.accepted("initiateCall", initiate).await;
    }
    20
}
