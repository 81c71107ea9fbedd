//! Service level and abandonment rate, in the dialects of those who publish their formula.
//!
//! The same day gives results more than 17 points apart, so a number without its dialect says nothing.

use serde::{Deserialize, Serialize};

use super::ratio;

/// Default threshold of the service level: answered within 20 seconds, inclusive. In milliseconds.
pub const ANSWER_THRESHOLD_MS: i64 = 20_000;

/// Default bound of a short abandon, a caller who hangs up before anybody could have answered: 5 seconds, inclusive. In
/// milliseconds. Inclusive as with Mitel ("at or before"); RingCentral counts "shorter than".
pub const SHORT_ABANDON_MS: i64 = 5_000;

/// What happened to those who waited in a queue, counted when it happened. One count for each wait: a call that is
/// queued again counts again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Counts {
    /// Waits that began.
    pub offered: i64,
    /// Waits that an agent's answer ended.
    pub answered: i64,
    /// Of those, within the threshold.
    pub answered_in_threshold: i64,
    /// Waits that the caller ended by hanging up.
    pub abandoned: i64,
    /// Of those, short ones: see [`SHORT_ABANDON_MS`].
    pub abandoned_short: i64,
    /// Of the abandoned, all within the threshold of the service level, short ones among them.
    pub abandoned_in_threshold: i64,
    /// Waits that ended in another queue. Never an abandonment.
    pub flow_outs: i64,
}

impl Counts {
    /// Adds the counts of another queue or day.
    pub fn add(&mut self, other: &Self) {
        self.offered += other.offered;
        self.answered += other.answered;
        self.answered_in_threshold += other.answered_in_threshold;
        self.abandoned += other.abandoned;
        self.abandoned_short += other.abandoned_short;
        self.abandoned_in_threshold += other.abandoned_in_threshold;
        self.flow_outs += other.flow_outs;
    }
}

/// A published definition of service level.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Dialect {
    /// Ours: `answered within threshold / (offered - short abandons)`. Also Talkdesk's: answered in threshold / (inbound
    /// - short abandoned).
    #[default]
    Standard,
    /// Sinch: on time / (arrived - false attempts), where a false attempt is a short abandon. The same numbers as
    /// [`Dialect::Standard`] by other words; kept apart because their publishers may part.
    Sinch,
    /// Amazon Connect: left the queue within the threshold, answered or abandoned / queued.
    AmazonConnect,
    /// Genesys Cloud with no switch set: answered within threshold / (answered + abandoned).
    Genesys,
    /// Genesys Cloud, short abandons left out of the denominator.
    GenesysWithoutShort,
    /// Genesys Cloud, all abandons left out of the denominator.
    GenesysWithoutAbandons,
    /// Genesys Cloud, flow-outs added to the denominator.
    GenesysWithFlowOuts,
}

impl Dialect {
    /// Every dialect.
    pub const ALL: [Self; 7] = [
        Self::Standard,
        Self::Sinch,
        Self::AmazonConnect,
        Self::Genesys,
        Self::GenesysWithoutShort,
        Self::GenesysWithoutAbandons,
        Self::GenesysWithFlowOuts,
    ];
}

/// Service level, 0 to 1. On a live day it may exceed 1 for a moment: a wait that began before midnight is offered on
/// one day and answered on the next.
#[must_use]
pub fn service_level(counts: &Counts, dialect: Dialect) -> Option<f64> {
    let in_time = counts.answered_in_threshold;
    let finished = counts.answered + counts.abandoned;
    match dialect {
        Dialect::Standard | Dialect::Sinch => ratio(in_time, counts.offered - counts.abandoned_short),
        Dialect::AmazonConnect => ratio(in_time + counts.abandoned_in_threshold, counts.offered),
        Dialect::Genesys => ratio(in_time, finished),
        Dialect::GenesysWithoutShort => ratio(in_time, finished - counts.abandoned_short),
        Dialect::GenesysWithoutAbandons => ratio(in_time, counts.answered),
        Dialect::GenesysWithFlowOuts => ratio(in_time, finished + counts.flow_outs),
    }
}

/// A published definition of abandonment rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AbandonDialect {
    /// Ours: abandons that are not short / (offered - short abandons).
    #[default]
    Standard,
    /// Amazon Connect and Genesys Cloud: all abandons / offered.
    Raw,
    /// Google CCAI: abandons that are not short / (answered + abandons that are not short).
    GoogleCcai,
}

/// Share of callers who hung up while waiting, 0 to 1.
#[must_use]
pub fn abandonment_rate(counts: &Counts, dialect: AbandonDialect) -> Option<f64> {
    let long = counts.abandoned - counts.abandoned_short;
    match dialect {
        AbandonDialect::Standard => ratio(long, counts.offered - counts.abandoned_short),
        AbandonDialect::Raw => ratio(counts.abandoned, counts.offered),
        AbandonDialect::GoogleCcai => ratio(long, counts.answered + long),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Counts = Counts {
        offered: 100,
        answered: 80,
        answered_in_threshold: 70,
        abandoned: 15,
        abandoned_short: 6,
        abandoned_in_threshold: 9,
        flow_outs: 5,
    };

    fn percent(share: Option<f64>) -> String {
        share.map_or_else(|| "-".to_owned(), |share| format!("{:.2}", share * 100.0))
    }

    #[test]
    fn one_day_has_seven_service_levels() {
        let levels = Dialect::ALL.map(|dialect| percent(service_level(&DAY, dialect)));
        assert_eq!(levels, ["74.47", "74.47", "79.00", "73.68", "78.65", "87.50", "70.00"]);
    }

    #[test]
    fn one_day_has_three_abandonment_rates() {
        let of = |dialect| percent(abandonment_rate(&DAY, dialect));
        assert_eq!(of(AbandonDialect::Standard), "9.57");
        assert_eq!(of(AbandonDialect::Raw), "15.00");
        assert_eq!(of(AbandonDialect::GoogleCcai), "10.11");
    }

    #[test]
    fn a_day_without_calls_has_no_level() {
        for dialect in Dialect::ALL {
            assert_eq!(service_level(&Counts::default(), dialect), None);
        }
        assert_eq!(abandonment_rate(&Counts::default(), AbandonDialect::Standard), None);
        // Nobody but short abandons: the default denominator is empty too.
        let short = Counts { offered: 2, abandoned: 2, abandoned_short: 2, ..Counts::default() };
        assert_eq!(service_level(&short, Dialect::Standard), None);
    }
}
