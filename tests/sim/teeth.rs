//! Teeth: rules of Quark are broken on purpose, one at a time, and an invariant has to notice within so many seeds.

use crate::{invariants, quiet, story::Story};
use std::{collections::BTreeSet, time::Duration};

/// A rule that is broken, and in which runs that has to be noticed.
struct Tooth {
    rule: &'static str,
    /// Whether other things fail too.
    faults: bool,
    /// Within so many seeds.
    within: u64,
}

const fn planned(rule: &'static str, within: u64) -> Tooth {
    Tooth {
        rule,
        faults: false,
        within,
    }
}

const fn with_faults(rule: &'static str, within: u64) -> Tooth {
    Tooth {
        rule,
        faults: true,
        within,
    }
}

/// Those that are noticed when nothing else fails come first. The table in `docs/testing.md` is printed by `make sim-teeth`.
const TEETH: &[Tooth] = &[
    planned("drop a reply", 1),
    planned("drop a bounce", 3),
    planned("drop a fenced", 3),
    planned("drop a forward", 3),
    planned("send a call twice", 1),
    planned("let a call be overtaken", 1),
    planned("let a forward be overtaken", 5),
    planned("answer a fence at once", 10),
    planned("copy a timer instead of moving it", 3),
    planned("leave timers behind", 3),
    planned("leave behind what waits", 5),
    planned("leave without waiting for anybody", 10),
    planned("register what another owns", 5),
    with_faults("send again what is not known", 10),
    with_faults("acknowledge what is not saved", 20),
    with_faults("use an epoch again", 20),
];

/// Rules that no seed has shown to be missed yet: what guards behind them hides it, or it takes more seeds. Run by name alone.
const OPEN: &[Tooth] = &[
    with_faults("keep what is given up", 20),
    with_faults("write entries blindly", 20),
    with_faults("save without looking at the owner", 20),
    with_faults("trust a stale view", 20),
    with_faults("serve without a lease", 20),
    with_faults("count the lease from the answer", 20),
];

impl Tooth {
    fn story(&self) -> Story {
        let story = if self.faults {
            Story::default()
        } else {
            Story::without_faults()
        };
        Story {
            time: Duration::from_secs(20),
            broken: vec![self.rule],
            ..story
        }
    }

    /// The seed that notices, by which invariant, and why.
    fn bite(&self) -> Option<(u64, &'static str, String)> {
        (0..self.within).find_map(|seed| {
            let run = self.story().run(seed);
            let (name, why) = invariants::broken(&run).into_iter().next()?;
            Some((seed, name, why))
        })
    }
}

fn bite(teeth: impl Iterator<Item = &'static Tooth>) {
    quiet();
    let mut missed = Vec::new();
    // The same runs break nothing when no rule is broken.
    let mut sound = BTreeSet::new();
    println!("\n| rule that is broken | what else fails | found by | seed | limit |\n|---|---|---|--:|--:|");
    for tooth in teeth {
        let other = if tooth.faults { "as the seed says" } else { "nothing" };
        match tooth.bite() {
            Some((seed, name, why)) => {
                println!("| {} | {other} | `{name}` | {seed} | {} |", tooth.rule, tooth.within);
                if sound.insert((tooth.faults, seed)) {
                    let unbroken = Story {
                        broken: Vec::new(),
                        ..tooth.story()
                    };
                    let found = invariants::broken(&unbroken.run(seed));
                    assert!(found.is_empty(), "nothing is broken, and seed {seed} finds {found:?}");
                }
                eprintln!("    {why}");
            }
            None => {
                println!("| {} | {other} | not found | | {} |", tooth.rule, tooth.within);
                missed.push(tooth.rule);
            }
        }
    }
    assert!(missed.is_empty(), "broken and not noticed: {missed:?}");
}

/// Those that are found soonest; all: `make sim-teeth`.
#[test]
#[ignore = "minutes: make sim"]
fn rules_that_are_broken_are_found_at_once() {
    let ordinary = [
        "drop a reply",
        "send a call twice",
        "copy a timer instead of moving it",
        "let a call be overtaken",
    ];
    bite(TEETH.iter().filter(|tooth| ordinary.contains(&tooth.rule)));
}

#[test]
#[ignore = "minutes: make sim-teeth"]
fn every_rule_that_is_broken_is_found() {
    let one = std::env::var("QUARK_SIM_RULE").ok();
    match one {
        Some(one) => bite(TEETH.iter().chain(OPEN).filter(|tooth| tooth.rule == one)),
        None => bite(TEETH.iter()),
    }
}
