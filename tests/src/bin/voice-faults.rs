//! `voice-faults`: breaks a whole system again and again for as long as you like, and says whether anything was lost.
#![allow(clippy::print_stdout, reason = "a program for the command line")]

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use tests::faults::{Fault, Scale, run};

/// Injects faults by chance into PostgreSQL, Kafka and every role of `voice`, under load, and checks the history.
#[derive(Debug, Parser)]
struct Arguments {
    /// How long.
    #[arg(long, default_value_t = 30.0)]
    minutes: f64,
    /// What everything left to chance comes from; the same seed makes the same choices. Made up and printed when absent.
    #[arg(long)]
    seed: Option<u64>,
    /// Only these faults, such as F8,F9.
    #[arg(long, value_delimiter = ',', value_parser = fault)]
    only: Vec<Fault>,
    /// Each fault in its short form, as in the tests.
    #[arg(long)]
    short: bool,
}

fn fault(name: &str) -> Result<Fault, String> {
    let known = Fault::ALL.into_iter().find(|fault| fault.to_string().eq_ignore_ascii_case(name));
    known.ok_or_else(|| format!("there are {}", Fault::ALL.map(|fault| fault.to_string()).join(", ")))
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let seed = arguments.seed.unwrap_or_else(rand::random);
    println!("voice-faults --minutes {} --seed {seed}", arguments.minutes);
    let chosen = if arguments.only.is_empty() { Fault::ALL.to_vec() } else { arguments.only };
    let scale = if arguments.short { Scale::Short } else { Scale::Long };
    let lasts = Duration::from_secs_f64(arguments.minutes * 60.0);
    let summary = run(seed, lasts, &chosen, scale, &|what| println!("{what}")).await;
    println!("{summary}");
    for violation in &summary.violations {
        println!("{violation}");
    }
    if summary.violations.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
