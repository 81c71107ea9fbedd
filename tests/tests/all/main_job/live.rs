//! An import, watched while it runs.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use uuid::Uuid;

use super::watcher::{Watcher, events, sentiment, transcript};
use super::{World, conversations, stored};
use tests::Voice;

fn uuid(value: &Value) -> Uuid {
    value.as_str().unwrap().parse().unwrap()
}

/// Calls that the payloads of `events` tell of, in order.
fn calls(payloads: &[Value]) -> Vec<Uuid> {
    let initiated = payloads.iter().filter(|payload| payload["event"]["type"] == "call.initiated");
    initiated.map(|payload| uuid(&payload["event"]["streamId"])).collect()
}

#[tokio::test]
async fn who_watches_an_import_sees_every_sentence_and_its_mood_once_and_in_order() {
    let world = World::new().await;
    let voice = world.served(&[], &[]).await;
    let client = world.client().await;
    let token = client.token().unwrap();
    let expected = conversations::sentences(&conversations::all());
    let log = Watcher::start(world.server.subscribe(), token, events());
    let data = conversations::all();
    let url = format!("http://{}", world.server.borrow().unwrap());
    let import = [
        "import",
        data.to_str().unwrap(),
        "--url",
        &url,
        "--email",
        super::EMAIL,
        "--password",
        super::PASSWORD,
        "--speed",
        "400",
        "--gap-s",
        "40",
        "--agents",
        "5",
        "--run",
        "watched",
    ];
    let import = Voice::start(&import, &[]);

    // Whoever comes in is watched from the first ring on.
    let mut watched: BTreeMap<Uuid, (Watcher, Watcher)> = BTreeMap::new();
    while watched.len() < expected.len() {
        let seen = log.until("another call", |payloads| calls(payloads).len() > watched.len()).await;
        for call in calls(&seen) {
            watched.entry(call).or_insert_with(|| {
                let watcher = |what| Watcher::start(world.server.subscribe(), token, what);
                (watcher(transcript(call)), watcher(sentiment(call)))
            });
        }
    }
    import.line("import finished").await;
    assert!(import.ended().await.success());
    let head = stored::scored(&world.database.pool).await;

    // Every event, in the order of the log.
    let seen = log.until("every event", |payloads| payloads.len() >= usize::try_from(head).unwrap()).await;
    let positions: Vec<i64> = seen.iter().map(|payload| payload["event"]["position"].as_i64().unwrap()).collect();
    assert_eq!(positions, (1..=head).collect::<Vec<_>>());

    // Every sentence of every call, as it is in the file, and the mood of each.
    let mut heard = Vec::new();
    let stories = stored::stories(&world.database.pool).await;
    for (call, (said, moods)) in &watched {
        let story = &stories[call];
        let count = story.sentences.len();
        let segments = said.until("every sentence", |payloads| payloads.len() >= count).await;
        let segments: Vec<&Value> = segments.iter().map(|payload| &payload["segment"]).collect();
        let sequences: Vec<i64> = segments.iter().map(|segment| segment["sequence"].as_i64().unwrap()).collect();
        assert_eq!(sequences, (1..=i64::try_from(count).unwrap()).collect::<Vec<_>>());
        heard.push(segments.iter().map(|segment| stored::sentence(segment)).collect::<Vec<_>>());

        let scores = moods.until("every mood", |payloads| payloads.len() >= count).await;
        let scores: Vec<&Value> = scores.iter().map(|payload| &payload["score"]).collect();
        assert_eq!(scores.iter().map(|score| score["segment"].as_i64().unwrap()).collect::<Vec<_>>(), sequences);
        for (segment, score) in segments.iter().zip(scores) {
            for name in ["speaker", "beginMs", "endMs"] {
                assert_eq!(segment[name], score[name]);
            }
            assert!(segment["position"].as_i64() < score["position"].as_i64(), "no mood before its sentence");
        }
    }
    conversations::assert_said(heard, &expected);
    assert_eq!((log.connections(), seen.len()), (1, positions.len()), "on one connection");

    agree_with_the_files(&world, &expected, head).await;
    replays(&world, *watched.keys().next().unwrap()).await;
    assert!(voice.terminate().await.success());
}

/// What queries answer is what the files say.
async fn agree_with_the_files(world: &World, expected: &[Vec<conversations::Sentence>], head: i64) {
    let client = world.client().await;
    let document = "query ($at: Position!) {
        calls(first: 100, atLeast: $at) { edges { node {
            callId state queue waitMs talkMs disposition legs { outcome state }
            transcript { speaker beginMs endMs text } sentiment { segment } } } }
        dashboard(atLeast: $at) { waiting inProgress offered answered abandoned handled }
        queues(atLeast: $at) { name waiting }
        agents(first: 100, atLeast: $at) { edges { node { activity } } } }";
    let data = client.query(document, json!({ "at": head })).await;
    let calls: Vec<&Value> = data["calls"]["edges"].as_array().unwrap().iter().map(|edge| &edge["node"]).collect();
    let mut shown: Vec<Vec<_>> = Vec::new();
    for call in &calls {
        assert_eq!(call["state"], "ENDED", "{call}");
        assert_eq!(call["legs"], json!([{ "outcome": "COMPLETED", "state": "CLOSED" }]));
        assert!(call["waitMs"].is_i64() && call["talkMs"].is_i64() && call["disposition"].is_string(), "{call}");
        let segments = call["transcript"].as_array().unwrap();
        assert_eq!(segments.len(), call["sentiment"].as_array().unwrap().len());
        // To be read: in the order in which they begin.
        let mut sentences: Vec<_> = segments.iter().map(stored::sentence).collect();
        assert!(sentences.is_sorted_by_key(|(_, begin_ms, ..)| *begin_ms));
        sentences.sort_by_key(|(_, begin_ms, end_ms, _)| (*end_ms, *begin_ms));
        shown.push(sentences);
    }
    conversations::assert_said(shown, expected);
    let count = expected.len();
    let day = json!({
        "waiting": 0, "inProgress": 0, "offered": count, "answered": count, "abandoned": 0, "handled": count,
    });
    assert_eq!(data["dashboard"], day);
    let queues = data["queues"].as_array().unwrap();
    assert!(queues.len() > 1 && queues.iter().all(|queue| queue["waiting"] == 0), "{queues:?}");
    let agents = data["agents"]["edges"].as_array().unwrap();
    assert!(agents.len() == 5 && agents.iter().all(|agent| agent["node"]["activity"] == "SIGNED_OUT"), "{agents:?}");
}

/// A stored call is printed, one event a line.
async fn replays(world: &World, call: Uuid) {
    let call_id = call.to_string();
    let replay = ["replay", &call_id, "--speed", "1000"];
    let ended = Voice::run(&replay, &[("DATABASE_URL", &world.database.url)]).await;
    assert!(ended.status.success(), "{ended:?}");
    let printed: Vec<Value> = ended.output.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    let stored: Vec<(i64, Uuid, String, String, i64, Value)> = sqlx::query_as(
        "SELECT position, id, category, type, version, payload::jsonb FROM events WHERE stream_id = $1 ORDER BY position",
    )
    .bind(call)
    .fetch_all(&world.database.pool)
    .await
    .unwrap();
    assert_eq!(printed.len(), stored.len());
    for (event, (position, id, category, event_type, version, payload)) in printed.iter().zip(stored) {
        assert_eq!((event["position"].as_i64(), uuid(&event["id"])), (Some(position), id));
        assert_eq!(event["stream"], json!({ "category": category, "id": call }));
        assert_eq!((event["type"].as_str(), event["version"].as_i64()), (Some(event_type.as_str()), Some(version)));
        assert_eq!(event["payload"], payload);
    }
}
