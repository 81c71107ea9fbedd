//! One history for each seed. Crates take this file into their unit tests by `#[path]`.

/// Seeds of a run, unless `VOICE_SIMULATION_SEEDS` says another number.
const SEEDS: u64 = 3_000;

/// What the environment asks for.
///
/// # Panics
/// It is no number.
fn asked(variable: &str) -> Option<u64> {
    let value = std::env::var(variable).ok()?;
    Some(value.parse().unwrap_or_else(|_| panic!("{variable} is no number: {value:?}")))
}

/// Runs a simulation for every seed, or for the one that `VOICE_SIMULATION_SEED` names.
///
/// # Panics
/// The environment asks for what is no number, or a seed shows a fault; its number is in the message.
pub(crate) fn for_each_seed(simulate: impl Fn(u64) -> Result<(), String>) {
    let count = asked("VOICE_SIMULATION_SEEDS").unwrap_or(SEEDS);
    let seeds = asked("VOICE_SIMULATION_SEED").map_or(0..count, |seed| seed..seed + 1);
    for seed in seeds {
        let shown = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| simulate(seed)));
        let shown = shown.unwrap_or_else(|_| Err("it panicked, see above".to_owned()));
        if let Err(fault) = shown {
            panic!("{fault}\nRun this seed again with VOICE_SIMULATION_SEED={seed}");
        }
    }
}

/// Whether a simulation with a planted fault shows it within the seeds of a run. Answers the first seed and what it says.
pub(crate) fn first_fault(simulate: impl Fn(u64) -> Result<(), String>) -> Option<(u64, String)> {
    (0..SEEDS).find_map(|seed| simulate(seed).err().map(|fault| (seed, fault)))
}
