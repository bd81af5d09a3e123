//! Holds the promise that a version check allocates nothing, with an allocator that counts.

#![allow(unsafe_code, reason = "a global allocator cannot be written without")]

use quark::version::{Direction, Rule, VersionPolicy, best_match, parse};
use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
    hint::black_box,
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
