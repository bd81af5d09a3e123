//! The house stands: arrows between rooms run as drawn, every room says what it owns, no file outgrows its readers.
//!
//! A room is a module of the crate's root: a folder or a file of `src/`. What a room may import stands in [`ARROWS`] (its
//! own modules always; `quark` and `super::` are read like `crate::`). Code under `#[cfg(test)]`, and files `tests.rs` or
//! below `tests/`, may import [`IN_TESTS`] besides: tests of a room may stand on all contracts, but not on engines and on
//! what executes them, unless the room does.

mod laws;
mod source;

use laws::{House, promised};
use std::{fs, path::Path};

/// Names, time and other plain values.
const L0: &[&str] = &[
    "activity",
    "chance",
    "clock",
    "faults",
    "ident",
    "schema",
    "sync",
    "telemetry",
    "version",
];
/// The contracts: what users, stores and wires have to do with.
const L1: &[&str] = &["actor", "mailbox", "store", "transport", "wire"];
/// Pure protocols.
const ENGINES: &[&str] = &[
    "directory",
    "lifecycle",
    "membership",
    "migration",
    "placement",
    "reminder",
    "rollout",
];
/// What engines stand on. Never on each other: `silo` passes one's commands to another as events.
const ENGINE: &[&[&str]] = &[&[
    "activity",
    "clock",
    "ident",
    "schema",
    "store",
    "telemetry",
    "version",
    "wire",
]];
const BELOW_SILO: &[&[&str]] = &[L0, L1, ENGINES, &["caller", "client", "runtime", "stream"]];

/// What each room may import.
const ARROWS: &[(&str, &[&[&str]])] = &[
    ("clock", &[]),
    ("chance", &[]),
    ("ident", &[&["chance"]]),
    ("schema", &[&["ident"]]),
    ("faults", &[&["ident"]]),
    ("sync", &[]),
    ("telemetry", &[]),
    ("version", &[]),
    ("activity", &[&["clock", "ident", "sync"]]),
    ("wire", &[&["clock", "ident", "store"]]),
    ("store", &[&["clock", "ident", "schema", "wire"]]),
    ("transport", &[&["chance", "clock", "faults", "ident", "wire"]]),
    ("mailbox", &[&["activity", "clock", "ident", "sync", "wire"]]),
    (
        "actor",
        &[&["clock", "ident", "mailbox", "schema", "store", "version", "wire"]],
    ),
    ("directory", ENGINE),
    ("lifecycle", ENGINE),
    ("membership", &[ENGINE[0], &["faults"]]),
    ("migration", ENGINE),
    ("placement", ENGINE),
    ("reminder", ENGINE),
    ("rollout", ENGINE),
    ("runtime", &[L0, ENGINES, &["actor", "mailbox", "store", "wire"]]),
    (
        "caller",
        &[L0, &["actor", "directory", "mailbox", "store", "transport", "wire"]],
    ),
    ("stream", &[L0, L1]),
    ("client", &[L0, L1, &["caller", "directory", "stream"]]),
    ("silo", BELOW_SILO),
    ("admin", &[L0, L1, ENGINES, &["caller", "client", "runtime", "silo"]]),
    (
        "testkit",
        &[L0, L1, ENGINES, &["admin", "caller", "client", "runtime", "silo"]],
    ),
    ("fuzzing", &[L0, L1, &["silo"]]),
    ("bin", &[L0, L1, &["admin", "client", "placement", "rollout", "silo"]]),
];

/// Macros that stand at the crate's root because `macro_rules!` must, and the rooms that own them.
const MACROS: &[(&str, &str)] = &[("store_conformance", "store")];

/// What test code of any room may import besides.
const IN_TESTS: &[&[&str]] = &[L0, L1, &["prelude", "testkit"]];

/// Files that may hold `unsafe`, or lift the lint against it, and why.
const UNSAFE: &[(&str, &str)] = &[
    (
        "src/actor/current.rs",
        "the mailbox of the actor that runs, without a count",
    ),
    (
        "src/actor/frame.rs",
        "the future of a turn in memory that is used again",
    ),
    ("src/mailbox/records.rs", "messages in place in a buffer"),
    ("src/sync/lock.rs", "a lock that is given back with a store"),
    ("src/actor/registry.rs", "linkme's slice needs a section of its own"),
    (
        "macros/src/output.rs",
        "writes the exception for entries of linkme's slice",
    ),
];

/// Files that may hold `#![...]`, and why: lints belong to `Cargo.toml`.
const INNER_ATTRIBUTES: &[(&str, &str)] = &[
    ("src/actor/current.rs", "lifts the lint against unsafe"),
    ("src/actor/frame.rs", "lifts the lint against unsafe"),
    ("src/mailbox/records.rs", "lifts the lint against unsafe"),
    ("src/sync/lock.rs", "lifts the lint against unsafe"),
];

const HOUSE: House<'static> = House {
    arrows: ARROWS,
    in_tests: IN_TESTS,
    macros: MACROS,
    with_unsafe: UNSAFE,
    with_inner_attributes: INNER_ATTRIBUTES,
};

/// Every source below `folder`, by its path from the root of the repository.
fn sources(folder: &str, found: &mut Vec<(String, String)>) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for entry in fs::read_dir(root.join(folder)).expect("a folder of sources") {
        let entry = entry.expect("a folder of sources");
        let path = format!("{folder}/{}", entry.file_name().to_str().expect("an ASCII name"));
        if entry.path().is_dir() {
            sources(&path, found);
        } else if path.ends_with(".rs") {
            found.push((path, fs::read_to_string(entry.path()).expect("a source")));
        }
    }
}

#[test]
fn every_source_keeps_the_laws() {
    let mut found = Vec::new();
    sources("src", &mut found);
    sources("macros/src", &mut found);
    found.sort();
    assert!(found.iter().any(|(path, _)| path == "src/lib.rs"), "no sources found");
    let broken: Vec<_> = found.iter().flat_map(|(path, text)| HOUSE.broken(path, text)).collect();
    assert!(broken.is_empty(), "\n\n{}\n\n", broken.join("\n"));
}

#[test]
fn every_promise_of_a_room_is_a_test_or_a_law_of_the_model() {
    let mut found = Vec::new();
    sources("src", &mut found);
    let mut rooms: Vec<_> = found
        .iter()
        .filter(|(path, _)| path.ends_with("/mod.rs"))
        .cloned()
        .collect();
    rooms.sort();
    sources("tests", &mut found);
    let proofs: String = found.into_iter().map(|(_, text)| text).collect();
    let is_kept = |name: &str| {
        let proof = if name.contains(' ') {
            format!("\"{name}\"")
        } else {
            format!("fn {name}(")
        };
        proofs.contains(&proof)
    };
    let mut promises = 0;
    let mut broken = Vec::new();
    for (path, text) in &rooms {
        for (line, name) in promised(text) {
            promises += 1;
            if !is_kept(name) {
                broken.push(format!(
                    "{path}:{line}: no test and no law of the model is called `{name}`; name one that holds it"
                ));
            }
        }
    }
    assert!(promises > 30, "the promises were not found");
    assert!(broken.is_empty(), "\n\n{}\n\n", broken.join("\n"));
}

#[test]
fn the_table_has_no_circle_but_that_of_wire_and_store() {
    let imports = |room: &str| -> Vec<&str> {
        let arrows = ARROWS.iter().find(|(name, _)| *name == room);
        arrows.expect("a room of the table").1.concat()
    };
    for (room, _) in ARROWS {
        let mut reached = imports(room);
        let mut at = 0;
        while let Some(next) = reached.get(at).copied() {
            for further in imports(next) {
                if !reached.contains(&further) {
                    reached.push(further);
                }
            }
            at += 1;
        }
        // They share plain values: bounces carry directory entries, and states are encoded.
        let may = matches!(*room, "wire" | "store");
        assert!(may || !reached.contains(room), "{room} reaches itself");
    }
}
