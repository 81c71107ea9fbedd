mod openings;
mod simulation;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use domain::Position;
use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};
use tokio::sync::watch;
use tokio::time::timeout;

use super::*;
use crate::track::{Place, Shown, Shows, Track};

const ROOMY: usize = 1 << 20;
/// Turns of the runtime within which whatever was begun has come to rest.
const TURNS_MAX: usize = 10_000;
/// How long something may take to be sent.
const WITHIN: Duration = Duration::from_secs(20);

fn frame(position: Position, shows: Shows, bytes: usize) -> Arc<Frame> {
    Arc::new(Frame { body: "x".repeat(bytes), shown: Shown { position: Some(position), shows } })
}

fn latest(keys: &[u64]) -> Shows {
    Shows::Latest(keys.into())
}

/// What is sent, in words: `id@position`, `id.` complete, `id!` too slow, `id?` errors.
fn words(outs: Vec<Out>) -> Vec<String> {
    let word = |out| match out {
        Out::Next(id, frame) => format!("{id}@{}", frame.shown.position.unwrap_or(-1)),
        Out::Last(id, Ending::Complete) => format!("{id}."),
        Out::Last(id, Ending::TooSlow) => format!("{id}!"),
        Out::Last(id, Ending::Errors(_)) => format!("{id}?"),
        Out::Control(Control::Text(text)) => text,
        Out::Control(Control::Ping) => "ping".to_owned(),
        Out::Control(Control::Close(code, _)) => code.to_string(),
    };
    outs.into_iter().map(word).collect()
}

fn begin(outbox: &Arc<Outbox>, id: &str) -> Result<Lane, BeginError> {
    outbox.begin(id, 10)
}

#[tokio::test]
async fn operations_are_served_in_turn() -> Result<(), BeginError> {
    let outbox = Outbox::new(ROOMY);
    let (hot, quiet) = (begin(&outbox, "hot")?, begin(&outbox, "quiet")?);
    for position in 1..=4 {
        hot.push(frame(position, Shows::Every, 10)).await;
    }
    quiet.push(frame(9, Shows::Every, 10)).await;
    quiet.finish(Ending::Complete);
    outbox.say(Control::Text("pong".to_owned())).await;
    assert_eq!(words(outbox.take(25).await), ["pong", "hot@1", "quiet@9", "hot@2"]);
    assert_eq!(words(outbox.take(ROOMY).await), ["quiet.", "hot@3", "hot@4"]);
    assert!(begin(&outbox, "quiet").is_ok(), "its id is free");
    assert_eq!(begin(&outbox, "hot").err(), Some(BeginError::InUse));
    Ok(())
}

#[tokio::test]
async fn who_pulls_waits_for_room_and_who_is_pushed_ends_after_what_did_fit() -> Result<(), BeginError> {
    let outbox = Outbox::new(100);
    let (pulled, pushed) = (begin(&outbox, "pulled")?, begin(&outbox, "pushed")?);
    assert!(pushed.offer(&frame(1, Shows::Every, 60)));
    assert!(!pushed.offer(&frame(2, Shows::Every, 60)));
    assert!(!pushed.offer(&frame(3, Shows::Every, 1)), "nothing follows what was left out");
    assert!(pulled.push(frame(1, Shows::Every, 60)).await);
    let waits = tokio::spawn(async move { pulled.push(frame(2, Shows::Every, 60)).await });
    assert_eq!(words(outbox.take(ROOMY).await), ["pushed@1", "pulled@1", "pushed!"]);
    assert!(waits.await.is_ok_and(|taken| taken));
    assert_eq!(words(outbox.take(ROOMY).await), ["pulled@2"]);
    Ok(())
}

#[tokio::test]
async fn of_latest_states_only_the_newest_waits() -> Result<(), BeginError> {
    let outbox = Outbox::new(100);
    let lane = begin(&outbox, "a")?;
    for (position, shows) in [(1, latest(&[1])), (2, latest(&[2])), (3, latest(&[1])), (4, latest(&[1, 3]))] {
        assert!(lane.offer(&frame(position, shows, 30)));
    }
    assert_eq!(words(outbox.take(ROOMY).await), ["a@2", "a@4"]);
    for position in 5..50 {
        assert!(lane.offer(&frame(position, Shows::Whole, 90)));
    }
    let passing = Arc::new(Frame { body: String::new(), shown: Shown { position: None, shows: Shows::Passing } });
    assert!(lane.offer(&passing), "skipped by who is behind");
    assert_eq!(words(outbox.take(ROOMY).await), ["a@49"]);
    assert!(lane.offer(&passing));
    assert_eq!(words(outbox.take(ROOMY).await), ["a@-1"]);
    Ok(())
}

#[tokio::test]
async fn an_operation_that_was_ended_takes_and_sends_nothing() -> Result<(), BeginError> {
    let outbox = Outbox::new(ROOMY);
    let first = begin(&outbox, "a")?;
    first.push(frame(1, Shows::Every, 1)).await;
    outbox.end("a");
    let second = begin(&outbox, "a")?;
    assert!(!first.offer(&frame(2, Shows::Every, 1)) && !first.push(frame(2, Shows::Every, 1)).await);
    first.finish(Ending::Complete);
    second.push(frame(3, Shows::Every, 1)).await;
    assert_eq!(words(outbox.take(ROOMY).await), ["a@3"]);
    outbox.close();
    assert!(!second.offer(&frame(4, Shows::Every, 1)));
    Ok(())
}

/// A log whose positions become known one after another, and a subscription to it.
#[derive(Clone)]
struct Log {
    head: watch::Sender<Position>,
}

impl Log {
    /// Wants every `step`th position after `seen`; reads at most 7 at once.
    fn subscribe(&self, seen: Position, step: Position) -> Source {
        self.showing(seen, step, Shows::Every)
    }

    /// The same, of payloads that may be delivered otherwise.
    fn showing(&self, seen: Position, step: Position, shows: Shows) -> Source {
        let track = Arc::new(Track::default());
        let (head, told) = (self.head.subscribe(), Arc::clone(&track));
        let pages = stream::unfold((head, seen, told), move |(mut head, seen, told)| async move {
            let live = *head.borrow() == seen;
            told.reached(Some(Place { seen, live }));
            let upto = (*head.wait_for(|head| *head > seen).await.ok()?).min(seen + 7);
            let wanted: Vec<Position> = (seen + 1..=upto).filter(|position| position % step == 0).collect();
            Some((stream::iter(wanted), (head, upto, told)))
        });
        let shown = Arc::clone(&track);
        let frames: BoxStream<'static, Result<Frame, String>> = pages
            .flatten()
            .map(move |position| {
                shown.yielded(Shown { position: Some(position), shows: shows.clone() });
                Ok(Frame { body: position.to_string(), shown: shown.shown() })
            })
            .boxed();
        Source::new(frames, track)
    }
}

impl Log {
    /// Waits until this many sources are left.
    async fn watched_by(&self, sources: usize) {
        for _ in 0..TURNS_MAX {
            if self.head.receiver_count() == sources {
                return;
            }
            tokio::task::yield_now().await;
        }
        panic!("{} sources, not {sources}", self.head.receiver_count());
    }
}

/// Subscribes as the transport does, to what comes after a place.
async fn fill(after: Position, source: impl FnOnce() -> Source, lane: Lane, fanout: Fanout) {
    let equals = Some((Key::any(), Beginning::any(after)));
    Newcomer { equals, begun: Arc::default(), lane }.subscribe(fanout, source).await;
}

/// Subscriptions come at any time with any cursor, some go, and a group forms, ends and forms again: whatever happens, each
/// gets what it wants after its cursor, once and in order.
#[tokio::test]
async fn whoever_joins_gets_everything_once_and_in_order() {
    const STEP: Position = 3;
    for seed in 0..300_u64 {
        let mut dice = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
        let mut roll = move |sides: u64| {
            dice ^= dice << 13;
            dice ^= dice >> 7;
            dice ^= dice << 17;
            dice % sides
        };
        let (log, fanout) = (Log { head: watch::channel(0).0 }, Fanout::default());
        let mut open: HashMap<u64, (Arc<Outbox>, Position)> = HashMap::new();
        let mut head = 0;
        for round in 0..60 {
            match roll(4) {
                0 => {
                    let after = Position::try_from(roll(u64::try_from(head).unwrap_or(0) + 1)).unwrap_or(0);
                    let outbox = Outbox::new(ROOMY);
                    let Ok(lane) = begin(&outbox, "a") else { continue };
                    let log = log.clone();
                    lane.spawn(fill(after, move || log.subscribe(after, STEP), lane.clone(), fanout.clone()));
                    open.insert(round, (outbox, after));
                }
                1 if roll(3) == 0 => {
                    if let Some(round) = open.keys().copied().min() {
                        open.remove(&round).inspect(|(outbox, _)| outbox.close());
                    }
                }
                2 => {
                    head += Position::try_from(roll(12)).unwrap_or(0);
                    log.head.send_replace(head);
                }
                _ => {
                    for _ in 0..roll(6) {
                        tokio::task::yield_now().await;
                    }
                }
            }
        }
        // A last one, so that all know when to stop waiting.
        head = (head / STEP + 1) * STEP;
        log.head.send_replace(head);
        for (outbox, after) in open.into_values() {
            let mut got = Vec::new();
            while got.last() != Some(&format!("a@{head}")) {
                let taken = timeout(WITHIN, outbox.take(1)).await;
                got.extend(words(taken.unwrap_or_else(|_| panic!("seed {seed}: nothing follows {got:?}"))));
            }
            let wanted: Vec<String> =
                (after + 1..=head).filter(|p| p % STEP == 0).map(|position| format!("a@{position}")).collect();
            assert_eq!(got, wanted, "seed {seed}, after {after}");
            outbox.close();
        }
    }
}

#[tokio::test]
async fn equal_ones_share_a_source_and_leave_none_behind() -> Result<(), BeginError> {
    let (log, fanout) = (Log { head: watch::channel(0).0 }, Fanout::default());
    let mut outboxes = Vec::new();
    for _ in 0..50 {
        let outbox = Outbox::new(ROOMY);
        let lane = begin(&outbox, "a")?;
        let log = log.clone();
        lane.spawn(fill(0, move || log.subscribe(0, 1), lane.clone(), fanout.clone()));
        outboxes.push(outbox);
    }
    // Each source watches the head; once all ride along, one is left.
    log.watched_by(1).await;
    log.head.send_replace(1);
    for outbox in &outboxes {
        assert_eq!(words(outbox.take(ROOMY).await), ["a@1"]);
    }
    outboxes.iter().for_each(|outbox| outbox.close());
    log.watched_by(0).await;
    Ok(())
}
