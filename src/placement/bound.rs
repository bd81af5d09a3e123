//! To which versions of its kind an actor belongs.

use semver::Version;
use std::{cmp::Ordering, sync::Arc};

/// To which versions of its kind an actor belongs, as long as there is a silo with one of them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Bound {
    /// To this one.
    To(Arc<Version>),
    /// To any other.
    Not(Arc<Version>),
}

impl Bound {
    /// Whether an actor that is bound so belongs to a version.
    pub fn admits(&self, version: &Version) -> bool {
        let is = |other: &Version| version.cmp_precedence(other) == Ordering::Equal;
        match self {
            Self::To(to) => is(to),
            Self::Not(not) => !is(not),
        }
    }
}
