//! Did agents work when they were scheduled to?

use super::intervals::{Span, union};
use super::ratio;

/// Whether work outside the schedule is an exception.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutsideSchedule {
    /// It counts against the agent, and adds to the time that is judged.
    Counts,
    /// It is left out.
    Ignored,
}

/// Share of the judged time in which the agent did as scheduled, 0 to 1. `None`: no schedule, or no work at all.
///
/// Definition: `max(0, 1 - exception / judged)`, where the exception is scheduled time without work. Where outside work
/// counts, it adds to both exception and judged time. Source: Genesys Cloud, adherence with and without the setting for
/// activity outside of the shift.
#[must_use]
pub fn adherence(scheduled: &[Span], worked: &[Span], outside: OutsideSchedule) -> Option<f64> {
    let (scheduled, worked) = (union(scheduled), union(worked));
    let (scheduled_ms, worked_ms) = (total_ms(&scheduled), total_ms(&worked));
    if worked_ms == 0 || scheduled_ms == 0 {
        return None;
    }
    let both_ms: i64 = scheduled.iter().flat_map(|span| worked.iter().map(|work| span.overlap_ms(*work))).sum();
    let outside_ms = match outside {
        OutsideSchedule::Counts => worked_ms - both_ms,
        OutsideSchedule::Ignored => 0,
    };
    // 1 - exception / judged, written with what is left.
    ratio(both_ms.max(0), scheduled_ms + outside_ms)
}

/// Worked time against scheduled time, whenever it was worked: may exceed 1. `None`: no schedule.
///
/// Definition: `worked / scheduled`. Source: Genesys Cloud, conformance.
#[must_use]
pub fn conformance(scheduled: &[Span], worked: &[Span]) -> Option<f64> {
    ratio(total_ms(&union(worked)), total_ms(&union(scheduled)))
}

fn total_ms(spans: &[Span]) -> i64 {
    spans.iter().map(|span| span.length_ms()).sum()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test ends where its world is not as expected")]
    use super::*;

    fn span(begin: &str, end: &str) -> Span {
        let at = |time| format!("2026-11-23T{time}:00Z").parse().unwrap();
        Span { begin: at(begin), end: at(end) }
    }

    fn percent(share: Option<f64>) -> String {
        share.map_or_else(|| "-".to_owned(), |share| format!("{:.2}", share * 100.0))
    }

    #[test]
    fn ten_minutes_late_and_ten_minutes_longer() {
        let (scheduled, worked) = ([span("09:00", "10:00")], [span("09:10", "10:10")]);
        assert_eq!(percent(adherence(&scheduled, &worked, OutsideSchedule::Counts)), "71.43");
        assert_eq!(percent(adherence(&scheduled, &worked, OutsideSchedule::Ignored)), "83.33");
        assert_eq!(percent(conformance(&scheduled, &worked)), "100.00");
    }

    #[test]
    fn nothing_scheduled_or_nothing_worked_is_undefined() {
        let hour = [span("09:00", "10:00")];
        assert_eq!(adherence(&[], &hour, OutsideSchedule::Counts), None);
        assert_eq!(adherence(&hour, &[], OutsideSchedule::Counts), None);
        assert_eq!(conformance(&[], &hour), None);
        assert_eq!(conformance(&hour, &[]), Some(0.0));
    }

    #[test]
    fn work_at_another_time_is_no_adherence() {
        let (scheduled, worked) = ([span("09:00", "10:00")], [span("11:00", "12:00")]);
        assert_eq!(adherence(&scheduled, &worked, OutsideSchedule::Counts), Some(0.0));
    }
}
