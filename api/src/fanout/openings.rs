//! Those who begin the same at the same time: one of them reads, and the others begin with what it has read.
//!
//! Without it a thousand newcomers read and resolve the same page a thousand times, and while they wait for their turn each
//! keeps a request and an execution of its own.
//!
//! Whoever comes while nobody leads, leads. Whoever comes while somebody does, waits for the next one to lead, since what is
//! being read may be older than what this client knows already. When a lead ends, the first of those who wait leads the
//! others. A lead ends when its subscription has caught up, when it turns out to have more to show than an opening may be, or
//! when its client goes; in the last case another of those it led takes its place.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;

use super::{Beginning, Frame};
use crate::track::Place;

/// Frames of an opening.
const FRAMES_MAX: usize = 64;
/// How long a lead may take from its first frame until it has caught up.
pub(super) const CATCHES_UP_WITHIN: Duration = Duration::from_secs(1);

/// What a subscription begins with: its frames up to where it has caught up.
#[derive(Debug)]
pub(crate) struct Opening {
    pub(super) frames: Vec<Arc<Frame>>,
    pub(super) place: Place,
}

/// What comes of waiting for one's turn.
pub(crate) enum Turn {
    /// To read for those who wait.
    Leads(Lead),
    /// To begin with what another has read since.
    Follows(Arc<Opening>),
    /// To begin by oneself.
    Alone,
}

type Waiting = VecDeque<oneshot::Sender<Turn>>;

/// Who waits for the next lead, where there is a lead. Cheap to clone.
#[derive(Clone, Default)]
pub(super) struct Openings(Arc<Mutex<HashMap<Beginning, Waiting>>>);

impl Openings {
    /// A turn at a beginning, waiting for it while another leads.
    pub(super) async fn turn(&self, beginning: Beginning) -> Turn {
        let turn = {
            let mut led = self.lock();
            let Some(waiting) = led.get_mut(&beginning) else {
                led.insert(beginning, Waiting::new());
                drop(led);
                return Turn::Leads(self.lead(beginning, Waiting::new()));
            };
            // Those who have gone, so that they do not add up while one leads for long.
            if waiting.len() == waiting.capacity() {
                waiting.retain(|turn| !turn.is_closed());
            }
            let (sender, turn) = oneshot::channel();
            waiting.push_back(sender);
            turn
        };
        turn.await.unwrap_or(Turn::Alone)
    }

    fn lead(&self, beginning: Beginning, followers: Waiting) -> Lead {
        Lead { openings: self.clone(), beginning, frames: Vec::new(), bytes: 0, followers }
    }

    /// The next lead: the first of those who are still there. Nobody: whoever comes next.
    fn pass_on(&self, beginning: Beginning, mut waiting: Waiting) {
        let mut led = self.lock();
        waiting.extend(led.get_mut(&beginning).map(std::mem::take).unwrap_or_default());
        let Some(next) = std::iter::from_fn(|| waiting.pop_front()).find(|turn| !turn.is_closed()) else {
            led.remove(&beginning);
            return;
        };
        drop(led);
        // One that goes at this very moment hands its lead back, and that passes on.
        drop(next.send(Turn::Leads(self.lead(beginning, waiting))));
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Beginning, Waiting>> {
        // Nothing panics while it is held.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The one who reads. Dropped before it has told what it has read, another leads those it has led.
pub(crate) struct Lead {
    openings: Openings,
    beginning: Beginning,
    frames: Vec<Arc<Frame>>,
    bytes: usize,
    /// Who came before the lead began.
    followers: Waiting,
}

impl Lead {
    /// Notes a frame. `None`: this became more than an opening may be, and those who waited for it begin alone.
    pub(super) fn note(mut self, frame: &Arc<Frame>, bytes_max: usize) -> Option<Self> {
        self.bytes += frame.body.len();
        if self.bytes > bytes_max || self.frames.len() == FRAMES_MAX {
            self.goes_alone();
            return None;
        }
        if self.is_followed() {
            self.frames.push(Arc::clone(frame));
        }
        Some(self)
    }

    /// Whether anybody waits for what is read.
    pub(super) fn is_followed(&self) -> bool {
        !self.followers.is_empty()
    }

    /// Gives what was read to those who wait for it; called when the lead is in the group of its equals.
    pub(super) fn caught_up(mut self, place: Place) {
        let opening = Arc::new(Opening { frames: std::mem::take(&mut self.frames), place });
        self.tell(|| Turn::Follows(Arc::clone(&opening)));
    }

    /// Has everybody begin alone.
    pub(super) fn goes_alone(mut self) {
        self.tell(|| Turn::Alone);
    }

    fn tell(&mut self, turn: impl Fn() -> Turn) {
        for follower in std::mem::take(&mut self.followers) {
            // Who is gone needs nothing.
            drop(follower.send(turn()));
        }
    }
}

impl Drop for Lead {
    fn drop(&mut self) {
        self.openings.pass_on(self.beginning, std::mem::take(&mut self.followers));
    }
}
