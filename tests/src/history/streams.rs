//! I3 and I5: each stream is a register with versions. The log itself is the order that explains it, so no search for one is
//! needed: [`super::commit_order`] shows that it agrees with what happened before what.

use std::collections::{BTreeMap, HashMap};

use uuid::Uuid;

use super::Invariant::{I3StreamsAreLinear, I5ConflictsAreReal};
use super::appends::{Command, commands};
use super::{Answer, History, Stored, Violation};

pub(super) fn check(history: &History) -> Vec<Violation> {
    let mut streams: BTreeMap<(Uuid, &str), Vec<&Stored>> = BTreeMap::new();
    for event in &history.log.events {
        streams.entry((event.stream, &event.category)).or_default().push(event);
    }
    let mut violations = Vec::new();
    for ((stream, category), events) in &streams {
        let name = format!("{category}-{stream}");
        let wrong = (1..).zip(events).find(|(version, event)| event.version != *version);
        if let Some((version, event)) = wrong {
            let what = format!("version {} where {version} is due", event.version);
            violations.push(Violation::new(I3StreamsAreLinear, event.position, &name, what));
        }
    }
    let heads: HashMap<(Uuid, &str), i64> = history
        .log
        .streams
        .iter()
        .map(|(stream, category, version)| ((*stream, category.as_str()), *version))
        .collect();
    for (stream, events) in &streams {
        let (count, last) = (i64::try_from(events.len()).unwrap_or(i64::MAX), events.last().map(|e| e.position));
        let head = heads.get(stream).copied().unwrap_or(0);
        if head != count {
            let what = format!("the stream's head is {head}, and it has {count} events");
            violations.push(Violation::new(I3StreamsAreLinear, last, &format!("{}-{}", stream.1, stream.0), what));
        }
    }
    for ((stream, category), version) in heads.iter().filter(|(_, version)| **version > 0) {
        if !streams.contains_key(&(*stream, *category)) {
            let what = format!("the stream's head is {version}, and it has no events");
            violations.push(Violation::new(I3StreamsAreLinear, None, &format!("{category}-{stream}"), what));
        }
    }
    let commands = commands(history);
    violations.extend(commands.iter().filter_map(won_by_another));
    violations.extend(false_conflicts(history, &commands));
    violations
}

/// A command that insists on a version makes the next one.
fn won_by_another(command: &Command<'_>) -> Option<Violation> {
    let (expected, (version, position, _)) = (command.expected?, command.acknowledged()?);
    (version != expected + 1).then(|| {
        let what = format!("command {} insisted on version {expected} and became {version}", command.id);
        Violation::new(I3StreamsAreLinear, position, command.writer, what)
    })
}

/// A conflict is real if the stream may have been at another version at some moment between question and answer. It was at
/// the expected one all the time when somebody knew of that version before, and the next one was begun only after.
fn false_conflicts(history: &History, commands: &[Command<'_>]) -> Vec<Violation> {
    let by_id: HashMap<Uuid, &Command<'_>> = commands.iter().map(|command| (command.id, command)).collect();
    let maker: HashMap<(Uuid, &str, i64), &Command<'_>> = history
        .log
        .events
        .iter()
        .filter_map(|event| {
            Some(((event.stream, event.category.as_str(), event.version), *by_id.get(&event.causation?)?))
        })
        .collect();
    let mut violations = Vec::new();
    for command in commands {
        let Some(expected) = command.expected else { continue };
        let Some((answered, _)) = command.answers.iter().find(|(_, answer)| **answer == Answer::Conflict) else {
            continue;
        };
        let made = |version| maker.get(&(command.stream, command.category, version));
        let known_before = expected == 0
            || made(expected).and_then(|maker| maker.acknowledged()).is_some_and(|(_, _, at)| at < command.sent);
        let next_begun = made(expected + 1).map(|maker| maker.sent);
        if known_before && next_begun.is_none_or(|begun| begun > *answered) {
            let what = format!("command {} conflicted with nobody over version {expected}", command.id);
            violations.push(Violation::new(I5ConflictsAreReal, None, command.writer, what));
        }
    }
    violations
}
