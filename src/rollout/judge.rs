//! The comparison of a new version with the old one.

use super::Criteria;
use crate::telemetry::KindFigures;
use serde::{Deserialize, Serialize};
use std::{fmt, time::Duration};

/// What the comparison comes to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Verdict {
    /// The new version does as well as the old one.
    Good,
    /// It does worse; how, at least one finding.
    Bad(Vec<Finding>),
    /// It cannot be told yet, and why not.
    Undecided(String),
}

/// Something that the new version does worse.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// What: `panics`, `failed activations`, `undecodable messages or states`, `store conflicts`, `p50`, `p99`.
    pub what: String,
    /// With the new version.
    pub new: String,
    /// With the old one.
    pub old: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} (the old version: {})", self.what, self.new, self.old)
    }
}

/// Two-sided 99 % of the normal distribution.
const Z: f64 = 2.576;

/// Judges what the actors of one kind did with the new version against what they did with the old one in the same time.
///
/// A failure rate is worse if its lower confidence bound lies above the upper one of the old version by more than the margin;
/// bounds by E. B. Wilson, "Probable inference, the law of succession, and statistical inference" (1927), at 99 %. Without turns of the
/// old version it is compared with a rate of 0. What cannot be decoded is bad by itself, unless the old version has such failures too.
pub fn judge(new: &KindFigures, old: &KindFigures, criteria: &Criteria) -> Verdict {
    let margin = f64::from(criteria.failure_margin) / 1000.0;
    let mut findings = Vec::new();
    let mut doubts = Vec::new();
    if new.decode_failures > 0 && old.decode_failures == 0 {
        findings.push(Finding {
            what: "undecodable messages or states".into(),
            new: new.decode_failures.to_string(),
            old: "0".into(),
        });
    }
    let failures = |f: &KindFigures| {
        [
            ("panics", f.panics, f.turns),
            // A failed activation ends no turn.
            (
                "failed activations",
                f.activation_failures,
                f.turns + f.activation_failures,
            ),
            ("store conflicts", f.store_conflicts, f.turns + f.store_conflicts),
        ]
    };
    for ((what, new, new_of), (_, old, old_of)) in failures(new).into_iter().zip(failures(old)) {
        let (new_rate, old_rate) = (rate(new, new_of), rate(old, old_of));
        if new_rate <= old_rate + margin {
            continue;
        }
        let old_bound = if old_of == 0 { 0.0 } else { wilson(old, old_of).1 };
        if wilson(new, new_of).0 > old_bound + margin {
            findings.push(Finding {
                what: what.into(),
                new: format!("{new} of {new_of}"),
                old: format!("{old} of {old_of}"),
            });
        } else {
            doubts.push(format!(
                "{what}: {new} of {new_of} against {old} of {old_of} may be chance"
            ));
        }
    }
    findings.extend(slower(new, old, criteria));
    if !findings.is_empty() {
        return Verdict::Bad(findings);
    }
    if new.turns < criteria.min_turns {
        doubts.push(format!("{} turns of {}", new.turns, criteria.min_turns));
    }
    match doubts.is_empty() {
        true => Verdict::Good,
        false => Verdict::Undecided(doubts.join("; ")),
    }
}

fn slower(new: &KindFigures, old: &KindFigures, criteria: &Criteria) -> Vec<Finding> {
    if new.turn_times.len().min(old.turn_times.len()) < criteria.min_timed.max(1) {
        return Vec::new();
    }
    let compare = |(what, thousandths): (&str, u64)| {
        let new = new.turn_times.quantile(thousandths)?;
        let old = old.turn_times.quantile(thousandths)?;
        let most = (old.saturating_mul(criteria.slower_percent) / 100).max(old.saturating_add(criteria.slower_floor));
        (new > most).then(|| Finding {
            what: what.into(),
            new: text(new),
            old: text(old),
        })
    };
    // A quantile means something where at least a few lie above it.
    let p99 = (new.turn_times.len().min(old.turn_times.len()) >= 500).then_some(("p99", 990));
    [Some(("p50", 500)), p99]
        .into_iter()
        .flatten()
        .filter_map(compare)
        .collect()
}

fn text(duration: Duration) -> String {
    format!("{duration:.1?}")
}

#[allow(clippy::cast_precision_loss, reason = "a rate needs no more than 53 bits")]
fn rate(count: u64, of: u64) -> f64 {
    if of == 0 { 0.0 } else { count as f64 / of as f64 }
}

/// The confidence bounds of a rate.
#[allow(clippy::cast_precision_loss, reason = "a rate needs no more than 53 bits")]
fn wilson(count: u64, of: u64) -> (f64, f64) {
    if of == 0 {
        return (0.0, 1.0);
    }
    let (n, p, zz) = (of as f64, rate(count, of), Z * Z);
    let middle = p + zz / (2.0 * n);
    let half = Z * (p * (1.0 - p) / n + zz / (4.0 * n * n)).sqrt();
    let whole = 1.0 + zz / n;
    ((middle - half) / whole, (middle + half) / whole)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::Distribution;

    fn figures(turns: u64, panics: u64) -> KindFigures {
        KindFigures {
            turns,
            panics,
            ..KindFigures::default()
        }
    }

    fn timed(times: &[(u64, u64)]) -> KindFigures {
        let mut turn_times = Distribution::default();
        for (count, millis) in times {
            (0..*count).for_each(|_| turn_times.record(Duration::from_millis(*millis)));
        }
        KindFigures {
            turns: turn_times.len(),
            turn_times,
            ..KindFigures::default()
        }
    }

    fn verdict(new: &KindFigures, old: &KindFigures) -> Verdict {
        judge(new, old, &Criteria::default())
    }

    fn is_bad(verdict: &Verdict, what: &str) -> bool {
        matches!(verdict, Verdict::Bad(findings) if findings.iter().any(|finding| finding.what == what))
    }

    /// The bounds for 10 of 100 at z = 1.96 are 5.5 % and 17.4 % (Wilson 1927; Newcombe 1998, table I); at 2.576 they are wider.
    #[test]
    fn the_bounds_are_wilsons() {
        let (low, high) = wilson(10, 100);
        assert!(
            (0.044..0.0475).contains(&low) && (0.20..0.207).contains(&high),
            "{low} {high}"
        );
        assert_eq!(wilson(0, 0), (0.0, 1.0));
        assert!(wilson(0, 50).0.abs() < 1e-12 && wilson(50, 50).1 > 1.0 - 1e-12);
    }

    #[test]
    fn as_many_failures_as_before_are_good() {
        assert_eq!(verdict(&figures(1_000, 0), &figures(9_000, 0)), Verdict::Good);
        assert_eq!(verdict(&figures(1_000, 20), &figures(9_000, 180)), Verdict::Good);
    }

    #[test]
    fn clearly_more_failures_are_bad_and_the_finding_says_how_many() {
        let verdict = verdict(&figures(1_000, 60), &figures(9_000, 90));
        let Verdict::Bad(findings) = verdict else {
            panic!("{verdict:?}");
        };
        assert_eq!(findings.len(), 1);
        assert_eq!(
            findings[0].to_string(),
            "panics: 60 of 1000 (the old version: 90 of 9000)"
        );
    }

    #[test]
    fn what_may_be_chance_is_undecided() {
        assert!(matches!(
            verdict(&figures(150, 3), &figures(900, 9)),
            Verdict::Undecided(_)
        ));
    }

    #[test]
    fn a_version_that_always_fails_is_found_with_few_turns_and_without_turns_of_the_old() {
        assert!(is_bad(&verdict(&figures(10, 10), &KindFigures::default()), "panics"));
        assert!(is_bad(&verdict(&figures(10, 10), &figures(10, 0)), "panics"));
    }

    #[test]
    fn too_few_turns_are_undecided() {
        let Verdict::Undecided(why) = verdict(&figures(99, 0), &figures(900, 0)) else {
            panic!("decided");
        };
        assert_eq!(why, "99 turns of 100");
    }

    #[test]
    fn failed_activations_and_conflicts_count_without_turns() {
        let failing = KindFigures {
            activation_failures: 10,
            ..figures(0, 0)
        };
        assert!(is_bad(&verdict(&failing, &figures(100, 0)), "failed activations"));
        let conflicts = KindFigures {
            store_conflicts: 50,
            ..figures(200, 0)
        };
        assert!(is_bad(&verdict(&conflicts, &figures(1_000, 0)), "store conflicts"));
    }

    #[test]
    fn one_message_that_cannot_be_decoded_is_bad_unless_the_old_version_has_such_too() {
        let one = KindFigures {
            decode_failures: 1,
            ..figures(1_000, 0)
        };
        assert!(is_bad(
            &verdict(&one, &figures(1_000, 0)),
            "undecodable messages or states"
        ));
        assert_eq!(verdict(&one, &one), Verdict::Good);
    }

    #[test]
    fn slower_turns_are_bad_by_factor_and_floor() {
        assert!(is_bad(&verdict(&timed(&[(200, 30)]), &timed(&[(200, 10)])), "p50"));
        assert_eq!(
            verdict(&timed(&[(200, 15)]), &timed(&[(200, 10)])),
            Verdict::Good,
            "below the factor"
        );
        assert_eq!(
            verdict(&timed(&[(200, 4)]), &timed(&[(200, 1)])),
            Verdict::Good,
            "below the floor"
        );
        let tail = verdict(&timed(&[(950, 10), (50, 90)]), &timed(&[(1_000, 10)]));
        assert!(is_bad(&tail, "p99") && !is_bad(&tail, "p50"), "{tail:?}");
        let few = verdict(&timed(&[(99, 90)]), &timed(&[(200, 10)]));
        assert!(matches!(few, Verdict::Undecided(_)), "too few are timed");
    }
}
