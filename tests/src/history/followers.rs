//! I7, I8, I11 and I12: read models, checkpoints, catching up, bounds.

use std::collections::HashMap;

use domain::Position;

use super::Invariant::{I7ViewsAreFolds, I8CheckpointsMoveOn, I11EverybodyCatchesUp, I12BoundsHold};
use super::{Entry, History, View, Violation};

pub(super) fn check(history: &History) -> Vec<Violation> {
    let mut violations: Vec<Violation> = history.views.iter().filter_map(differs).collect();
    // Times are comparable over all journals.
    let mut lines: Vec<_> =
        history.journals.iter().flat_map(|(actor, lines)| lines.iter().map(move |line| (actor, line))).collect();
    lines.sort_by_key(|(_, line)| line.at);
    let (mut at, mut sent_back) = (HashMap::<&str, Position>::new(), HashMap::<&str, Position>::new());
    for (actor, line) in lines {
        match &line.entry {
            // It goes back once, some time from now, and by the time everything is quiet it has.
            Entry::SentBack { follower, from } => drop(sent_back.insert(follower, *from)),
            Entry::Quiet { .. } => sent_back.clear(),
            Entry::Checkpoint { follower, position } => {
                let before = at.insert(follower, *position).unwrap_or(0);
                let told =
                    before > *position && sent_back.remove(follower.as_str()).is_some_and(|from| *position >= from - 1);
                if before > *position && !told {
                    let what = format!("{follower} moved back from {before}");
                    violations.push(Violation::new(I8CheckpointsMoveOn, *position, actor, what));
                }
                if *position > history.log.head {
                    let what = format!("{follower} is beyond the log's head {}", history.log.head);
                    violations.push(Violation::new(I8CheckpointsMoveOn, *position, actor, what));
                }
            }
            Entry::Stuck { who } => {
                violations.push(Violation::new(I11EverybodyCatchesUp, None, actor, who.clone()));
            }
            Entry::Measured { name, value, bound } if value > bound => {
                let what = format!("{name} is {value}, and may be {bound}");
                violations.push(Violation::new(I12BoundsHold, None, actor, what));
            }
            _ => {}
        }
    }
    violations
}

/// The first row that should not be there, or is missing.
fn differs(view: &View) -> Option<Violation> {
    if view.rows == view.folded {
        return None;
    }
    let (found, due) = (&view.rows, &view.folded);
    let stray = found.iter().find(|row| !due.contains(row)).map(|row| format!("it has {row}"));
    let missing = due.iter().find(|row| !found.contains(row)).map(|row| format!("it lacks {row}"));
    let said: Vec<String> = stray.into_iter().chain(missing).collect();
    let said = if said.is_empty() { format!("{} rows for {}", found.len(), due.len()) } else { said.join("; ") };
    let name = format!("{}.{}", view.projection, view.table);
    Some(Violation::new(I7ViewsAreFolds, view.at, &name, said))
}
