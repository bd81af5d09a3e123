//! Teeth: rules of Quark are broken on purpose, one at a time, and an invariant has to notice within so many seeds.

use crate::{
    invariants,
    plots::Plot,
    quiet,
    seeds::number,
    story::{Budgets, Story, Upgrade},
};
use std::{collections::BTreeSet, time::Duration};

/// A rule that is broken, and in which runs that has to be noticed.
struct Tooth {
    rule: &'static str,
    /// What else happens.
    when: When,
    /// Within so many seeds.
    within: u64,
}

/// In which story a rule is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum When {
    /// Planned change alone.
    NothingFails,
    /// What the seed says.
    AnythingFails,
    /// What one silo asks of the store is held up.
    OneIsHeldUp,
    /// One silo is alone, where leases are as tight as they may be.
    OneIsAlone,
}

impl When {
    fn name(self) -> &'static str {
        match self {
            Self::NothingFails => "nothing",
            Self::AnythingFails => "as the seed says",
            Self::OneIsHeldUp => "what one silo asks of the store is held up",
            Self::OneIsAlone => "one silo is alone",
        }
    }

    fn story(self) -> Story {
        let time = Duration::from_secs(20);
        match self {
            Self::NothingFails => Story {
                time,
                ..Story::without_faults()
            },
            Self::AnythingFails => Story {
                time,
                ..Story::default()
            },
            Self::OneIsHeldUp => Story {
                time: Duration::from_secs(40),
                faults: Vec::new(),
                budgets: Budgets::Impatient,
                plot: Some(Plot::HeldUp),
                upgrade: Upgrade::None,
                ..Story::default()
            },
            Self::OneIsAlone => Story {
                time,
                accounts: 8,
                faults: Vec::new(),
                budgets: Budgets::Tight,
                plot: Some(Plot::Alone),
                upgrade: Upgrade::None,
                moves: false,
                rest: Duration::from_millis(200),
                ..Story::default()
            },
        }
    }
}

const fn tooth(rule: &'static str, when: When, within: u64) -> Tooth {
    Tooth { rule, when, within }
}

/// All of them. The table in `docs/testing.md` is printed by `make sim-teeth`.
const TEETH: &[Tooth] = &[
    tooth("drop a reply", When::NothingFails, 1),
    tooth("drop a bounce", When::NothingFails, 3),
    tooth("drop a fenced", When::NothingFails, 3),
    tooth("drop a forward", When::NothingFails, 3),
    tooth("send a call twice", When::NothingFails, 1),
    tooth("let a call be overtaken", When::NothingFails, 1),
    tooth("let a forward be overtaken", When::NothingFails, 5),
    tooth("answer a fence at once", When::NothingFails, 10),
    tooth("copy a timer instead of moving it", When::NothingFails, 3),
    tooth("leave timers behind", When::NothingFails, 3),
    tooth("leave behind what waits", When::NothingFails, 5),
    tooth("move an older state", When::NothingFails, 3),
    tooth("leave without waiting for anybody", When::NothingFails, 20),
    tooth("register what another owns", When::NothingFails, 5),
    tooth("keep what is given up", When::NothingFails, 1),
    tooth("send again what is not known", When::AnythingFails, 10),
    tooth("acknowledge what is not saved", When::AnythingFails, 20),
    tooth("use an epoch again", When::AnythingFails, 20),
    tooth("write entries blindly", When::OneIsHeldUp, 5),
    tooth("save without looking at the owner", When::OneIsHeldUp, 5),
    tooth("write the table blindly", When::OneIsHeldUp, 5),
    tooth("trust a stale view", When::OneIsHeldUp, 10),
    tooth("serve without a lease", When::OneIsAlone, 3),
    tooth("count the lease from the answer", When::OneIsAlone, 5),
];

impl Tooth {
    fn story(&self) -> Story {
        Story {
            broken: vec![self.rule],
            ..self.when.story()
        }
    }

    /// The seed that notices, by which invariant, and why.
    fn bite(&self) -> Option<(u64, &'static str, String)> {
        let one = number("QUARK_SIM_SEED");
        let seeds = one.map_or(0..self.within, |seed| seed..seed + 1);
        seeds.into_iter().find_map(|seed| {
            let run = self.story().run(seed);
            if one.is_some() {
                run.trace.iter().for_each(|event| println!("{event}"));
            }
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
        let other = tooth.when.name();
        match tooth.bite() {
            Some((seed, name, why)) => {
                println!("| {} | {other} | `{name}` | {seed} | {} |", tooth.rule, tooth.within);
                if sound.insert((tooth.when, seed)) {
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
        Some(one) => bite(TEETH.iter().filter(|tooth| tooth.rule == one)),
        None => bite(TEETH.iter()),
    }
}
