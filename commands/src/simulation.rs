//! What simulations of several crates share, for the unit tests of this one.

#[path = "../../tests/simulation/luck.rs"]
mod luck;
#[path = "../../tests/simulation/seeds.rs"]
mod seeds;
#[path = "../../tests/simulation/world.rs"]
mod world;

pub(crate) use luck::{Luck, broken, lock, on_a_clock_of_its_own};
pub(crate) use seeds::{first_fault, for_each_seed};
pub(crate) use world::{OUTSIDE, Process, World};
