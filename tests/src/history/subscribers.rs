//! I9: over all its connections, a subscriber receives everything once and in order.

use domain::Position;

use super::Invariant::I9SubscribersMissNothing;
use super::{Entry, History, Line, Stored, Violation, Watched};

pub(super) fn check(history: &History) -> Vec<Violation> {
    history.journals.iter().filter_map(|(actor, lines)| check_one(history, actor, lines)).collect()
}

fn check_one(history: &History, actor: &str, lines: &[Line]) -> Option<Violation> {
    let watched = lines.iter().find_map(|line| match &line.entry {
        Entry::Watches(watched) => Some(watched),
        _ => None,
    })?;
    // Members of a crowd share a journal, which says what the first of them received, and who received anything else.
    let differed = lines.iter().find_map(|line| match line.entry {
        Entry::Differed { member, due, received } => Some((member, due, received)),
        _ => None,
    });
    if let Some((member, due, received)) = differed {
        let came = received.map_or("nothing came".to_owned(), |position| format!("{position} came"));
        let what = format!("position {due} is due to member {member}, and {came}");
        let first = received.map_or(due, |position| position.min(due));
        return Some(Violation::new(I9SubscribersMissNothing, first, actor, what));
    }
    let left = lines.iter().find_map(|line| match line.entry {
        Entry::Left { head } => Some(head),
        _ => None,
    });
    let until = left.unwrap_or(Position::MAX);
    let received = lines.iter().filter_map(|line| match line.entry {
        Entry::Received { position, id } if position <= until => Some((position, id)),
        _ => None,
    });
    let mut due = history.log.events.iter().filter(|event| event.position <= until && sees(watched, event));
    for (position, id) in received {
        let Some(event) = due.next() else {
            let what = format!("{id:?} came after the last one");
            return Some(Violation::new(I9SubscribersMissNothing, position, actor, what));
        };
        if event.position != position || id.is_some_and(|id| id != event.id) {
            let what =
                format!("event {} of position {} is due, and {id:?} of {position} came", event.id, event.position);
            return Some(Violation::new(I9SubscribersMissNothing, event.position.min(position), actor, what));
        }
    }
    let missing = due.next()?;
    let what = format!("event {} never came", missing.id);
    Some(Violation::new(I9SubscribersMissNothing, missing.position, actor, what))
}

fn sees(watched: &Watched, event: &Stored) -> bool {
    watched.category.as_ref().is_none_or(|category| *category == event.category)
        && watched.stream.is_none_or(|stream| stream == event.stream)
        && watched.after < event.position
}
