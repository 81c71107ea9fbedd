//! The checker itself: a history without a fault passes, and each planted fault is found and named.

mod planted;

use std::collections::{BTreeMap, HashMap};

use commands::relay::{PARTITIONS, partition_of};
use domain::Position;
use serde_json::json;
use uuid::Uuid;

use super::*;

/// Streams of the run.
const STREAMS: u128 = 5;
/// Events of the run.
const EVENTS: i64 = 60;

fn line(at: u64, entry: Entry) -> Line {
    Line { at, entry }
}

fn stream(position: Position) -> Uuid {
    Uuid::from_u128(u128::try_from(position).unwrap() % STREAMS + 1)
}

fn command(position: Position) -> Uuid {
    Uuid::from_u128(1_000 + u128::try_from(position).unwrap())
}

fn event_id(position: Position) -> Uuid {
    Uuid::from_u128(1_000_000 + u128::try_from(position).unwrap())
}

/// A run in which nothing went wrong: two writers in turn, a topic, a read model, and those who follow.
fn sound() -> History {
    let mut history = History::default();
    let mut versions: HashMap<Uuid, i64> = HashMap::new();
    let mut previous: HashMap<i32, Position> = HashMap::new();
    let mut topic = Topic { partitions: PARTITIONS, source: "voice/here".to_owned(), records: Vec::new() };
    let (mut writers, mut all, mut some) = ([Vec::new(), Vec::new()], Vec::new(), Vec::new());
    all.push(line(0, Entry::Watches(Watched { category: None, stream: None, after: 0 })));
    some.push(line(
        0,
        Entry::Watches(Watched { category: Some("call".to_owned()), stream: Some(stream(1)), after: 0 }),
    ));
    let mut observer = Vec::new();
    for position in 1..=EVENTS {
        let (stream, command, id) = (stream(position), command(position), event_id(position));
        let version = versions.entry(stream).or_default();
        let expected = Some(*version);
        *version += 1;
        let (version, at) = (*version, u64::try_from(position).unwrap() * 100);
        let payload = json!({ "text": format!("event {position}"), "sequence": version });
        let content = json!({ "text": payload["text"] });
        let writer = &mut writers[usize::try_from(position % 2).unwrap()];
        let category = "call".to_owned();
        writer.push(line(at, Entry::Intent { command, stream, category: category.clone(), expected, content }));
        let answer = Answer::Acknowledged { version, position, already_applied: false };
        writer.push(line(at + 50, Entry::Answered { command, answer }));
        let causation = Some(command);
        history.log.events.push(Stored {
            position,
            id,
            stream,
            category,
            version,
            causation,
            payload: payload.clone(),
        });
        let key = format!("command:{command}");
        history.log.keys.push(StoredKey { key, stream, version, position, event_count: 1 });
        let partition = partition_of(stream, PARTITIONS);
        let prev = previous.insert(partition, position).unwrap_or(0);
        topic.records.push(Published {
            partition,
            offset: position,
            position,
            prev,
            epoch: 1,
            source: topic.source.clone(),
            id,
            key: stream.to_string(),
            payload,
        });
        all.push(line(at + 60, Entry::Received { position, id: Some(id) }));
        if stream == super::tests::stream(1) {
            some.push(line(at + 60, Entry::Received { position, id: Some(id) }));
        }
        observer.push(line(at + 70, Entry::Checkpoint { follower: "calls".to_owned(), position }));
    }
    observer.push(line(100_000, Entry::Quiet { head: EVENTS }));
    observer.push(line(100_001, Entry::Measured { name: "memory".to_owned(), value: 9, bound: 10 }));
    history.log.head = EVENTS;
    history.log.streams = versions.into_iter().map(|(id, version)| (id, "call".to_owned(), version)).collect();
    history.topic = Some(topic);
    let rows = vec!["(1,sales)".to_owned(), "(2,support)".to_owned()];
    let (projection, table) = ("calls".to_owned(), "calls".to_owned());
    history.views.push(View { projection, table, at: EVENTS, folded: rows.clone(), rows });
    let [even, odd] = writers;
    let journals = [("writer-0", even), ("writer-1", odd), ("all", all), ("some", some), ("observer", observer)];
    history.journals = journals.into_iter().map(|(name, lines)| (name.to_owned(), lines)).collect();
    history
}

/// The first event that breaks an invariant, in a history with one fault.
fn found(plant: impl FnOnce(&mut History)) -> BTreeMap<Invariant, Option<Position>> {
    let mut history = sound();
    plant(&mut history);
    let mut first = BTreeMap::new();
    for violation in check(&history) {
        assert!(!violation.to_string().is_empty());
        first.entry(violation.invariant).or_insert(violation.position);
    }
    first
}

fn journal<'a>(history: &'a mut History, actor: &str) -> &'a mut Vec<Line> {
    history.journals.get_mut(actor).expect("the actor")
}

fn records(history: &mut History) -> &mut Vec<Published> {
    &mut history.topic.as_mut().expect("a topic").records
}

/// Takes an event out of the store with all that the store knows of it, as a machine does that forgot a commit.
fn forget(history: &mut History, position: Position) {
    history.log.events.retain(|event| event.position != position);
    history.log.keys.retain(|key| key.position != position);
}

#[test]
fn a_sound_history_has_no_violations() {
    assert_eq!(check(&sound()), []);
    assert_eq!(topic_counts(&sound()), TopicCounts { records: 60, duplicates: 0, early: 0 });
    assert_eq!(check(&History::default()), []);
}

#[test]
fn a_violation_names_invariant_event_actor_and_what_is_wrong() {
    let mut history = sound();
    forget(&mut history, 60);
    let lost = &check(&history)[0];
    assert_eq!(
        lost.to_string(),
        format!("I1 broken at position 60 (writer-0): command {}: was acknowledged and is lost", command(60))
    );
}

#[test]
fn journals_come_back_from_their_files() {
    let directory = tempfile::TempDir::new().unwrap();
    let journals = Journals::new(directory.path());
    let (writer, observer) = (journals.of("writer"), journals.of("observer"));
    let answer = Answer::Unknown { why: "cut".to_owned() };
    let noted = [Entry::Answered { command: command(1), answer }, Entry::Connected { after: None }, Entry::Healed];
    noted.iter().for_each(|entry| writer.note(entry.clone()));
    observer.note(Entry::Checkpoint { follower: "calls".to_owned(), position: 7 });
    let read = journals.read().unwrap();
    assert_eq!(read.keys().collect::<Vec<_>>(), ["observer", "writer"]);
    assert_eq!(read["writer"].iter().map(|line| line.entry.clone()).collect::<Vec<_>>(), noted);
    assert!(read["writer"].is_sorted_by_key(|line| line.at));
    std::fs::write(directory.path().join("writer.jsonl"), "{}\n").unwrap();
    assert!(journals.read().unwrap_err().to_string().contains("writer.jsonl, line 1"));
}
