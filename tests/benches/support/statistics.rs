//! Medians, percentiles, ratios of runs.

/// The value in the middle; of an even number, the upper of the two.
///
/// # Panics
/// There are no values.
pub fn median(values: &[f64]) -> f64 {
    percentile(values, 0.5)
}

/// The value that this share of all are below, by nearest rank.
///
/// # Panics
/// There are no values.
pub fn percentile(values: &[f64], share: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "an index")]
    let index = (sorted.len() as f64 * share) as usize;
    sorted[index.min(sorted.len() - 1)]
}

/// The median of the ratios of runs that were made in turns: what the machine does meanwhile befalls both sides of each.
///
/// # Panics
/// There are no runs.
pub fn ratio(ours: &[f64], ceiling: &[f64]) -> f64 {
    let ratios: Vec<f64> = ours.iter().zip(ceiling).map(|(ours, ceiling)| ours / ceiling).collect();
    median(&ratios)
}

/// How many a second.
pub fn rate(count: u64, microseconds: u64) -> f64 {
    float(count) * 1e6 / float(microseconds)
}

/// A count as a number to calculate with.
#[allow(clippy::cast_precision_loss, reason = "counts are far below 2^53")]
pub fn float(count: u64) -> f64 {
    count as f64
}
