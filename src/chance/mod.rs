//! Chance: the only room that asks the machine for random numbers.
//!
//! Owns [`fill`] and [`number`], which draw from the machine, and [`Hashing`], the hashes of the tables that are looked through as
//! well as looked into. On a thread that simulates a cluster all draws come from the simulation's seed; built with the feature
//! `testkit`, hashes have one seed for good, so that every process walks through a table in the same order. Imports nothing of
//! the crate.

#[cfg(feature = "testkit")]
mod seeded;

#[cfg(feature = "testkit")]
pub(crate) use seeded::{Dice, Seeded};

/// Hashes of what this process alone knows.
#[cfg(not(feature = "testkit"))]
pub(crate) type Hashing = foldhash::fast::RandomState;

/// Hashes of what this process alone knows: the same in every process, so that a simulation is.
#[cfg(feature = "testkit")]
pub(crate) type Hashing = foldhash::fast::FixedState;

/// Fills `bytes` with random ones.
///
/// # Errors
/// The machine has none.
pub(crate) fn fill(bytes: &mut [u8]) -> Result<(), getrandom::Error> {
    #[cfg(feature = "testkit")]
    if seeded::fill(bytes) {
        return Ok(());
    }
    getrandom::fill(bytes)
}

/// A random number.
///
/// # Panics
/// If the machine has none: nothing that is to be unique can be made then.
pub(crate) fn number() -> u64 {
    let mut bytes = [0; 8];
    fill(&mut bytes).expect("invariant: the system has random numbers");
    u64::from_le_bytes(bytes)
}
