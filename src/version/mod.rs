//! Versions: which version of an actor type may stand in for which.
//!
//! Owns the strict parsing of semver texts, the rule that says between which versions a message or an actor may pass,
//! and the choice of the nearest version among several. Versions are parsed once; a check allocates nothing. Imports
//! nothing of the crate.
//!
//! **Invariants**
//! - `identical_versions_are_allowed_by_every_policy`
//! - `a_prerelease_matches_only_itself_unless_allowed`
//! - `build_metadata_is_ignored`
//! - `what_cannot_be_parsed_is_an_error_and_never_0_0_0`

mod nearest;
mod parse;
mod policy;

pub use nearest::best_match;
pub use parse::{InvalidVersion, parse};
pub use policy::{Direction, InvalidPolicy, NoMatch, Preference, Rule, VersionPolicy};
