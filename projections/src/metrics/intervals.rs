//! Stretches of time, days in a named zone, and which bucket a stretch counts in.

use chrono::{DateTime, Days, NaiveDate, NaiveTime, TimeDelta, TimeZone, Utc};
pub use chrono_tz::Tz;
use serde::{Deserialize, Serialize};

/// A stretch of time, begin inclusive, end exclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span {
    /// Begin.
    pub begin: DateTime<Utc>,
    /// End.
    pub end: DateTime<Utc>,
}

impl Span {
    /// Length in milliseconds; 0 when it ends before it begins.
    #[must_use]
    pub fn length_ms(self) -> i64 {
        (self.end - self.begin).num_milliseconds().max(0)
    }

    /// Length of the part that both have, in milliseconds.
    #[must_use]
    pub fn overlap_ms(self, other: Self) -> i64 {
        Self { begin: self.begin.max(other.begin), end: self.end.min(other.end) }.length_ms()
    }

    /// The instant lies in it.
    #[must_use]
    pub fn holds(self, at: DateTime<Utc>) -> bool {
        self.begin <= at && at < self.end
    }
}

/// In which bucket a stretch that crosses a bound counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Attribution {
    /// In each bucket with the part that lies in it. As the older Genesys Info Mart; our default.
    #[default]
    Clip,
    /// Wholly in the bucket that holds its begin. As Twilio Flex Insights does for activity and talk time.
    AtStart,
    /// Wholly in the bucket that holds its end, also when the end is the bucket's first instant. As Genesys Cloud.
    AtEnd,
}

/// Milliseconds of the stretches that count in a bucket. Over adjoining buckets that hold all stretches the sum is the
/// same under every attribution.
#[must_use]
pub fn attributed_ms(spans: &[Span], bucket: Span, attribution: Attribution) -> i64 {
    let in_bucket = |span: &Span| match attribution {
        Attribution::Clip => span.overlap_ms(bucket),
        Attribution::AtStart if bucket.holds(span.begin) => span.length_ms(),
        Attribution::AtEnd if bucket.holds(span.end) => span.length_ms(),
        Attribution::AtStart | Attribution::AtEnd => 0,
    };
    spans.iter().map(in_bucket).sum()
}

/// Cuts a stretch into buckets of one length; the last may be shorter. A length under a millisecond gives one bucket.
#[must_use]
pub fn buckets(span: Span, length: TimeDelta) -> Vec<Span> {
    if length.num_milliseconds() <= 0 {
        return vec![span];
    }
    let mut buckets = Vec::new();
    let mut begin = span.begin;
    while begin < span.end {
        let end = (begin + length).min(span.end);
        buckets.push(Span { begin, end });
        begin = end;
    }
    buckets
}

/// The calendar day in a zone that an instant belongs to.
#[must_use]
pub fn day_of(at: DateTime<Utc>, zone: Tz) -> NaiveDate {
    at.with_timezone(&zone).date_naive()
}

/// The calendar day in a zone as a stretch of time: 23, 24 or 25 hours, as the clocks go.
#[must_use]
pub fn day_span(day: NaiveDate, zone: Tz) -> Span {
    let next = day.checked_add_days(Days::new(1)).unwrap_or(day);
    Span { begin: day_begin(day, zone), end: day_begin(next, zone) }
}

/// The first instant of a day. Where the clocks skip midnight, it is the first one after the gap.
fn day_begin(day: NaiveDate, zone: Tz) -> DateTime<Utc> {
    const STEP: TimeDelta = TimeDelta::minutes(15);
    // No zone ever skipped more than a day.
    const STEPS_MAX: i32 = 96;
    let midnight = day.and_time(NaiveTime::MIN);
    (0..=STEPS_MAX)
        .find_map(|step| zone.from_local_datetime(&(midnight + STEP * step)).earliest())
        .map_or_else(|| midnight.and_utc(), |at| at.with_timezone(&Utc))
}

/// The stretches without their overlaps, in order.
#[must_use]
pub fn union(spans: &[Span]) -> Vec<Span> {
    let mut sorted: Vec<Span> = spans.iter().copied().filter(|span| span.begin < span.end).collect();
    sorted.sort_unstable();
    let mut union: Vec<Span> = Vec::with_capacity(sorted.len());
    for span in sorted {
        match union.last_mut() {
            Some(last) if span.begin <= last.end => last.end = last.end.max(span.end),
            _ => union.push(span),
        }
    }
    union
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test ends where its world is not as expected")]
    use super::*;

    const MINUTE_MS: i64 = 60_000;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn span(begin: &str, end: &str) -> Span {
        Span { begin: at(&format!("2026-11-23T{begin}:00Z")), end: at(&format!("2026-11-23T{end}:00Z")) }
    }

    fn minutes(spans: &[Span], window: Span, attribution: Attribution) -> Vec<i64> {
        let buckets = buckets(window, TimeDelta::minutes(30));
        buckets.into_iter().map(|bucket| attributed_ms(spans, bucket, attribution) / MINUTE_MS).collect()
    }

    #[test]
    fn two_calls_in_half_hours() {
        let calls = [span("09:16", "09:32"), span("09:35", "10:05")];
        let window = span("09:00", "10:30");
        assert_eq!(minutes(&calls, window, Attribution::Clip), [14, 27, 5]);
        assert_eq!(minutes(&calls, window, Attribution::AtEnd), [0, 16, 30]);
        assert_eq!(minutes(&calls, window, Attribution::AtStart), [16, 30, 0]);
    }

    #[test]
    fn a_wait_over_the_hour_is_clipped() {
        assert_eq!(minutes(&[span("15:58", "16:03")], span("15:30", "16:30"), Attribution::Clip), [2, 3]);
    }

    #[test]
    fn days_have_as_many_hours_as_the_clocks_say() {
        let hours = |day: NaiveDate, zone| {
            let span = day_span(day, zone);
            (span.length_ms() / (60 * MINUTE_MS), buckets(span, TimeDelta::hours(1)).len())
        };
        let day = |text: &str| text.parse::<NaiveDate>().unwrap();
        assert_eq!(hours(day("2026-03-29"), Tz::Europe__Prague), (23, 23));
        assert_eq!(hours(day("2026-10-25"), Tz::Europe__Prague), (25, 25));
        assert_eq!(hours(day("2026-11-23"), Tz::Europe__Prague), (24, 24));
        // Midnight itself did not exist on this day.
        assert_eq!(hours(day("2018-11-04"), Tz::America__Sao_Paulo), (23, 23));
        assert_eq!(day_span(day("2018-11-04"), Tz::America__Sao_Paulo).begin, at("2018-11-04T03:00:00Z"));
    }

    #[test]
    fn an_instant_belongs_to_the_day_of_the_floor() {
        assert_eq!(day_of(at("2026-11-22T23:30:00Z"), Tz::Europe__Prague).to_string(), "2026-11-23");
        assert_eq!(day_of(at("2026-11-22T23:30:00Z"), Tz::UTC).to_string(), "2026-11-22");
    }

    #[test]
    fn a_union_has_no_overlap() {
        let spans = [span("10:00", "10:10"), span("09:00", "09:20"), span("09:10", "09:30"), span("09:30", "09:40")];
        assert_eq!(union(&spans), [span("09:00", "09:40"), span("10:00", "10:10")]);
    }
}
