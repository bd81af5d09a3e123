//! Which versions may stand in for which.

use semver::Version;
use serde::{Deserialize, Serialize};
use std::{cmp::Ordering, fmt, str::FromStr};

/// How far two versions may differ. `from` and `to` below are the ends of a move or of a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    /// Not at all.
    Strict,
    /// In the patch number.
    Patch,
    /// In the minor and patch numbers. Also below 1.0.0: 0.1.0 and 0.2.0 are compatible, other than in Cargo.
    #[default]
    Minor,
    /// In all numbers.
    Major,
}

/// Which way versions may differ.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// Either way.
    #[default]
    Both,
    /// To a version that is not older.
    OnlyNewer,
    /// To a version that is not newer.
    OnlyOlder,
}

/// What the version of who asks counts where an actor comes up, or is looked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Preference {
    /// The same version comes first, then what the policy allows, then any other: a silo of that version may have just left.
    #[default]
    Prefer,
    /// The same version comes first, then what the policy allows. Else the request fails or waits, also if the actor is active in
    /// another version.
    Require,
    /// Nothing: actors come up in any version that is hosted.
    Any,
}

/// What becomes of a request when no silo has an allowed version.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NoMatch {
    /// It fails at once.
    #[default]
    Fail,
    /// It waits for such a silo until its deadline.
    Wait,
}

/// Between which versions of a kind messages and actors may pass.
///
/// As text, words in any order and separated by commas: a rule (`strict`, `patch`, `minor`, `major`), a direction
/// (`both`, `newer`, `older`), `prerelease`, what the asker's version counts (`prefer`, `require`, `any`), and `fail` or `wait`. What
/// is left out is as in the default: `minor,both,fail`, and `prefer`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(default)]
pub struct VersionPolicy {
    /// How far.
    pub rule: Rule,
    /// Which way.
    pub direction: Direction,
    /// Whether a pre-release is held to the rule as a release is. Otherwise it matches itself alone.
    pub allow_prerelease: bool,
    /// What the version of who asks counts.
    pub preference: Preference,
    /// What happens where nothing matches.
    pub on_no_match: NoMatch,
}

impl VersionPolicy {
    /// The default policy with this rule.
    pub fn new(rule: Rule) -> Self {
        Self {
            rule,
            ..Self::default()
        }
    }

    /// Whether what is at version `from` may pass to version `to`. Allocates nothing.
    ///
    /// Build metadata is ignored. Identical versions are always allowed.
    pub fn allows(&self, from: &Version, to: &Version) -> bool {
        let order = to.cmp_precedence(from);
        if order == Ordering::Equal {
            return true;
        }
        let releases = from.pre.is_empty() && to.pre.is_empty();
        let near_enough = match self.rule {
            Rule::Strict => false,
            Rule::Patch => from.major == to.major && from.minor == to.minor,
            Rule::Minor => from.major == to.major,
            Rule::Major => true,
        };
        let right_way = match self.direction {
            Direction::Both => true,
            Direction::OnlyNewer => order == Ordering::Greater,
            Direction::OnlyOlder => order == Ordering::Less,
        };
        near_enough && right_way && (releases || self.allow_prerelease)
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Strict => "strict",
            Self::Patch => "patch",
            Self::Minor => "minor",
            Self::Major => "major",
        })
    }
}

impl fmt::Display for VersionPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let direction = match self.direction {
            Direction::Both => "both",
            Direction::OnlyNewer => "newer",
            Direction::OnlyOlder => "older",
        };
        let no_match = match self.on_no_match {
            NoMatch::Fail => "fail",
            NoMatch::Wait => "wait",
        };
        let prerelease = if self.allow_prerelease { ",prerelease" } else { "" };
        let preference = match self.preference {
            Preference::Prefer => "",
            Preference::Require => ",require",
            Preference::Any => ",any",
        };
        write!(f, "{},{direction}{prerelease}{preference},{no_match}", self.rule)
    }
}

impl FromStr for Rule {
    type Err = InvalidPolicy;

    fn from_str(word: &str) -> Result<Self, InvalidPolicy> {
        match word {
            "strict" => Ok(Self::Strict),
            "patch" => Ok(Self::Patch),
            "minor" => Ok(Self::Minor),
            "major" => Ok(Self::Major),
            _ => Err(InvalidPolicy::UnknownWord { word: word.to_owned() }),
        }
    }
}

impl FromStr for VersionPolicy {
    type Err = InvalidPolicy;

    fn from_str(text: &str) -> Result<Self, InvalidPolicy> {
        let (mut rule, mut direction, mut prerelease, mut preference, mut no_match) = (None, None, None, None, None);
        for word in text.split(',').map(str::trim) {
            let first = match word {
                "both" => direction.replace(Direction::Both).is_none(),
                "newer" => direction.replace(Direction::OnlyNewer).is_none(),
                "older" => direction.replace(Direction::OnlyOlder).is_none(),
                "prerelease" => prerelease.replace(true).is_none(),
                "prefer" => preference.replace(Preference::Prefer).is_none(),
                "require" => preference.replace(Preference::Require).is_none(),
                "any" => preference.replace(Preference::Any).is_none(),
                "fail" => no_match.replace(NoMatch::Fail).is_none(),
                "wait" => no_match.replace(NoMatch::Wait).is_none(),
                word => rule.replace(word.parse::<Rule>()?).is_none(),
            };
            if !first {
                return Err(InvalidPolicy::SaidTwice { word: word.to_owned() });
            }
        }
        Ok(Self {
            rule: rule.unwrap_or_default(),
            direction: direction.unwrap_or_default(),
            allow_prerelease: prerelease.unwrap_or_default(),
            preference: preference.unwrap_or_default(),
            on_no_match: no_match.unwrap_or_default(),
        })
    }
}

/// A text that is no version policy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidPolicy {
    /// A word that means nothing.
    #[error(
        "{word:?} is no word of a version policy; use strict, patch, minor or major, both, newer or older, prerelease, \
         prefer, require or any, fail or wait, separated by commas"
    )]
    UnknownWord {
        /// As given.
        word: String,
    },
    /// A second answer to the same question.
    #[error("{word:?} repeats or contradicts an earlier word of the version policy; leave one of the two out")]
    SaidTwice {
        /// The second.
        word: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::version::parse;

    const RULES: [Rule; 4] = [Rule::Strict, Rule::Patch, Rule::Minor, Rule::Major];

    fn version(text: &str) -> Version {
        parse(text).expect("valid")
    }

    /// Both ways, by rule in the order of [`RULES`].
    fn table(rows: &[(&str, &str, [bool; 4])], change: impl Fn(&mut VersionPolicy)) {
        for (a, b, expected) in rows {
            for (rule, expected) in RULES.into_iter().zip(expected) {
                let mut policy = VersionPolicy::new(rule);
                change(&mut policy);
                let (a, b) = (version(a), version(b));
                assert_eq!(policy.allows(&a, &b), *expected, "{policy}: {a} to {b}");
                assert_eq!(policy.allows(&b, &a), *expected, "{policy}: {b} to {a}");
            }
        }
    }

    /// R68
    #[test]
    fn identical_versions_are_allowed_by_every_policy() {
        for text in ["0.0.0", "0.1.0", "1.0.0", "12.34.56", "2.2.0-beta.1"] {
            for rule in RULES {
                for direction in [Direction::Both, Direction::OnlyNewer, Direction::OnlyOlder] {
                    let policy = VersionPolicy {
                        rule,
                        direction,
                        ..VersionPolicy::default()
                    };
                    assert!(policy.allows(&version(text), &version(text)), "{policy}: {text}");
                }
            }
        }
    }

    /// R68
    #[test]
    fn the_rule_says_how_far_versions_may_differ() {
        table(
            &[
                ("1.0.0", "1.0.1", [false, true, true, true]),
                ("1.0.0", "1.0.99", [false, true, true, true]),
                ("2.3.4", "2.3.0", [false, true, true, true]),
                ("1.0.0", "1.1.0", [false, false, true, true]),
                ("1.0.9", "1.1.9", [false, false, true, true]),
                ("1.2.3", "1.10.0", [false, false, true, true]),
                ("0.1.0", "0.2.0", [false, false, true, true]),
                ("0.0.1", "0.0.2", [false, true, true, true]),
                ("1.0.0", "2.0.0", [false, false, false, true]),
                ("0.9.9", "1.0.0", [false, false, false, true]),
                ("1.5.5", "2.5.5", [false, false, false, true]),
                ("1.0.0", "10.0.0", [false, false, false, true]),
            ],
            |_| (),
        );
    }

    /// R68
    #[test]
    fn the_default_is_minor_both_ways_and_fails_without_a_match() {
        let policy = VersionPolicy::default();
        assert_eq!(policy.to_string(), "minor,both,fail");
        assert!(policy.allows(&version("1.9.0"), &version("1.0.0")));
        assert!(!policy.allows(&version("1.9.0"), &version("2.0.0")));
    }

    /// R70
    #[test]
    fn a_prerelease_matches_only_itself_unless_allowed() {
        let rows = [
            ("2.2.0-beta", "2.2.0"),
            ("2.2.0-beta.1", "2.2.0-beta.2"),
            ("2.2.0-beta", "2.1.0"),
        ];
        table(&rows.map(|(a, b)| (a, b, [false; 4])), |_| ());
        table(
            &[
                ("2.2.0-beta", "2.2.0", [false, true, true, true]),
                ("2.2.0-beta.1", "2.2.0-beta.2", [false, true, true, true]),
                ("2.2.0-beta", "2.1.0", [false, false, true, true]),
                ("2.0.0-rc.1", "1.9.0", [false, false, false, true]),
            ],
            |policy| policy.allow_prerelease = true,
        );
    }

    /// R70
    #[test]
    fn build_metadata_is_ignored() {
        table(
            &[
                ("1.0.0+a", "1.0.0+b", [true; 4]),
                ("1.0.0", "1.0.0+b", [true; 4]),
                ("1.0.0-rc.1+a", "1.0.0-rc.1", [true; 4]),
                ("1.0.0+z", "1.0.1+a", [false, true, true, true]),
            ],
            |_| (),
        );
    }

    /// R71
    #[test]
    fn the_direction_forbids_the_other_way() {
        let (old, new) = (version("1.0.0"), version("1.1.0"));
        for (direction, up, down) in [
            (Direction::Both, true, true),
            (Direction::OnlyNewer, true, false),
            (Direction::OnlyOlder, false, true),
        ] {
            let policy = VersionPolicy {
                direction,
                ..VersionPolicy::default()
            };
            assert_eq!(policy.allows(&old, &new), up, "{policy}");
            assert_eq!(policy.allows(&new, &old), down, "{policy}");
            assert!(policy.allows(&version("1.0.0+b"), &version("1.0.0+a")), "{policy}");
        }
    }

    /// R70, R71
    #[test]
    fn a_prerelease_is_older_than_its_release() {
        let policy = VersionPolicy {
            direction: Direction::OnlyNewer,
            allow_prerelease: true,
            ..VersionPolicy::default()
        };
        assert!(policy.allows(&version("2.2.0-beta"), &version("2.2.0")));
        assert!(!policy.allows(&version("2.2.0"), &version("2.2.0-beta")));
        assert!(policy.allows(&version("2.2.0-beta.2"), &version("2.2.0-beta.11")));
    }

    /// R71
    #[test]
    fn no_direction_widens_the_rule() {
        for direction in [Direction::OnlyNewer, Direction::OnlyOlder] {
            let policy = VersionPolicy {
                direction,
                ..VersionPolicy::new(Rule::Patch)
            };
            assert!(!policy.allows(&version("1.0.0"), &version("1.1.0")));
            assert!(!policy.allows(&version("1.1.0"), &version("1.0.0")));
        }
    }

    #[test]
    fn a_policy_reads_what_it_writes() {
        for rule in RULES {
            for direction in [Direction::Both, Direction::OnlyNewer, Direction::OnlyOlder] {
                for allow_prerelease in [false, true] {
                    for preference in [Preference::Prefer, Preference::Require, Preference::Any] {
                        for on_no_match in [NoMatch::Fail, NoMatch::Wait] {
                            let policy = VersionPolicy {
                                rule,
                                direction,
                                allow_prerelease,
                                preference,
                                on_no_match,
                            };
                            assert_eq!(policy.to_string().parse(), Ok(policy));
                        }
                    }
                }
            }
        }
        assert_eq!("patch".parse(), Ok(VersionPolicy::new(Rule::Patch)));
        assert_eq!(
            "wait, newer".parse::<VersionPolicy>().expect("valid").direction,
            Direction::OnlyNewer
        );
    }

    #[test]
    fn a_policy_that_is_misspelt_or_contradicts_itself_is_refused() {
        for text in ["", "Minor", "minor,", "minro", "anyone"] {
            let error = text.parse::<VersionPolicy>().expect_err("refused");
            assert!(matches!(error, InvalidPolicy::UnknownWord { .. }), "{text}: {error}");
        }
        for text in [
            "minor,major",
            "newer,older",
            "wait,fail",
            "prerelease,prerelease",
            "prefer,any",
        ] {
            let error = text.parse::<VersionPolicy>().expect_err("refused");
            assert!(matches!(error, InvalidPolicy::SaidTwice { .. }), "{text}: {error}");
        }
    }
}
