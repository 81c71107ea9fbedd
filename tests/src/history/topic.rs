//! I6: the topic is the log, whoever published it, and however often.

use std::collections::{BTreeMap, HashMap, HashSet};

use commands::relay::partition_of;
use domain::Position;

use super::Invariant::I6TopicIsTheLog;
use super::{History, Published, Stored, Topic, Violation};

/// What a reader of the topic has to put up with.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TopicCounts {
    /// Records.
    pub records: u64,
    /// Records of events that had come already.
    pub duplicates: u64,
    /// Records that came before their predecessors, as when a leader that was deposed goes on for a moment.
    pub early: u64,
}

pub(super) fn counts(history: &History) -> TopicCounts {
    let mut counts = TopicCounts::default();
    let Some(topic) = &history.topic else { return counts };
    let mut seen: BTreeMap<i32, HashSet<Position>> = BTreeMap::new();
    for record in &topic.records {
        let seen = seen.entry(record.partition).or_default();
        counts.records += 1;
        counts.early += u64::from(record.prev > 0 && !seen.contains(&record.prev));
        counts.duplicates += u64::from(!seen.insert(record.position));
    }
    counts
}

pub(super) fn check(history: &History) -> Vec<Violation> {
    let Some(topic) = &history.topic else { return Vec::new() };
    let due = due(history, topic.partitions);
    let mut found: HashMap<Position, &Published> = HashMap::new();
    let mut last: HashMap<(i32, i64), Position> = HashMap::new();
    let mut violations = Vec::new();
    for record in &topic.records {
        let name = format!("partition {} offset {}", record.partition, record.offset);
        if let Some(what) = wrong(record, topic, &due) {
            violations.push(Violation::new(I6TopicIsTheLog, record.position, &name, what));
            continue;
        }
        // One relay sends in order, though several may send at once.
        let before = last.insert((record.partition, record.epoch), record.position);
        if before.is_some_and(|before| before > record.position) {
            let what = format!("the relay of epoch {} had sent {} before", record.epoch, before.unwrap_or(0));
            violations.push(Violation::new(I6TopicIsTheLog, record.position, &name, what));
        }
        found.insert(record.position, record);
    }
    let lost = history.log.events.iter().find(|event| !found.contains_key(&event.position));
    if let Some(event) = lost {
        let what = "the event is not in the topic".to_owned();
        violations.push(Violation::new(I6TopicIsTheLog, event.position, "topic", what));
    }
    violations
}

/// For each event: its partition, the position before it there, and the event.
fn due(history: &History, partitions: i32) -> HashMap<Position, (i32, Position, &Stored)> {
    let mut previous: HashMap<i32, Position> = HashMap::new();
    let mut due = HashMap::new();
    for event in &history.log.events {
        let partition = partition_of(event.stream, partitions);
        let before = previous.insert(partition, event.position).unwrap_or(0);
        due.insert(event.position, (partition, before, event));
    }
    due
}

/// What is wrong with a record by itself.
fn wrong(record: &Published, topic: &Topic, due: &HashMap<Position, (i32, Position, &Stored)>) -> Option<String> {
    if record.source != topic.source {
        return Some(format!("a record of {:?}", record.source));
    }
    let Some((partition, prev, event)) = due.get(&record.position) else {
        return Some("a record of an event that is not in the log".to_owned());
    };
    if record.partition != *partition {
        return Some(format!("the event belongs into partition {partition}"));
    }
    if record.prev != *prev {
        return Some(format!("it names {} as its predecessor, which is {prev}", record.prev));
    }
    if record.id != event.id || record.key != event.stream.to_string() || record.payload != event.payload {
        return Some("the record is not what the log holds".to_owned());
    }
    None
}
