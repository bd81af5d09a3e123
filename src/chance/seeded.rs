//! Draws from a seed: those of a simulation, and those that the thread of a simulation makes.

use std::{
    cell::RefCell,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

thread_local! {
    /// What the thread draws from while it simulates.
    static DRAWN: RefCell<Option<Dice>> = const { RefCell::new(None) };
}

/// A source of numbers that a seed decides. Clones draw from one sequence.
///
/// SplitMix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", 2014).
#[derive(Clone, Debug)]
pub(crate) struct Dice(Arc<AtomicU64>);

impl Dice {
    /// The sequence of a seed.
    pub(crate) fn new(seed: u64) -> Self {
        Self(Arc::new(AtomicU64::new(seed)))
    }

    /// A sequence of its own: what is drawn from it changes nothing in this one but by one draw.
    pub(crate) fn split(&self) -> Self {
        Self::new(self.draw())
    }

    /// The next number.
    pub(crate) fn draw(&self) -> u64 {
        const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
        let state = self.0.fetch_add(STEP, Ordering::Relaxed).wrapping_add(STEP);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`; 0 if that is 0.
    pub(crate) fn below(&self, end: u64) -> u64 {
        self.draw().checked_rem(end).unwrap_or(0)
    }

    /// Whether something happens that does so in `permille` of 1000 cases.
    pub(crate) fn happens(&self, permille: u64) -> bool {
        self.below(1000) < permille
    }
}

/// While it lives, this thread draws from a seed.
pub(crate) struct Seeded(Option<Dice>);

impl Seeded {
    /// From now on the thread draws from `dice`.
    pub(crate) fn begin(dice: &Dice) -> Self {
        Self(DRAWN.replace(Some(dice.clone())))
    }
}

impl Drop for Seeded {
    fn drop(&mut self) {
        DRAWN.set(self.0.take());
    }
}

/// Fills from the thread's seed; `false`: it has none.
pub(super) fn fill(bytes: &mut [u8]) -> bool {
    DRAWN.with_borrow(|dice| {
        let Some(dice) = dice else { return false };
        for chunk in bytes.chunks_mut(8) {
            chunk.copy_from_slice(&dice.draw().to_le_bytes()[..chunk.len()]);
        }
        true
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_that_simulates_draws_what_its_seed_decides_and_no_longer() {
        let drawn = |seed| {
            let _seeded = Seeded::begin(&Dice::new(seed));
            [super::super::number(), super::super::number()]
        };
        assert_eq!(drawn(7), drawn(7));
        assert_ne!(drawn(7), drawn(8));
        assert_ne!(super::super::number(), drawn(7)[0], "the machine's again");
    }

    #[test]
    fn a_number_below_an_end_is_below_it_and_all_are_drawn() {
        let dice = Dice::new(1);
        let mut seen = [false; 5];
        for _ in 0..200 {
            seen[usize::try_from(dice.below(5)).expect("small")] = true;
        }
        assert_eq!(seen, [true; 5]);
        assert_eq!(dice.below(0), 0);
    }
}
