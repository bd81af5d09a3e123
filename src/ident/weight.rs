//! A share of all actors, by their hashes.

use super::ActorId;
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// A share of all actors, in steps of a hundredth of a percent. Which actors belong to it depends on their ids alone, and who
/// belongs to a share belongs to every greater one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub struct Weight(u32);

/// The parts of the whole.
const WHOLE: u32 = 10_000;

/// So that a share says nothing about placement, which takes the same hash of an id without a seed.
const SEED: u64 = 0x7765_6967_6874;

impl Weight {
    /// Nobody.
    pub const NONE: Self = Self(0);
    /// Everybody.
    pub const ALL: Self = Self(WHOLE);

    /// A share in hundredths of a percent, 0 to 10,000.
    ///
    /// # Errors
    /// [`InvalidWeight`] above 10,000.
    pub fn new(hundredths_of_a_percent: u32) -> Result<Self, InvalidWeight> {
        if hundredths_of_a_percent > WHOLE {
            return Err(InvalidWeight(format!(
                "{hundredths_of_a_percent} hundredths of a percent"
            )));
        }
        Ok(Self(hundredths_of_a_percent))
    }

    /// Whether the actor belongs to the share. Allocates nothing.
    pub fn takes(self, actor: &ActorId) -> bool {
        let hash = xxh3_64_with_seed(&actor.stable_hash().to_le_bytes(), SEED);
        // The high half of the product: hash / 2^64 of the whole, without a bias.
        let draw = (u128::from(hash) * u128::from(WHOLE)) >> 64;
        draw < u128::from(self.0)
    }
}

impl TryFrom<u32> for Weight {
    type Error = InvalidWeight;

    fn try_from(parts: u32) -> Result<Self, InvalidWeight> {
        Self::new(parts)
    }
}

impl From<Weight> for u32 {
    fn from(weight: Weight) -> Self {
        weight.0
    }
}

impl fmt::Display for Weight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (percent, rest) = (self.0 / 100, self.0 % 100);
        match rest {
            0 => write!(f, "{percent} %"),
            rest if rest % 10 == 0 => write!(f, "{percent}.{} %", rest / 10),
            rest => write!(f, "{percent}.{rest:02} %"),
        }
    }
}

impl FromStr for Weight {
    type Err = InvalidWeight;

    /// A percentage with at most two decimals, with or without the sign: `10`, `10%`, `0.25 %`.
    fn from_str(text: &str) -> Result<Self, InvalidWeight> {
        let invalid = || InvalidWeight(format!("{text:?}"));
        let number = text.strip_suffix('%').unwrap_or(text).trim();
        let (whole, decimals) = number.split_once('.').unwrap_or((number, "0"));
        let is_number = |part: &str, most| (1..=most).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
        if !is_number(whole, 3) || !is_number(decimals, 2) {
            return Err(invalid());
        }
        let percent: u32 = whole.parse().map_err(|_| invalid())?;
        let hundredths: u32 = format!("{decimals:0<2}").parse().map_err(|_| invalid())?;
        Self::new(percent * 100 + hundredths).map_err(|_| invalid())
    }
}

/// A number or text that is no share.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0} is no share of the actors; give a percentage from 0 to 100 with at most two decimals, as in 10% or 0.25%")]
pub struct InvalidWeight(String);

#[cfg(test)]
mod tests {
    use super::*;

    fn actors() -> impl Iterator<Item = ActorId> {
        (0..20_000).map(|n| ActorId::new("cart", format!("customer-{n}")).expect("valid"))
    }

    fn weight(text: &str) -> Weight {
        text.parse().expect("valid")
    }

    /// R94
    #[test]
    fn none_and_all_are_exact() {
        assert!(actors().all(|actor| !Weight::NONE.takes(&actor)));
        assert!(actors().all(|actor| Weight::ALL.takes(&actor)));
    }

    /// R93. The bounds are four standard deviations.
    #[test]
    fn a_share_is_as_large_as_it_says() {
        for (text, least, most) in [("1%", 144, 256), ("10%", 1_830, 2_170), ("50%", 9_717, 10_283)] {
            let count = actors().filter(|actor| weight(text).takes(actor)).count();
            assert!((least..=most).contains(&count), "{text}: {count}");
        }
    }

    /// Guarantee 19: a weight that only grows moves nobody twice.
    #[test]
    fn who_belongs_to_a_share_belongs_to_every_greater_one() {
        let weights = ["0.01%", "1%", "10%", "50%", "99.99%", "100%"].map(weight);
        for actor in actors() {
            let taken = weights.map(|weight| weight.takes(&actor));
            assert!(taken.is_sorted(), "{actor}: {taken:?}");
        }
    }

    #[test]
    fn a_percentage_is_read_and_written() {
        for (text, written) in [
            ("10%", "10 %"),
            ("0.25 %", "0.25 %"),
            ("12.5", "12.5 %"),
            ("100%", "100 %"),
            ("0", "0 %"),
        ] {
            assert_eq!(weight(text).to_string(), written);
            assert_eq!(weight(written), weight(text));
        }
    }

    #[test]
    fn what_is_no_percentage_is_refused_with_the_cure() {
        for text in [
            "", "%", "101%", "100.01", "-1", "+1", "1.234", "ten", "1e1", "0x1", "1.", ".5",
        ] {
            let error = text.parse::<Weight>().expect_err(text).to_string();
            assert!(error.contains("percentage from 0 to 100"), "{error}");
        }
        assert!(Weight::new(10_001).is_err());
    }
}
