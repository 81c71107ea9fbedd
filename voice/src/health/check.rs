//! What a check found, and whether the process is fit for its work in spite of it.

use std::time::Duration;

use serde::Serialize;

/// Events that a follower may be behind and still count as following.
const LAG_EVENTS_MAX: i64 = 10_000;

/// How something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Status {
    /// As it should be.
    Ok,
    /// Another process does the work, and this one would take over.
    StandingBy,
    /// Works, by other means than it should.
    Degraded,
    /// Some keys are left out until somebody takes them up again.
    Parked,
    /// Moves, but is far behind.
    Behind,
    /// Has something to do and does not move.
    Stalled,
    /// Was never made.
    Missing,
    /// Does not answer.
    Unreachable,
    /// Ends.
    Draining,
}

/// What a check found.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Check {
    pub(super) name: String,
    pub(super) status: Status,
    /// Whether the process is fit for its work in spite of it.
    pub(super) ready: bool,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub(super) place: Option<Place>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) parked_keys: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) detail: Option<&'static str>,
}

/// Where a follower of the log is.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Place {
    /// Up to where it has followed.
    pub(super) position: i64,
    /// The log's head.
    pub(super) head: i64,
    /// Seconds that the next event has been waiting for it.
    pub(super) behind_s: f64,
    /// Seconds without any progress while there was something to do.
    pub(super) rests_s: f64,
}

impl Place {
    /// A follower that rests is counted from when this process began to look, so that nobody is to blame for the time in
    /// which nothing ran.
    pub(super) fn new(position: i64, head: i64, behind: Duration, rests: Duration, looked_for: Duration) -> Self {
        Self { position, head, behind_s: seconds(behind), rests_s: seconds(rests.min(looked_for)) }
    }

    /// What this says of a follower.
    fn status(&self, stalled_after: Duration) -> Status {
        if self.rests_s >= stalled_after.as_secs_f64() {
            Status::Stalled
        } else if self.head - self.position > LAG_EVENTS_MAX {
            Status::Behind
        } else {
            Status::Ok
        }
    }
}

/// In whole milliseconds.
fn seconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1_000.0).round() / 1_000.0
}

impl Check {
    /// Something that follows no log. Whatever is not as it should be makes the process unready.
    pub(super) fn of(name: &str, status: Status, detail: Option<&'static str>) -> Self {
        let ready = status == Status::Ok;
        Self { name: name.to_owned(), status, ready, place: None, parked_keys: None, detail }
    }

    /// A follower of the log. `needed`: the process is not ready while it stalls or is far behind.
    pub(super) fn follower(name: String, place: Place, stalled_after: Duration, needed: bool) -> Self {
        let status = place.status(stalled_after);
        let ready = status == Status::Ok || !needed;
        Self { name, status, ready, place: Some(place), parked_keys: None, detail: None }
    }

    /// The same, with something to say besides when all is well otherwise.
    pub(super) fn unless_worse(mut self, status: Status, detail: &'static str) -> Self {
        if self.status == Status::Ok {
            (self.status, self.detail) = (status, Some(detail));
        }
        self
    }

    /// The same for a read model, some keys of which may be parked.
    pub(super) fn with_parked(mut self, keys: i64) -> Self {
        self.parked_keys = Some(keys);
        if keys > 0 { self.unless_worse(Status::Parked, "see `voice parked`") } else { self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AFTER: Duration = Duration::from_secs(30);

    fn follower(position: i64, head: i64, rests_s: u64, looked_s: u64, needed: bool) -> (Status, bool) {
        let (rests, looked) = (Duration::from_secs(rests_s), Duration::from_secs(looked_s));
        let place = Place::new(position, head, Duration::from_secs(3_600), rests, looked);
        let check = Check::follower("feed".to_owned(), place, AFTER, needed);
        (check.status, check.ready)
    }

    #[test]
    fn a_follower_stalls_by_time_without_progress_and_lags_by_events() {
        assert_eq!(follower(7, 7, 0, 3_600, true), (Status::Ok, true));
        assert_eq!(follower(7, 8, 29, 3_600, true), (Status::Ok, true));
        assert_eq!(follower(7, 8, 30, 3_600, true), (Status::Stalled, false));
        assert_eq!(follower(7, 8, 30, 3_600, false), (Status::Stalled, true), "somebody else's work");
        assert_eq!(follower(0, 10_000, 0, 3_600, true), (Status::Ok, true));
        assert_eq!(follower(0, 10_001, 0, 3_600, true), (Status::Behind, false));
        assert_eq!(follower(7, 8, 3_600, 29, true), (Status::Ok, true), "nothing ran before");
    }

    #[test]
    fn what_is_parked_is_told_unless_there_is_worse() {
        let check = |rests_s: u64| {
            let rests = Duration::from_secs(rests_s);
            let place = Place::new(7, 8, rests, rests, Duration::from_secs(3_600));
            Check::follower("projection:calls".to_owned(), place, AFTER, true)
        };
        let parked = check(1).with_parked(2);
        assert_eq!((parked.status, parked.ready, parked.parked_keys), (Status::Parked, true, Some(2)));
        let stalled = check(31).with_parked(2);
        assert_eq!((stalled.status, stalled.ready), (Status::Stalled, false));
        assert_eq!(check(1).with_parked(0).status, Status::Ok);
    }
}
