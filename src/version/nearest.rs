//! The nearest of several versions.

use super::VersionPolicy;
use semver::Version;
use std::cmp::{Ordering, Reverse};

/// The candidate that what wants version `wanted` should go to: `wanted` itself, else the nearest that `policy` allows.
///
/// Near is by difference in the major, then the minor, then the patch number; of two that are equally near the newer.
/// The answer does not depend on the order of the candidates. Allocates nothing.
pub fn best_match<'a>(
    policy: &VersionPolicy,
    wanted: &Version,
    candidates: impl IntoIterator<Item = &'a Version>,
) -> Option<&'a Version> {
    candidates
        .into_iter()
        .filter(|candidate| policy.allows(wanted, candidate))
        .min_by(|a, b| nearer(wanted, a, b))
}

fn nearer(wanted: &Version, a: &Version, b: &Version) -> Ordering {
    let distance = |to: &Version| {
        (
            to.cmp_precedence(wanted) != Ordering::Equal,
            to != wanted,
            to.major.abs_diff(wanted.major),
            to.minor.abs_diff(wanted.minor),
            to.patch.abs_diff(wanted.patch),
        )
    };
    distance(a).cmp(&distance(b)).then_with(|| Reverse(a).cmp(&Reverse(b)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::version::{Direction, Rule, parse};

    fn version(text: &str) -> Version {
        parse(text).expect("valid")
    }

    fn best(policy: &VersionPolicy, wanted: &str, candidates: &[&str]) -> Option<String> {
        let wanted = version(wanted);
        let candidates: Vec<_> = candidates.iter().map(|text| version(text)).collect();
        let found = best_match(policy, &wanted, &candidates);
        assert_eq!(
            found,
            best_match(policy, &wanted, candidates.iter().rev()),
            "order must not count"
        );
        found.map(ToString::to_string)
    }

    /// R72
    #[test]
    fn best_match_is_exact_first_then_nearest() {
        for (rule, wanted, candidates, expected) in [
            (Rule::Minor, "1.1.0", &["1.0.0", "1.1.0", "1.2.0"][..], Some("1.1.0")),
            (Rule::Major, "1.1.0", &["2.0.0", "1.1.0"], Some("1.1.0")),
            (Rule::Strict, "1.1.0", &["1.1.1", "1.1.0"], Some("1.1.0")),
            (Rule::Minor, "1.1.0", &["1.3.0", "1.2.9"], Some("1.2.9")),
            (Rule::Minor, "1.1.5", &["1.1.0", "1.2.5"], Some("1.1.0")),
            (Rule::Minor, "1.5.0", &["1.0.0", "1.9.0"], Some("1.9.0")),
            (Rule::Major, "1.9.9", &["2.0.0", "1.0.0"], Some("1.0.0")),
            (Rule::Major, "1.0.0", &["3.0.0", "2.9.9"], Some("2.9.9")),
            (Rule::Patch, "1.1.5", &["1.1.1", "1.1.8", "1.2.5"], Some("1.1.8")),
        ] {
            let found = best(&VersionPolicy::new(rule), wanted, candidates);
            assert_eq!(found.as_deref(), expected, "{rule}: {wanted} of {candidates:?}");
        }
    }

    /// R72
    #[test]
    fn best_match_is_none_without_a_compatible_candidate() {
        for (rule, wanted, candidates) in [
            (Rule::Major, "1.0.0", &[][..]),
            (Rule::Strict, "1.0.0", &["1.0.1"]),
            (Rule::Patch, "1.0.0", &["1.1.0", "2.0.0"]),
            (Rule::Minor, "1.0.0", &["2.0.0", "0.9.0"]),
            (Rule::Major, "1.0.0", &["1.0.0-rc.1"]),
        ] {
            let found = best(&VersionPolicy::new(rule), wanted, candidates);
            assert_eq!(found, None, "{rule}: {wanted} of {candidates:?}");
        }
    }

    /// R72
    #[test]
    fn of_equally_near_versions_the_newer_is_taken() {
        let minor = VersionPolicy::new(Rule::Minor);
        assert_eq!(best(&minor, "1.1.1", &["1.1.0", "1.1.2"]).as_deref(), Some("1.1.2"));
        assert_eq!(best(&minor, "1.1.1", &["1.0.1", "1.2.1"]).as_deref(), Some("1.2.1"));
        let prerelease = VersionPolicy {
            allow_prerelease: true,
            ..minor
        };
        assert_eq!(
            best(&prerelease, "2.1.0", &["2.2.0-beta", "2.2.0"]).as_deref(),
            Some("2.2.0")
        );
    }

    /// R70, R72
    #[test]
    fn among_builds_of_the_wanted_version_the_same_build_is_taken() {
        let policy = VersionPolicy::new(Rule::Strict);
        assert_eq!(
            best(&policy, "1.0.0+b", &["1.0.0+a", "1.0.0+b", "1.0.0+c"]).as_deref(),
            Some("1.0.0+b")
        );
        assert_eq!(
            best(&policy, "1.0.0", &["1.0.0+a", "1.0.0+c"]).as_deref(),
            Some("1.0.0+c")
        );
    }

    /// R71, R72
    #[test]
    fn best_match_keeps_to_the_direction() {
        let policy = VersionPolicy {
            direction: Direction::OnlyOlder,
            ..VersionPolicy::default()
        };
        assert_eq!(best(&policy, "1.5.0", &["1.6.0", "1.1.0"]).as_deref(), Some("1.1.0"));
        assert_eq!(best(&policy, "1.5.0", &["1.6.0"]), None);
    }
}
