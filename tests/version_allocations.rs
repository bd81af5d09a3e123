//! Holds the promise that a version check allocates nothing, with an allocator that counts.

#![allow(unsafe_code, reason = "a global allocator cannot be written without")]

use quark::{
    ident::{ActorId, SiloId, Weight},
    placement::{Canary, Keys, Placement, RuleChange, Rules, Switch},
    store::{KindManifest, conformance},
    version::{Direction, Rule, VersionPolicy, best_match, parse},
};
use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
    collections::BTreeMap,
    hint::black_box,
    sync::Arc,
};

struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

// SAFETY: every call is passed on to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.with(|count| count.set(count.get() + 1));
        // SAFETY: the caller keeps the contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the contract; the memory came from `System`.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn allocations_of<T>(work: impl FnOnce() -> T) -> u64 {
    let before = ALLOCATIONS.with(Cell::get);
    black_box(work());
    ALLOCATIONS.with(Cell::get) - before
}

/// R73
#[test]
fn a_version_check_allocates_nothing() {
    assert!(allocations_of(|| Box::new(7)) > 0, "the allocator must count");
    let versions: Vec<_> = [
        "1.0.0",
        "1.4.2-a-long-prerelease.1",
        "1.4.2-a-long-prerelease.2",
        "2.0.0+a.long.build",
    ]
    .iter()
    .map(|text| parse(text).expect("valid"))
    .collect();
    for rule in [Rule::Strict, Rule::Patch, Rule::Minor, Rule::Major] {
        for direction in [Direction::Both, Direction::OnlyNewer, Direction::OnlyOlder] {
            let policy = VersionPolicy {
                rule,
                direction,
                allow_prerelease: true,
                ..VersionPolicy::default()
            };
            for from in &versions {
                assert_eq!(allocations_of(|| best_match(&policy, from, &versions)), 0);
                for to in &versions {
                    assert_eq!(allocations_of(|| policy.allows(black_box(from), black_box(to))), 0);
                }
            }
        }
    }
}

/// To which versions an actor belongs is asked for every activation, and for every actor that a rollout may move.
#[test]
fn where_an_actor_belongs_is_said_without_an_allocation() {
    let version = |text: &str| parse(text).expect("valid");
    let row = |name: &str, text: &str| {
        let mut row = conformance::row(&SiloId::new(name, 1));
        for kind in ["cart", "order", "user"] {
            row.manifest.kinds.insert(kind.into(), KindManifest::new(version(text)));
        }
        row
    };
    let mut placement = Placement::new(VersionPolicy::default());
    placement.view_changed(&[row("a", "1.0.0"), row("b", "1.1.0-a-long-prerelease.1")]);
    let pin = RuleChange::Pin {
        kind: "order".into(),
        keys: Keys::Prefix("vip-".into()),
        to: Some(version("1.1.0-a-long-prerelease.1")),
    };
    let switch = RuleChange::Switch {
        kind: "user".into(),
        to: Some(Switch {
            to: Arc::new(version("1.0.0")),
            moves: true,
        }),
    };
    placement.ruled(Arc::new(Rules::default().with(&pin).with(&switch)));
    let canary = Canary {
        to: Arc::new(version("1.1.0-a-long-prerelease.1")),
        weight: Weight::new(5_000).expect("valid"),
    };
    placement.rolled_out(BTreeMap::from([("cart".to_owned(), canary)]));
    let here = version("1.0.0");
    for kind in ["cart", "order", "user", "nobody"] {
        for key in ["vip-1", "other"] {
            let actor = ActorId::new(kind, key).expect("valid");
            assert_eq!(allocations_of(|| placement.bound(&actor)), 0, "{actor}");
            assert_eq!(allocations_of(|| placement.belongs(&actor, &here)), 0, "{actor}");
            assert_eq!(allocations_of(|| placement.policy(kind)), 0, "{actor}");
        }
    }
}
