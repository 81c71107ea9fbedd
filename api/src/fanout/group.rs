//! Those who watch the same.

use std::collections::{HashMap, VecDeque};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll};

use futures_util::{Stream, StreamExt};
use tokio::task::AbortHandle;

use super::openings::{Opening, Openings, Turn};
use super::outbox::{Ending, Lane};
use super::{Beginning, Frame, Key};
use crate::track::{Place, Track};

/// Recent frames that a group keeps for those who are about to ride along, in bytes.
const RECENT_BYTES_MAX: usize = 256 * 1024;
/// The same, in frames.
const RECENT_FRAMES_MAX: usize = 256;

/// A subscription as it runs: its frames, and its place between them.
pub(crate) struct Source {
    frames: Pin<Box<dyn Stream<Item = Result<Frame, String>> + Send>>,
    track: Arc<Track>,
    /// The place at which joining others was tried in vain.
    tried: Option<Place>,
}

/// What a source does next.
pub(crate) enum Step {
    /// It has an answer.
    Frame(Frame),
    /// It has caught up and waits.
    Waits(Place),
    /// It has ended.
    Ended(Ending),
}

impl Source {
    /// A stream of frames, which an error ends, and the track of its execution.
    pub(crate) fn new(frames: Pin<Box<dyn Stream<Item = Result<Frame, String>> + Send>>, track: Arc<Track>) -> Self {
        Self { frames, track, tried: None }
    }

    /// Waits for the next frame, or, once for each place, for the source to have caught up.
    pub(crate) async fn step(&mut self) -> Step {
        std::future::poll_fn(|context| self.poll(context)).await
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Step> {
        match self.frames.poll_next_unpin(context) {
            Poll::Ready(Some(Ok(frame))) => return Poll::Ready(Step::Frame(frame)),
            Poll::Ready(Some(Err(errors))) => return Poll::Ready(Step::Ended(Ending::Errors(errors))),
            Poll::Ready(None) => return Poll::Ready(Step::Ended(Ending::Complete)),
            Poll::Pending => {}
        }
        // All payloads up to this place were yielded, resolved and taken: the stream sets it when it is asked for more.
        match self.track.place() {
            Some(place) if place.live && self.tried != Some(place) => {
                self.tried = Some(place);
                Poll::Ready(Step::Waits(place))
            }
            _ => Poll::Pending,
        }
    }
}

/// All groups of this node. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct Fanout {
    groups: Arc<Mutex<HashMap<Key, Arc<Group>>>>,
    openings: Openings,
}

struct Group {
    key: Key,
    state: Mutex<State>,
}

struct State {
    riders: HashMap<u64, Rider>,
    next_rider: u64,
    recent: VecDeque<Arc<Frame>>,
    recent_bytes: usize,
    /// Everything after here is in `recent`.
    base: domain::Position,
    source: Option<AbortHandle>,
    ended: bool,
}

struct Rider {
    lane: Lane,
    /// It has everything up to here.
    seen: domain::Position,
}

impl Rider {
    /// Takes a frame unless it has it already. False: it takes no more.
    fn take(&mut self, frame: &Arc<Frame>) -> bool {
        if let Some(position) = frame.shown.position {
            if position <= self.seen {
                return true;
            }
            self.seen = position;
        }
        self.lane.offer(frame)
    }
}

/// A place in a group; leaves it when dropped.
pub(super) struct Membership(Option<Box<dyn FnOnce() + Send>>);

impl Drop for Membership {
    fn drop(&mut self) {
        if let Some(leave) = self.0.take() {
            leave();
        }
    }
}

impl Fanout {
    /// Lets a lane ride along with its equals from its place on, as the source of all of them if it is the first. Gives
    /// the source back when they are too far ahead.
    pub(crate) fn join(&self, key: Key, place: Place, lane: &Lane, source: Source) -> Result<(), Source> {
        let mut groups = self.lock();
        let riding = groups.get(&key).map(|group| group.add(place, &[], lane));
        let membership = match riding {
            Some(Added::Rides(rider)) => self.membership(&groups[&key], rider),
            Some(Added::TooFarAhead) => return Err(source),
            Some(Added::HasEnded) | None => {
                let group = Group::new(key, place);
                groups.insert(key, Arc::clone(&group));
                let Added::Rides(rider) = group.add(place, &[], lane) else { return Err(source) };
                group.start(source, self.clone());
                self.membership(&group, rider)
            }
        };
        drop(groups);
        lane.ride(membership);
        Ok(())
    }

    /// A turn at a beginning, waiting for it while another reads for all who begin there.
    pub(crate) async fn turn(&self, beginning: Beginning) -> Turn {
        self.openings.turn(beginning).await
    }

    /// Lets a lane that has nothing yet begin with what another has read, and ride along with its equals from there. False:
    /// they have ended, or are too far ahead, and the lane has nothing still.
    pub(crate) fn follow(&self, key: Key, opening: &Opening, lane: &Lane) -> bool {
        let groups = self.lock();
        let Some(group) = groups.get(&key) else { return false };
        let Added::Rides(rider) = group.add(opening.place, &opening.frames, lane) else { return false };
        let membership = self.membership(group, rider);
        drop(groups);
        lane.ride(membership);
        true
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Arc<Group>>> {
        // Nothing panics while it is held.
        self.groups.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn membership(&self, group: &Arc<Group>, rider: u64) -> Membership {
        let (fanout, group): (Self, Weak<Group>) = (self.clone(), Arc::downgrade(group));
        Membership(Some(Box::new(move || {
            if let Some(group) = group.upgrade()
                && group.remove(rider)
            {
                fanout.forget(&group);
            }
        })))
    }

    fn forget(&self, group: &Arc<Group>) {
        let mut groups = self.lock();
        if groups.get(&group.key).is_some_and(|current| Arc::ptr_eq(current, group)) {
            groups.remove(&group.key);
        }
    }
}

enum Added {
    Rides(u64),
    TooFarAhead,
    HasEnded,
}

impl Group {
    fn new(key: Key, place: Place) -> Arc<Self> {
        let state = State {
            riders: HashMap::new(),
            next_rider: 0,
            recent: VecDeque::new(),
            recent_bytes: 0,
            base: place.seen,
            source: None,
            ended: false,
        };
        Arc::new(Self { key, state: Mutex::new(state) })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it is held.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a lane that is at a place when it has taken these frames.
    fn add(&self, place: Place, before: &[Arc<Frame>], lane: &Lane) -> Added {
        let mut state = self.lock();
        if state.ended {
            return Added::HasEnded;
        }
        if place.seen < state.base {
            return Added::TooFarAhead;
        }
        let missing = |frame: &&Arc<Frame>| frame.shown.position.is_some_and(|position| position > place.seen);
        // An operation that is no more is found out by the next frame.
        for frame in before.iter().chain(state.recent.iter().filter(missing)) {
            lane.offer(frame);
        }
        state.next_rider += 1;
        let rider = state.next_rider;
        let latest = state.recent.iter().rev().find_map(|frame| frame.shown.position);
        let seen = place.seen.max(latest.unwrap_or(place.seen));
        state.riders.insert(rider, Rider { lane: lane.clone(), seen });
        Added::Rides(rider)
    }

    /// Takes a rider out; true when it was the last one.
    fn remove(&self, rider: u64) -> bool {
        let mut state = self.lock();
        let left = state.riders.remove(&rider);
        let last = state.riders.is_empty() && !std::mem::replace(&mut state.ended, true);
        let source = if last { state.source.take() } else { None };
        drop(state);
        drop(left);
        if let Some(source) = source {
            source.abort();
        }
        last
    }

    fn start(self: &Arc<Self>, mut source: Source, fanout: Fanout) {
        let group = Arc::clone(self);
        let mut state = self.lock();
        let running = tokio::spawn(async move {
            loop {
                match source.step().await {
                    Step::Frame(frame) => {
                        if group.publish(frame) {
                            break;
                        }
                    }
                    Step::Waits(_) => {}
                    Step::Ended(ending) => {
                        group.finish(&ending);
                        break;
                    }
                }
            }
            fanout.forget(&group);
        });
        state.source = Some(running.abort_handle());
    }

    /// Gives a frame to all; true when nobody is left.
    fn publish(&self, frame: Frame) -> bool {
        let frame = Arc::new(frame);
        let mut state = self.lock();
        let position = frame.shown.position;
        let gone: Vec<_> = state.riders.extract_if(|_, rider| !rider.take(&frame)).collect();
        if position.is_some() {
            state.recent_bytes += frame.body.len();
            state.recent.push_back(frame);
            while state.recent.len() > RECENT_FRAMES_MAX || state.recent_bytes > RECENT_BYTES_MAX {
                let Some(oldest) = state.recent.pop_front() else { break };
                state.recent_bytes -= oldest.body.len();
                state.base = oldest.shown.position.unwrap_or(state.base);
            }
        }
        let ended = state.riders.is_empty();
        state.ended = ended;
        drop(state);
        drop(gone);
        ended
    }

    /// The source has ended, and so have all.
    fn finish(&self, ending: &Ending) {
        let mut state = self.lock();
        state.ended = true;
        let riders = std::mem::take(&mut state.riders);
        drop(state);
        for rider in riders.into_values() {
            rider.lane.finish(ending.clone());
        }
    }
}
