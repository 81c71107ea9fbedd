//! `kill -9` at any moment of an import: nothing that was acknowledged is lost, nothing is doubled.

use serde_json::Value;
use tests::Voice;
use uuid::Uuid;

use super::clerk::{Clerk, assert_kept};
use super::stored::{self, Story};
use super::watcher::{Watcher, events, sentiment, transcript};
use super::{EMAIL, PASSWORD, World, conversations};
use crate::view::until;

/// Shares of the conversations after which the process is killed, in percent.
const KILLED_AT: [i64; 5] = [0, 12, 35, 60, 80];

/// What an import that nobody disturbs leaves behind: the stories of the calls, and what the agents did.
async fn undisturbed() -> (Vec<Story>, Vec<Vec<String>>) {
    let world = World::new().await;
    conversations::short(&world.path("conversations"));
    let voice = world.up(&["--import", &world.path("conversations"), "--speed", "1000", "--agents", "2"], &[]);
    voice.line("import finished").await;
    stored::scored(&world.database.pool).await;
    assert!(voice.terminate().await.success());
    what_is_told(&world).await
}

async fn what_is_told(world: &World) -> (Vec<Story>, Vec<Vec<String>>) {
    let mut stories: Vec<Story> = stored::stories(&world.database.pool).await.into_values().collect();
    stories.sort();
    (stories, stored::agents(&world.database.pool).await.into_values().collect())
}

#[tokio::test]
async fn an_import_goes_on_where_it_was_killed_and_those_who_watch_miss_nothing() {
    let (stories, agents) = undisturbed().await;
    let said: usize = stories.iter().map(|story| story.sentences.len()).sum();

    let world = World::new().await;
    let pool = &world.database.pool;
    conversations::short(&world.path("conversations"));
    let path = world.path("conversations");
    let import = ["--import", path.as_str(), "--speed", "40", "--gap-s", "2", "--agents", "2"];
    // Killed at its start: while it makes its keys and its tables, for all we know.
    let voice = world.up(&import, &[]);
    voice.logged("follow the event table").await;
    voice.kill().await;

    let mut voice = world.served(&import, &[]).await;
    let client = world.client().await;
    // One token and one cursor are good for every process, because their keys are in the database.
    let token = client.token().unwrap();
    let watch = |what| Watcher::start(world.server.subscribe(), token, what);
    let log = watch(events());
    let clerk = Clerk::start(world.server.subscribe(), token);
    let first = log.until("a call", |payloads| first_call(payloads).is_some()).await;
    let call = first_call(&first).unwrap();
    let (said_in_call, mood_in_call) = (watch(transcript(call)), watch(sentiment(call)));
    for share in KILLED_AT {
        let enough = i64::try_from(said).unwrap() * share / 100;
        until("enough was said", async || stored::segments(pool).await >= enough).await;
        assert!(!voice.output().iter().any(|line| line.contains("import finished")), "killed too late");
        let answered = clerk.done();
        voice.kill().await;
        voice = world.served(&import, &[]).await;
        until("commands are answered again", async || clerk.done() > answered + 2).await;
    }
    voice.line("import finished").await;
    let work = clerk.stop().await;
    let head = stored::scored(pool).await;

    // The log: dense, and with it every command that was answered, and the calls as if nothing had happened.
    assert!(!work.receipts.is_empty() && !work.failures.is_empty());
    assert_kept(pool, &work.receipts).await;
    assert_told(&world, &stories, &agents).await;

    // Those who watched: one history, put together from several connections.
    assert_seen(&world, &log, head).await;
    assert_eq!(log.connections(), KILLED_AT.len() + 1);
    let story = &stored::stories(pool).await[&call];
    let count = story.sentences.len();
    let heard = said_in_call.until("every sentence", |payloads| payloads.len() >= count).await;
    let heard: Vec<_> = heard.iter().map(|payload| stored::sentence(&payload["segment"])).collect();
    assert_eq!(heard, story.sentences);
    let moods = mood_in_call.until("every mood", |payloads| payloads.len() >= count).await;
    let moods: Vec<_> = moods.iter().map(|payload| payload["score"]["segment"].as_i64().unwrap()).collect();
    assert_eq!(moods, story.scores.iter().map(|(segment, _)| *segment).collect::<Vec<_>>());

    stored::projected(pool, head).await;
    assert!(voice.terminate().await.success());
}

async fn assert_told(world: &World, stories: &[Story], agents: &[Vec<String>]) {
    let (found, found_agents) = what_is_told(world).await;
    for (found, expected) in found.iter().zip(stories) {
        assert_eq!(found, expected);
    }
    assert_eq!((found.len(), found_agents.as_slice()), (stories.len(), agents));
}

/// A watcher has seen every event of the log, once and in order.
async fn assert_seen(world: &World, log: &Watcher, head: i64) {
    let seen = log.until("every event", |payloads| payloads.len() >= usize::try_from(head).unwrap()).await;
    let stored: Vec<(i64, Uuid)> = sqlx::query_as("SELECT position, id FROM events ORDER BY position")
        .fetch_all(&world.database.pool)
        .await
        .unwrap();
    let of = |payload: &Value| {
        let event = &payload["event"];
        (event["position"].as_i64().unwrap(), event["eventId"].as_str().unwrap().parse::<Uuid>().unwrap())
    };
    assert_eq!(seen.iter().map(of).collect::<Vec<_>>(), stored);
}

/// Every connection to the database cut again and again, in the middle of whatever it does.
#[tokio::test]
async fn connections_to_the_database_that_break_cost_nothing_but_time() {
    let (stories, agents) = undisturbed().await;
    let said: usize = stories.iter().map(|story| story.sentences.len()).sum();
    let world = World::new().await;
    let pool = &world.database.pool;
    conversations::short(&world.path("conversations"));
    let import = ["--import", &world.path("conversations"), "--speed", "40", "--gap-s", "2", "--agents", "2"];
    let voice = world.served(&import, &[]).await;
    let client = world.client().await;
    let log = Watcher::start(world.server.subscribe(), client.token().unwrap(), events());
    let clerk = Clerk::start(world.server.subscribe(), client.token().unwrap());
    for share in [5, 20, 40, 60, 80] {
        let enough = i64::try_from(said).unwrap() * share / 100;
        until("enough was said", async || stored::segments(pool).await >= enough).await;
        let answered = clerk.done();
        let cut = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
                   WHERE datname = current_database() AND application_name = 'voice'";
        let cut: i64 = sqlx::query_scalar(cut).fetch_one(pool).await.unwrap();
        assert!(cut > 5, "{cut} connections were cut");
        until("commands are answered again", async || clerk.done() > answered + 2).await;
    }
    voice.line("import finished").await;
    let work = clerk.stop().await;
    let head = stored::scored(pool).await;
    assert_kept(pool, &work.receipts).await;
    assert_told(&world, &stories, &agents).await;
    assert_seen(&world, &log, head).await;
    assert_eq!(log.connections(), 1, "a watcher is none of it");
    stored::projected(pool, head).await;
    assert!(voice.terminate().await.success());
}

/// The importer is a process of its own, and may be stopped or killed like any other.
#[tokio::test]
async fn an_import_that_is_stopped_says_how_to_go_on() {
    let (stories, agents) = undisturbed().await;
    let said: usize = stories.iter().map(|story| story.sentences.len()).sum();
    let world = World::new().await;
    let pool = &world.database.pool;
    conversations::short(&world.path("conversations"));
    let voice = world.served(&[], &[]).await;
    let (path, url) = (world.path("conversations"), format!("http://{}", world.server.borrow().unwrap()));
    let import = ["import", &path, "--url", &url, "--email", EMAIL, "--password", PASSWORD, "--speed", "40"];
    let import = [&import[..], &["--gap-s", "2", "--agents", "2"]].concat();

    let stopped = Voice::start(&import, &[]);
    until("a part was said", async || stored::segments(pool).await >= i64::try_from(said / 4).unwrap()).await;
    let stopped = stopped.terminated().await;
    assert_eq!(stopped.status.code(), Some(1), "{stopped:?}");
    let (_, rest) = stopped.log.split_once("--run ").expect("the name of the run");
    let run = rest.split(':').next().unwrap().to_owned();
    let again = [&import[..], &["--run", &run]].concat();
    let killed = Voice::start(&again, &[]);
    until("more was said", async || stored::segments(pool).await >= i64::try_from(said / 2).unwrap()).await;
    killed.kill().await;
    for _ in 0..2 {
        let finished = Voice::run(&again, &[]).await;
        assert!(finished.status.success(), "{finished:?}");
        assert!(!finished.output.iter().any(|line| line.contains("refused")), "{finished:?}");
    }
    stored::scored(pool).await;
    assert_told(&world, &stories, &agents).await;
    assert!(voice.terminate().await.success());
}

/// The first call of the import that the payloads of `events` tell of: one that was put into a queue.
fn first_call(payloads: &[Value]) -> Option<Uuid> {
    let queued = payloads.iter().find(|payload| payload["event"]["type"] == "call.queued")?;
    Some(queued["event"]["streamId"].as_str()?.parse().unwrap())
}
