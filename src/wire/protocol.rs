//! The versions of the wire protocol.

use serde::{Deserialize, Serialize};
use std::fmt;

/// The versions of the wire protocol that a process speaks, from `min` to `max`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ProtocolRange {
    /// The lowest.
    pub min: u16,
    /// The highest.
    pub max: u16,
}

impl ProtocolRange {
    /// What this program speaks.
    pub const SUPPORTED: Self = Self { min: 1, max: 1 };

    /// The highest version in both ranges.
    pub fn highest_common(self, other: Self) -> Option<u16> {
        let highest = self.max.min(other.max);
        (highest >= self.min.max(other.min)).then_some(highest)
    }
}

impl fmt::Display for ProtocolRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} to {}", self.min, self.max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(min: u16, max: u16) -> ProtocolRange {
        ProtocolRange { min, max }
    }

    #[test]
    fn the_highest_common_version_is_chosen() {
        assert_eq!(range(1, 4).highest_common(range(2, 9)), Some(4));
        assert_eq!(range(2, 9).highest_common(range(1, 4)), Some(4));
        assert_eq!(range(3, 3).highest_common(range(3, 3)), Some(3));
    }

    #[test]
    fn ranges_that_do_not_meet_have_no_common_version() {
        assert_eq!(range(1, 2).highest_common(range(3, 4)), None);
        assert_eq!(range(3, 4).highest_common(range(1, 2)), None);
    }

    #[test]
    fn an_inverted_range_has_no_common_version() {
        assert_eq!(range(4, 1).highest_common(range(1, 4)), None);
    }
}
