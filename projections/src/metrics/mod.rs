//! Call-centre metrics as pure functions: numbers in, number out, no I/O and no clock.
//!
//! A metric has as many definitions as there are vendors. Each function says which one it computes, and whose it is.
//! A ratio without a denominator is `None`, never 0.

pub mod adherence;
pub mod intervals;
pub mod sentiment;
pub mod service_level;

/// A share, or nothing when there is nothing to share.
#[must_use]
#[allow(clippy::cast_precision_loss, reason = "counts and milliseconds of a call centre are far below 2^53")]
pub fn ratio(part: i64, whole: i64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}
