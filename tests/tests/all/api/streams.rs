//! Transcript and mood as they are pushed: each segment once and in order, wherever the socket is cut.

use std::time::Duration;

use serde_json::{Value, json};
use tests::Client;
use uuid::Uuid;

use super::{World, column, history, segment};

const TRANSCRIPT: &str = "subscription ($id: UUID!, $after: String, $interim: Boolean) {
    transcript(callId: $id, after: $after, interim: $interim) {
        cursor interim { text speaker beginMs }
        segment { sequence text supersedes supersededBy reason position } } }";
const SENTIMENT: &str = "subscription ($id: UUID!, $after: String) {
    sentiment(callId: $id, after: $after) { cursor score { segment position } } }";

/// Both streams, with where their number and their position in the log stand.
const STREAMS: [(&str, &str, &str); 2] =
    [("transcript", TRANSCRIPT, "segment/sequence"), ("sentiment", SENTIMENT, "score/segment")];

/// Numbers and positions of what was pushed.
fn pushed(field: &str, number: &str, payloads: &[Value]) -> Vec<(Value, Value)> {
    let numbers = column(payloads, &format!("/{field}/{number}"));
    let item = number.split('/').next().unwrap();
    numbers.into_iter().zip(column(payloads, &format!("/{field}/{item}/position"))).collect()
}

/// Numbers and positions as the log has them.
async fn stored(client: &Client, call: Uuid, field: &str) -> Vec<(Value, Value)> {
    let events = history(client, call).await;
    let of: Vec<&Value> = events.iter().filter(|event| event["category"] == field).collect();
    // Each is numbered as it is stored, and the mood follows in the same order.
    of.iter().map(|event| (event["version"].clone(), event["position"].clone())).collect()
}

/// Reads `count` payloads over sockets that are cut after each of `cuts` payloads, going on from the last cursor.
async fn read_with_cuts(
    client: &Client,
    call: Uuid,
    field: &str,
    document: &str,
    cuts: &[usize],
    count: usize,
) -> Vec<Value> {
    let (mut read, mut after) = (Vec::new(), Value::Null);
    for cut in cuts.iter().copied().cycle() {
        let mut subscription = client.subscribe(document, json!({ "id": call, "after": after })).await;
        let taken = subscription.take(cut.min(count - read.len())).await;
        drop(subscription);
        if let Some(last) = taken.last() {
            after = last[field]["cursor"].clone();
        }
        read.extend(taken);
        if read.len() == count {
            break;
        }
    }
    read
}

#[tokio::test]
async fn cut_at_every_point_of_what_is_stored() {
    const SEGMENTS: usize = 8;
    let world = World::new().await;
    let (boss, call) = (&world.supervisor, world.call().await);
    for n in 0..SEGMENTS {
        world.say(call, n * 1_000, &format!("sentence {n}")).await;
    }
    for (field, document, number) in STREAMS {
        let whole = boss.subscribe(document, json!({ "id": call, "after": null })).await.take(SEGMENTS).await;
        let expected = stored(boss, call, field).await;
        assert_eq!(pushed(field, number, &whole), expected, "{field}");
        assert_eq!(expected.len(), SEGMENTS);
        for cut in 0..=SEGMENTS {
            let before = boss.subscribe(document, json!({ "id": call })).await.take(cut).await;
            let after = before.last().map_or(Value::Null, |last| last[field]["cursor"].clone());
            let rest = boss.subscribe(document, json!({ "id": call, "after": after })).await.take(SEGMENTS - cut).await;
            let union: Vec<Value> = before.into_iter().chain(rest).collect();
            assert_eq!(union, whole, "{field} cut after {cut}");
        }
    }
    world.end().await;
}

#[tokio::test]
async fn cut_while_people_go_on_speaking() {
    const SEGMENTS: usize = 60;
    let world = World::new().await;
    let (boss, call, other) = (&world.supervisor, world.call().await, world.call().await);
    let speak = async {
        for n in 0..SEGMENTS {
            world.say(call, n * 1_000, &format!("sentence {n}")).await;
            // Another call, which must not be heard here.
            world.say(other, n * 1_000, "elsewhere").await;
        }
    };
    let listen = |which: usize, cuts: &'static [usize]| async move {
        let (field, document, _) = STREAMS[which];
        read_with_cuts(boss, call, field, document, cuts, SEGMENTS).await
    };
    let ((), heard, felt, heard_well) =
        tokio::join!(speak, listen(0, &[1, 0, 3, 2, 7]), listen(1, &[2, 1, 0, 5]), listen(0, &[SEGMENTS]));
    for ((field, _, number), read) in [(STREAMS[0], heard), (STREAMS[1], felt), (STREAMS[0], heard_well)] {
        assert_eq!(pushed(field, number, &read), stored(boss, call, field).await, "{field}");
    }
    world.end().await;
}

#[tokio::test]
async fn at_the_head_nothing_comes_until_something_is_new() {
    let world = World::new().await;
    let (boss, call, elsewhere) = (&world.supervisor, world.call().await, world.call().await);
    world.say(call, 0, "first").await;
    let mut waiting = Vec::new();
    for (field, document, _) in STREAMS {
        let first = boss.subscribe(document, json!({ "id": call })).await.next().await;
        let after = &first[field]["cursor"];
        waiting.push(boss.subscribe(document, json!({ "id": call, "after": after })).await);
    }
    // What changes elsewhere is no news here.
    world.say(elsewhere, 0, "elsewhere").await;
    let position = world.say(call, 1_000, "second").await;
    for ((field, _, number), subscription) in STREAMS.into_iter().zip(&mut waiting) {
        let next = subscription.next().await;
        let (found, at) = pushed(field, number, &[next]).remove(0);
        assert_eq!(found, 2, "{field}");
        assert!(at.as_i64().unwrap() >= position, "{field}");
    }
    world.end().await;
}

#[tokio::test]
async fn what_is_still_being_spoken_is_shown_and_not_kept() {
    let world = World::new().await;
    let (boss, call) = (&world.supervisor, world.call().await);
    world.say(call, 0, "said for good").await;
    let mut watching = boss.subscribe(TRANSCRIPT, json!({ "id": call, "interim": true })).await;
    let mut reading = boss.subscribe(TRANSCRIPT, json!({ "id": call })).await;
    assert_eq!(watching.next().await["transcript"]["segment"]["sequence"], 1);
    assert_eq!(reading.next().await["transcript"]["segment"]["sequence"], 1);

    let document = "mutation ($input: PublishInterimInput!) { publishInterimTranscript(input: $input) }";
    let elsewhere = world.call().await;
    let publish = async |call: Uuid, text: &str| {
        let input = json!({ "callId": call, "speaker": "AGENT", "beginMs": 700, "text": text });
        boss.query(document, json!({ "input": input })).await
    };
    for text in ["I", "I am", "I am not"] {
        publish(elsewhere, "not for you").await;
        publish(call, text).await;
        let interim = watching.next().await["transcript"].take();
        assert_eq!(interim["cursor"], Value::Null);
        assert_eq!(interim["segment"], Value::Null);
        assert_eq!(interim["interim"], json!({ "text": text, "speaker": "AGENT", "beginMs": 700 }));
    }
    let position = world.say(call, 700, "I am not sure").await;
    for subscription in [&mut watching, &mut reading] {
        let segment = subscription.next().await["transcript"].take();
        assert_eq!(segment["segment"]["position"], json!(position));
        assert!(segment["cursor"].is_string());
    }
    // Nothing of it is in the log or in what is shown to those who come later.
    let types = column(&history(boss, call).await, "/type");
    assert_eq!(types.iter().filter(|ty| **ty == "transcript.segment_added").count(), 2, "{types:?}");
    let all = boss.subscribe(TRANSCRIPT, json!({ "id": call, "interim": true })).await.take(2).await;
    assert_eq!(column(&all, "/transcript/segment/sequence"), [1, 2]);
    let long = json!({ "input": { "callId": call, "speaker": "AGENT", "beginMs": 0, "text": "x".repeat(8_001) } });
    assert_eq!(boss.refused(document, long).await.reason, "TEXT_TOO_LONG");
    world.end().await;
}

#[tokio::test]
async fn a_correction_comes_with_what_it_supersedes() {
    let world = World::new().await;
    let (boss, call) = (&world.supervisor, world.call().await);
    world.say(call, 0, "I hate this").await;
    world.say(call, 900, "goodbye").await;
    let mut transcript = boss.subscribe(TRANSCRIPT, json!({ "id": call })).await;
    let mut sentiment = boss.subscribe(SENTIMENT, json!({ "id": call })).await;
    let before = transcript.take(2).await;
    sentiment.take(2).await;
    let correct = |supersedes: u32| json!({ "callId": call, "supersedes": supersedes, "text": "I ate this", "model": "person", "reason": "misheard" });
    let position = boss.accepted("correctTranscriptSegment", correct(1)).await;
    let corrected = transcript.next().await["transcript"].take();
    assert_eq!(corrected["segment"]["sequence"], 3);
    assert_eq!(corrected["segment"]["supersedes"], 1);
    assert_eq!(corrected["segment"]["reason"], "misheard");
    assert_eq!(corrected["segment"]["position"], json!(position));
    assert_eq!(sentiment.next().await["sentiment"]["score"]["segment"], 3);
    let again = boss.command("correctTranscriptSegment", correct(1)).await;
    assert_eq!(again, tests::Command::Refused("SEGMENT_SUPERSEDED".into()));

    // Who was away learns of it from the cursor; the old one is not shown anew.
    let after = &before[1]["transcript"]["cursor"];
    let missed = boss.subscribe(TRANSCRIPT, json!({ "id": call, "after": after })).await.next().await;
    assert_eq!(missed["transcript"], corrected);
    // Who comes later sees all three, and which of them counts.
    let all = boss.subscribe(TRANSCRIPT, json!({ "id": call })).await.take(3).await;
    assert_eq!(column(&all, "/transcript/segment/supersededBy"), [json!(3), Value::Null, Value::Null]);
    let document =
        "query ($id: UUID!, $at: Position!) { call(callId: $id, atLeast: $at) { transcript { sequence text } } }";
    let now = boss.query(document, json!({ "id": call, "at": position })).await;
    let counts = json!([{ "sequence": 3, "text": "I ate this" }, { "sequence": 2, "text": "goodbye" }]);
    assert_eq!(now["call"]["transcript"], counts);
    world.end().await;
}

#[tokio::test]
async fn many_listeners_hear_the_same() {
    const SEGMENTS: usize = 12;
    let world = World::new().await;
    let (boss, call) = (&world.supervisor, world.call().await);
    let mut listeners = Vec::new();
    for _ in 0..20 {
        listeners.push(boss.subscribe(TRANSCRIPT, json!({ "id": call })).await);
    }
    // All at once, so that the order is the log's and nobody else's.
    let say = (0..SEGMENTS).map(|n| boss.command("addTranscriptSegment", segment(call, n, "at once")));
    let said = futures_util::future::join_all(say).await;
    let accepted = said.iter().filter(|c| matches!(c, tests::Command::Accepted { .. })).count();
    assert_eq!(accepted, SEGMENTS, "{said:?}");
    let expected = stored(boss, call, "transcript").await;
    for mut listener in listeners {
        let heard = listener.take(SEGMENTS).await;
        assert_eq!(pushed("transcript", "segment/sequence", &heard), expected);
    }
    world.end().await;
}

/// A socket may be cut while its snapshot is being begun: that must not leave a transaction open on a connection that
/// somebody else gets next.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sockets_that_are_cut_leave_no_transaction_open() {
    let world = World::new().await;
    let (boss, call) = (&world.supervisor, world.call().await);
    world.say(call, 0, "words").await;
    let mut cut = boss.socket().await;
    for step in 0..320 {
        let next = boss.socket().await;
        cut.begin(TRANSCRIPT, json!({ "id": call })).await;
        // So that each is cut a little later in its beginning than the one before.
        std::thread::sleep(Duration::from_micros(step * 10));
        cut = next;
        if step % 4 == 0 {
            // Snapshots, and nothing else, see one moment all the time.
            let mut idle: Vec<_> = std::iter::from_fn(|| world.database.pool.try_acquire()).collect();
            for connection in &mut idle {
                let sql = "SELECT current_setting('transaction_isolation')";
                let level: String = sqlx::query_scalar(sql).fetch_one(&mut **connection).await.unwrap();
                assert_eq!(level, "read committed", "a free connection is in a transaction, cut at {step}");
            }
        }
    }
    drop(cut);
    world.end().await;
}
