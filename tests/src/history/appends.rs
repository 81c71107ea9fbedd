//! I1 and I2: what writers were told against what the store holds.

use std::collections::HashMap;

use domain::Position;
use serde_json::Value;
use uuid::Uuid;

use super::Invariant::{I1AcknowledgedIsKept, I2RejectedIsAbsent};
use super::{Answer, Entry, History, Stored, StoredKey, Violation};

/// A command with the whole of what its writer knows.
pub(super) struct Command<'a> {
    pub(super) writer: &'a str,
    pub(super) id: Uuid,
    pub(super) stream: Uuid,
    pub(super) category: &'a str,
    pub(super) expected: Option<i64>,
    pub(super) content: &'a Value,
    /// When it was first sent.
    pub(super) sent: u64,
    /// What its tries came to, with times.
    pub(super) answers: Vec<(u64, &'a Answer)>,
}

impl Command<'_> {
    /// Version, position, and when the writer learned of it.
    pub(super) fn acknowledged(&self) -> Option<(i64, Position, u64)> {
        self.answers.iter().find_map(|(at, answer)| match answer {
            Answer::Acknowledged { version, position, .. } => Some((*version, *position, *at)),
            _ => None,
        })
    }

    fn rejected(&self) -> bool {
        self.answers.iter().any(|(_, answer)| matches!(answer, Answer::Conflict | Answer::Refused { .. }))
    }

    fn key(&self) -> String {
        format!("command:{}", self.id)
    }
}

/// The commands of all writers.
pub(super) fn commands(history: &History) -> Vec<Command<'_>> {
    let mut commands: Vec<Command<'_>> = Vec::new();
    let mut index = HashMap::new();
    for (writer, lines) in &history.journals {
        for line in lines {
            match &line.entry {
                Entry::Intent { command, stream, category, expected, content } => {
                    index.insert(*command, commands.len());
                    commands.push(Command {
                        writer,
                        id: *command,
                        stream: *stream,
                        category,
                        expected: *expected,
                        content,
                        sent: line.at,
                        answers: Vec::new(),
                    });
                }
                Entry::Answered { command, answer } => {
                    if let Some(at) = index.get(command) {
                        commands[*at].answers.push((line.at, answer));
                    }
                }
                _ => {}
            }
        }
    }
    commands
}

pub(super) fn check(history: &History) -> Vec<Violation> {
    let commands = commands(history);
    let by_position: HashMap<Position, &Stored> = history.log.events.iter().map(|e| (e.position, e)).collect();
    let by_key: HashMap<&str, &StoredKey> = history.log.keys.iter().map(|key| (key.key.as_str(), key)).collect();
    let mut by_causation: HashMap<Uuid, Vec<&Stored>> = HashMap::new();
    for event in &history.log.events {
        if let Some(causation) = event.causation {
            by_causation.entry(causation).or_default().push(event);
        }
    }
    let mut violations = Vec::new();
    for command in &commands {
        let events = by_causation.get(&command.id).map_or(&[][..], Vec::as_slice);
        let key = by_key.get(command.key().as_str()).copied();
        let broken = match command.acknowledged() {
            Some((version, position, _)) => {
                kept(command, version, position, by_position.get(&position).copied(), key, events)
                    .map(|what| (I1AcknowledgedIsKept, Some(position), what))
            }
            None => {
                let first = events.first().map(|event| event.position);
                absent_or_once(command, key, events).map(|what| (I2RejectedIsAbsent, first, what))
            }
        };
        if let Some((invariant, position, what)) = broken {
            let what = format!("command {}: {what}", command.id);
            violations.push(Violation::new(invariant, position, command.writer, what));
        }
    }
    violations.extend(covered(history, &by_position));
    violations
}

/// What is wrong with an acknowledged command.
fn kept(
    command: &Command<'_>,
    version: i64,
    position: Position,
    event: Option<&Stored>,
    key: Option<&StoredKey>,
    events: &[&Stored],
) -> Option<String> {
    let Some(event) = event else { return Some("was acknowledged and is lost".to_owned()) };
    if event.causation != Some(command.id) {
        return Some(format!("was acknowledged, and its place holds an event of {:?}", event.causation));
    }
    let (stream, category) = (command.stream, command.category);
    if (event.stream, event.category.as_str(), event.version) != (stream, category, version) {
        return Some(format!("was acknowledged as version {version} of {category}-{stream}, and is {event:?}"));
    }
    let Some(key) = key else { return Some("was acknowledged, and its key is not known".to_owned()) };
    if (key.stream, key.version, key.position) != (stream, version, position) {
        return Some(format!("its key says {key:?}"));
    }
    if i64::try_from(events.len()) != Ok(key.event_count) {
        return Some(format!("is in the log {} times", events.len()));
    }
    let differs = |name: &str, sent: &Value| event.payload.get(name) != Some(sent);
    let content = command.content.as_object()?;
    let (name, sent) = content.iter().find(|(name, sent)| differs(name, sent))?;
    Some(format!("{name} was sent as {sent} and is stored as {:?}", event.payload.get(name)))
}

/// What is wrong with a command that was not acknowledged.
fn absent_or_once(command: &Command<'_>, key: Option<&StoredKey>, events: &[&Stored]) -> Option<String> {
    if command.rejected() {
        return match (key, events) {
            (None, []) => None,
            (Some(key), []) => Some(format!("was rejected, and its key is stored: {key:?}")),
            (_, events) => Some(format!("was rejected, and is in the log {} times", events.len())),
        };
    }
    let promised = key.map_or(0, |key| key.event_count);
    let found = i64::try_from(events.len()).unwrap_or(i64::MAX);
    (promised != found).then(|| format!("its outcome is unknown: {found} events, and its key says {promised}"))
}

/// Every event is there by exactly one key, every key stands for events, and no cause has two keys.
fn covered(history: &History, by_position: &HashMap<Position, &Stored>) -> Vec<Violation> {
    let mut keys: Vec<&StoredKey> = history.log.keys.iter().collect();
    keys.sort_by_key(|key| key.position);
    let (mut violations, mut owner) = (Vec::new(), HashMap::<Position, &str>::new());
    let mut causes = HashMap::<Uuid, &str>::new();
    let mut broken =
        |position, key: &str, what: String| violations.push(Violation::new(I2RejectedIsAbsent, position, key, what));
    for key in keys {
        for position in key.position - key.event_count + 1..=key.position {
            match by_position.get(&position) {
                Some(event) if event.stream == key.stream => {
                    if let Some(other) = event.causation.and_then(|cause| causes.insert(cause, &key.key))
                        && other != key.key
                    {
                        broken(position, &key.key, format!("what caused it was applied under {other} before"));
                    }
                }
                Some(event) => broken(position, &key.key, format!("the key's place holds {event:?}")),
                None => broken(position, &key.key, "the key stands for an event that is not there".to_owned()),
            }
            if let Some(other) = owner.insert(position, &key.key) {
                broken(position, &key.key, format!("the event belongs to {other} as well"));
            }
        }
    }
    for event in history.log.events.iter().filter(|event| !owner.contains_key(&event.position)) {
        let what = "an event that nobody appended".to_owned();
        violations.push(Violation::new(I2RejectedIsAbsent, event.position, &event.category, what));
    }
    violations
}
