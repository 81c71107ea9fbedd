//! `kill -9` at any moment of an import: nothing that was acknowledged is lost, nothing is doubled.

use serde_json::Value;
use uuid::Uuid;

use super::clerk::{Clerk, assert_kept};
use super::stored::{self, Story};
use super::watcher::{Watcher, events, sentiment, transcript};
use super::{World, conversations};
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
    let (after, agents_after) = what_is_told(&world).await;
    for (after, before) in after.iter().zip(&stories) {
        assert_eq!(after, before);
    }
    assert_eq!((after.len(), agents_after), (stories.len(), agents));

    // Those who watched: one history, put together from several connections.
    let seen = log.until("every event", |payloads| payloads.len() >= usize::try_from(head).unwrap()).await;
    let stored: Vec<(i64, Uuid)> =
        sqlx::query_as("SELECT position, id FROM events ORDER BY position").fetch_all(pool).await.unwrap();
    let of = |payload: &Value| {
        let event = &payload["event"];
        (event["position"].as_i64().unwrap(), event["eventId"].as_str().unwrap().parse::<Uuid>().unwrap())
    };
    assert_eq!(seen.iter().map(of).collect::<Vec<_>>(), stored);
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

/// The first call of the import that the payloads of `events` tell of: one that was put into a queue.
fn first_call(payloads: &[Value]) -> Option<Uuid> {
    let queued = payloads.iter().find(|payload| payload["event"]["type"] == "call.queued")?;
    Some(queued["event"]["streamId"].as_str()?.parse().unwrap())
}
