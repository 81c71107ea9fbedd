//! What simulations of several crates share, for the unit tests of this one.

#[path = "../../tests/simulation/luck.rs"]
mod luck;
#[path = "../../tests/simulation/seeds.rs"]
mod seeds;

pub(crate) use luck::{Luck, broken, lock, on_a_clock_of_its_own};
pub(crate) use seeds::{first_fault, for_each_seed};
