//! Rendezvous hashing with weights, in whole numbers.
//!
//! Thaler and Ravishankar, "Using name-based mappings to increase hit rates" (1998); weights by Schindelhauer and
//! Schomaker, "Weighted distributed hash tables" (2005): each silo draws a number h in (0, 1) for the actor, and the
//! greatest `capacity / -ln(h)` wins. The logarithm is taken in fixed point (to any base, which changes no order) and
//! quotients are compared by cross-multiplication, because `f64::ln` is not the same on every platform.

use crate::ident::{ActorId, SiloId};
use std::cmp::Ordering;
use xxhash_rust::xxh3::xxh3_64;

/// A silo that actors can be placed on.
///
/// It draws by its *name*, not by its incarnation: a restarted silo gets the actors back that hash to it, and the restart
/// moves no other silo's actors.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    silo: SiloId,
    capacity: u32,
    name_hash: u64,
}

impl Candidate {
    /// The capacity of a silo that says nothing about it.
    pub const DEFAULT_CAPACITY: u32 = 100;

    /// A candidate. Its share of the actors is proportional to `capacity`; with 0 it takes none.
    pub fn new(silo: SiloId, capacity: u32) -> Self {
        let name_hash = xxh3_64(silo.name().as_bytes());
        Self {
            silo,
            capacity,
            name_hash,
        }
    }

    /// Which silo.
    pub fn silo(&self) -> &SiloId {
        &self.silo
    }

    /// Its share, relative to the others' capacities.
    pub fn capacity(&self) -> u32 {
        self.capacity
    }

    /// The number it draws for an actor: xxh3 of the actor's hash and the name's hash, both little-endian.
    fn draw(&self, actor: u64) -> u64 {
        let mut both = [0; 16];
        both[..8].copy_from_slice(&actor.to_le_bytes());
        both[8..].copy_from_slice(&self.name_hash.to_le_bytes());
        xxh3_64(&both)
    }
}

/// The silo of an actor, `None` if there is no candidate with a capacity.
///
/// The same for the same set of candidates in any order, in every process and on every platform. O(candidates).
pub fn place<'a>(actor: &ActorId, candidates: impl IntoIterator<Item = &'a Candidate>) -> Option<&'a SiloId> {
    let hash = actor.stable_hash();
    candidates
        .into_iter()
        .filter(|candidate| candidate.capacity > 0)
        .map(|candidate| (candidate.draw(hash), candidate))
        .max_by(|a, b| compare(*a, *b))
        .map(|(_, candidate)| &candidate.silo)
}

fn compare((a_draw, a): (u64, &Candidate), (b_draw, b): (u64, &Candidate)) -> Ordering {
    let by_capacity = if a.capacity == b.capacity {
        // The logarithm never falls where the draw rises: the draws alone decide.
        Ordering::Equal
    } else {
        let a_score = u128::from(a.capacity) * u128::from(minus_log2(b_draw));
        let b_score = u128::from(b.capacity) * u128::from(minus_log2(a_draw));
        a_score.cmp(&b_score)
    };
    by_capacity.then(a_draw.cmp(&b_draw)).then_with(|| a.silo.cmp(&b.silo))
}

/// `-log2(draw / 2^64)` with 32 fractional bits, by repeated squaring. Draw 0 counts as 1.
fn minus_log2(draw: u64) -> u64 {
    const FRACTION_BITS: u32 = 32;
    let draw = draw.max(1);
    let zeros = draw.leading_zeros();
    // In [1, 2) with 63 fractional bits.
    let mut mantissa = draw << zeros;
    let mut fraction = 0_u64;
    for _ in 0..FRACTION_BITS {
        let square = (u128::from(mantissa) * u128::from(mantissa)) >> 63;
        let reached_two = square >> 64 != 0;
        fraction = (fraction << 1) | u64::from(reached_two);
        let square = if reached_two { square >> 1 } else { square };
        mantissa = u64::try_from(square).expect("invariant: a number in [1, 2) with 63 fractional bits");
    }
    ((u64::from(zeros) + 1) << FRACTION_BITS) - fraction
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn actors(count: u32) -> impl Iterator<Item = ActorId> {
        (0..count).map(|i| ActorId::new("cart", format!("customer-{i}")).expect("valid"))
    }

    fn silos(names: &[&str]) -> Vec<Candidate> {
        names
            .iter()
            .map(|name| Candidate::new(SiloId::new(*name, 1), Candidate::DEFAULT_CAPACITY))
            .collect()
    }

    fn shares(candidates: &[Candidate], count: u32) -> BTreeMap<String, u32> {
        let mut shares = BTreeMap::new();
        for actor in actors(count) {
            let silo = place(&actor, candidates).expect("placed");
            *shares.entry(silo.name().to_owned()).or_default() += 1;
        }
        shares
    }

    /// R109
    #[test]
    fn the_choice_is_the_same_on_every_platform() {
        let mut candidates = silos(&["a", "b", "c"]);
        let draws = candidates
            .iter()
            .map(|c| c.draw(0x0123_4567_89ab_cdef))
            .collect::<Vec<_>>();
        assert_eq!(draws, DRAWS);
        let chosen = |candidates: &[Candidate]| -> String {
            actors(24)
                .map(|actor| place(&actor, candidates).expect("placed").name().to_owned())
                .collect()
        };
        assert_eq!(chosen(&candidates), "caabaaabbcabcbabcacaacca");
        candidates[0].capacity = 300;
        assert_eq!(chosen(&candidates), "aaabaaaabcaacbaacaaaaaaa");
    }

    const DRAWS: [u64; 3] = [
        1_165_544_495_954_272_129,
        4_817_190_100_749_332_938,
        10_511_963_462_840_152_242,
    ];

    #[test]
    fn the_logarithm_is_right_to_nine_digits() {
        assert_eq!(minus_log2(1 << 63), 1 << 32);
        assert_eq!(minus_log2(1 << 62), 2 << 32);
        assert_eq!(minus_log2(1), 64 << 32);
        assert_eq!(minus_log2(0), 64 << 32);
        for draw in [3, 12_345, u64::MAX / 3, u64::MAX / 7 * 5, u64::MAX - (u64::MAX >> 12)] {
            let exact = 64.0 - (draw as f64).log2();
            let found = minus_log2(draw) as f64 / f64::from(2_u32).powi(32);
            assert!((found - exact).abs() < 1e-9, "{draw}: {found}, not {exact}");
        }
    }

    /// R109
    #[test]
    fn equal_silos_take_equal_shares() {
        for names in [
            &["a", "b", "c"][..],
            &["silo-0", "silo-1", "silo-2"],
            &["10.0.0.1:7000", "10.0.0.2:7000", "10.0.0.3:7000"],
        ] {
            let shares = shares(&silos(names), 10_000);
            assert_eq!(shares.len(), 3);
            for (silo, share) in shares {
                assert!(
                    (3167..=3500).contains(&share),
                    "{silo} of {names:?} has {share} of 10,000"
                );
            }
        }
    }

    /// R109
    #[test]
    fn a_silo_that_joins_takes_its_share_and_moves_nothing_else() {
        let (three, four) = (silos(&["a", "b", "c"]), silos(&["a", "b", "c", "d"]));
        let mut moved = 0;
        for actor in actors(10_000) {
            let (before, after) = (place(&actor, &three), place(&actor, &four));
            if before != after {
                assert_eq!(after.expect("placed").name(), "d");
                moved += 1;
            }
        }
        assert!((2375..=2625).contains(&moved), "{moved} of 10,000 moved");
    }

    /// R109
    #[test]
    fn a_silo_that_leaves_moves_its_own_actors_alone() {
        let (three, two) = (silos(&["a", "b", "c"]), silos(&["a", "c"]));
        for actor in actors(10_000) {
            let before = place(&actor, &three).expect("placed");
            if before.name() != "b" {
                assert_eq!(place(&actor, &two), Some(before));
            }
        }
    }

    #[test]
    fn shares_are_proportional_to_capacity() {
        let capacities = [("a", 100), ("b", 200), ("c", 300), ("d", 0)];
        let candidates = capacities.map(|(name, capacity)| Candidate::new(SiloId::new(name, 1), capacity));
        let shares = shares(&candidates, 12_000);
        for (name, capacity) in capacities {
            let (share, fair) = (shares.get(name).copied().unwrap_or_default(), capacity * 20);
            assert!(
                share.abs_diff(fair) <= fair / 20,
                "{name} has {share}, {fair} would be fair"
            );
        }
    }

    #[test]
    fn more_capacity_takes_actors_and_gives_none_away() {
        let before = silos(&["a", "b", "c"]);
        let mut after = before.clone();
        after[1].capacity *= 2;
        for actor in actors(3_000) {
            let (was, is) = (
                place(&actor, &before).expect("placed"),
                place(&actor, &after).expect("placed"),
            );
            assert!(was == is || is.name() == "b", "{actor} went from {was} to {is}");
        }
    }

    #[test]
    fn a_restarted_silo_gets_its_actors_back() {
        let before = silos(&["a", "b", "c"]);
        let mut after = before.clone();
        after[1] = Candidate::new(SiloId::new("b", 2), Candidate::DEFAULT_CAPACITY);
        for actor in actors(1_000) {
            let (was, is) = (
                place(&actor, &before).expect("placed"),
                place(&actor, &after).expect("placed"),
            );
            assert_eq!(was.name(), is.name());
        }
    }

    #[test]
    fn without_a_candidate_there_is_no_choice() {
        let actor = actors(1).next().expect("one");
        assert_eq!(place(&actor, &[]), None);
        assert_eq!(place(&actor, &[Candidate::new(SiloId::new("a", 1), 0)]), None);
    }

    proptest! {
        #[test]
        fn the_order_of_the_candidates_does_not_count(
            key in "[a-z]{1,8}",
            capacities in proptest::collection::vec(0_u32..=1_000_000, 1..9),
            turn in 0_usize..9,
        ) {
            let actor = ActorId::new("cart", key).expect("valid");
            let mut candidates: Vec<_> = capacities
                .iter()
                .enumerate()
                .map(|(i, capacity)| Candidate::new(SiloId::new(format!("silo-{i}"), 1), *capacity))
                .collect();
            let expected = place(&actor, &candidates).cloned();
            let turn = turn % candidates.len();
            candidates.rotate_left(turn);
            prop_assert_eq!(place(&actor, &candidates).cloned(), expected.clone());
            candidates.reverse();
            prop_assert_eq!(place(&actor, &candidates).cloned(), expected);
        }

        #[test]
        fn the_logarithm_never_falls_where_the_draw_rises(a: u64, b: u64) {
            let (low, high) = (a.min(b), a.max(b));
            prop_assert!(minus_log2(low) >= minus_log2(high));
        }
    }
}
