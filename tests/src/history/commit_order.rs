//! I4: positions are dense, and what was known before something began comes before it.

use std::collections::HashMap;

use domain::Position;
use uuid::Uuid;

use super::Invariant::I4PositionsAreInCommitOrder;
use super::appends::commands;
use super::{History, Violation};

pub(super) fn check(history: &History) -> Vec<Violation> {
    let mut violations: Vec<Violation> = dense(history).into_iter().collect();
    violations.extend(in_real_time(history));
    violations
}

fn dense(history: &History) -> Option<Violation> {
    let log = &history.log;
    let hole = (1..).zip(&log.events).find(|(due, event)| event.position != *due);
    if let Some((due, event)) = hole {
        let what = format!("the event after position {} is {}", due - 1, event.position);
        return Some(Violation::new(I4PositionsAreInCommitOrder, due, "log", what));
    }
    let last = log.events.last().map_or(0, |event| event.position);
    (last != log.head).then(|| {
        let what = format!("the log's head is {}, and its last event {last}", log.head);
        Violation::new(I4PositionsAreInCommitOrder, last.min(log.head) + 1, "log", what)
    })
}

/// If one append was acknowledged before another was sent, it has the lower position.
fn in_real_time(history: &History) -> Option<Violation> {
    let commands = commands(history);
    let mut stored: HashMap<Uuid, Position> = HashMap::new();
    for event in &history.log.events {
        if let Some(causation) = event.causation {
            stored.entry(causation).or_insert(event.position);
        }
    }
    let mut acknowledged: Vec<(u64, Position)> =
        commands.iter().filter_map(|command| command.acknowledged().map(|(_, position, at)| (at, position))).collect();
    acknowledged.sort_unstable();
    let mut sent: Vec<_> =
        commands.iter().filter_map(|command| Some((command.sent, *stored.get(&command.id)?, command))).collect();
    sent.sort_unstable_by_key(|(at, position, _)| (*at, *position));
    let (mut known, mut acknowledged) = (0, acknowledged.into_iter().peekable());
    for (at, position, command) in sent {
        while let Some((_, earlier)) = acknowledged.next_if(|(when, _)| *when < at) {
            known = known.max(earlier);
        }
        if position < known {
            let what = format!("command {} was sent when position {known} was known already", command.id);
            return Some(Violation::new(I4PositionsAreInCommitOrder, position, command.writer, what));
        }
    }
    None
}
