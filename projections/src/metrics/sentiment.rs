//! Sentiment over a conversation: labels, quarters, trend.

use serde::{Deserialize, Serialize};

/// From this score on a turn is positive, and down from its negative a turn is negative. The bounds the authors of VADER
/// give for their compound score (Hutto and Gilbert 2014, README of `vaderSentiment`): both inclusive.
pub const LABEL_BOUND: f64 = 0.05;

/// A score as one of three words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Label {
    /// Score of -0.05 or less.
    Negative,
    /// In between.
    Neutral,
    /// Score of 0.05 or more.
    Positive,
}

impl Label {
    /// The label of a score from -1 to 1.
    #[must_use]
    pub fn of(score: f64) -> Self {
        if score >= LABEL_BOUND {
            Self::Positive
        } else if score <= -LABEL_BOUND {
            Self::Negative
        } else {
            Self::Neutral
        }
    }

    /// The label on the scale from -5 to +5 of Amazon Connect Contact Lens.
    #[must_use]
    pub fn value(self) -> f64 {
        match self {
            Self::Negative => -5.0,
            Self::Neutral => 0.0,
            Self::Positive => 5.0,
        }
    }
}

/// One turn of one speaker.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Turn {
    /// Begin, milliseconds from the start of the conversation.
    pub begin_ms: u32,
    /// End, milliseconds from the start of the conversation.
    pub end_ms: u32,
    /// How it was said.
    pub label: Label,
}

/// A speaker's mood by quarters of the conversation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Quarters {
    /// End of each quarter, milliseconds from the start of the conversation.
    pub bounds_ms: [u32; 4],
    /// Value of each quarter, -5 to +5; `None`: the speaker began no turn in it.
    pub values: [Option<f64>; 4],
    /// Mean of the quarters that have a value, -5 to +5.
    pub overall: f64,
    /// Last quarter less the first, of those that have a value, -10 to +10; `None`: there is only one.
    pub trend: Option<f64>,
}

/// Cuts the turns of **one speaker** into quarters. `None`: there are no turns.
///
/// Definition: the window goes from 0 to that speaker's last end and is cut in four, bounds truncated to milliseconds. A
/// turn belongs to the quarter that holds its begin (a begin on a bound belongs to the later quarter). A quarter's value
/// is the mean of +5, 0 and -5; the overall value is the mean of the quarters; the trend is the last quarter less the
/// first. Source: the scheme of Amazon Connect Contact Lens, rebuilt from its published sample file, whose ten numbers
/// it reproduces. The vendor writes that streaks of one mood weigh too, without saying how much; here they do not.
#[must_use]
#[allow(clippy::cast_precision_loss, reason = "a conversation has far fewer than 2^53 turns")]
pub fn quarters(turns: &[Turn]) -> Option<Quarters> {
    let end_ms = u64::from(turns.iter().map(|turn| turn.end_ms).max()?);
    // A quarter of a u32 times at most four fits a u32 again.
    let bounds_ms = [1, 2, 3, 4].map(|n: u64| u32::try_from(end_ms * n / 4).unwrap_or(u32::MAX));

    let mut sums = [(0.0, 0_usize); 4];
    for turn in turns {
        let quarter = bounds_ms[..3].iter().filter(|bound| turn.begin_ms >= **bound).count();
        sums[quarter].0 += turn.label.value();
        sums[quarter].1 += 1;
    }
    let values = sums.map(|(sum, count)| (count > 0).then(|| sum / count as f64));

    let present: Vec<f64> = values.iter().copied().flatten().collect();
    let overall = present.iter().sum::<f64>() / present.len() as f64;
    let trend = match present.as_slice() {
        [first, .., last] => Some(last - first),
        _ => None,
    };
    Some(Quarters { bounds_ms, values, overall, trend })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test ends where its world is not as expected")]
    use super::*;

    fn turns(turns: &[(u32, u32, char)]) -> Vec<Turn> {
        let label = |sign| match sign {
            '+' => Label::Positive,
            '-' => Label::Negative,
            _ => Label::Neutral,
        };
        turns.iter().map(|&(begin_ms, end_ms, sign)| Turn { begin_ms, end_ms, label: label(sign) }).collect()
    }

    #[test]
    fn the_published_sample_gives_its_ten_numbers() {
        let agent =
            turns(&[(0, 90, '0'), (4640, 6610, '0'), (11220, 15210, '-'), (18310, 21820, '0'), (24120, 29710, '+')]);
        let quarters_of_agent = quarters(&agent).unwrap();
        assert_eq!(quarters_of_agent.bounds_ms, [7427, 14855, 22282, 29710]);
        assert_eq!(quarters_of_agent.values, [Some(0.0), Some(-5.0), Some(0.0), Some(5.0)]);
        assert_eq!(quarters_of_agent.overall, 0.0);
        assert_eq!(quarters_of_agent.trend, Some(5.0));

        let customer = turns(&[
            (160, 4640, '0'),
            (7370, 11190, '-'),
            (15840, 18120, '+'),
            (22610, 24140, '+'),
            (30580, 32110, '+'),
        ]);
        let quarters_of_customer = quarters(&customer).unwrap();
        assert_eq!(quarters_of_customer.bounds_ms, [8027, 16055, 24082, 32110]);
        assert_eq!(quarters_of_customer.values, [Some(-2.5), Some(5.0), Some(5.0), Some(5.0)]);
        assert_eq!(quarters_of_customer.overall, 3.125);
        assert_eq!(quarters_of_customer.trend, Some(7.5));
    }

    #[test]
    fn a_silent_quarter_has_no_value() {
        let of_two = quarters(&turns(&[(0, 10, '-'), (390, 400, '+')])).unwrap();
        assert_eq!(of_two.values, [Some(-5.0), None, None, Some(5.0)]);
        assert_eq!((of_two.overall, of_two.trend), (0.0, Some(10.0)));
        let of_one = quarters(&turns(&[(0, 10, '+')])).unwrap();
        assert_eq!((of_one.overall, of_one.trend), (5.0, None));
        assert_eq!(quarters(&[]), None);
    }

    #[test]
    fn the_bounds_of_a_label_belong_to_it() {
        assert_eq!(
            [0.05, 0.049, 0.0, -0.049, -0.05].map(Label::of),
            [Label::Positive, Label::Neutral, Label::Neutral, Label::Neutral, Label::Negative,]
        );
    }
}
