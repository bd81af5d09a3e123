//! The lock file: what changes of a program's messages and states are called, and what is written down.

use quark::{
    lock::{Difference, Lock, LockError, check_against},
    prelude::*,
    schema::{Form, KindSchemas, STATE, Shape, describe, describe_by},
    version::parse,
};
use std::{fs, path::PathBuf};

/// A cart that is added to, in versions.
mod first {
    use super::*;

    #[derive(Serialize, Deserialize, Shape)]
    pub(super) struct Add {
        pub(super) sku: String,
    }

    #[derive(Serialize, Deserialize, Shape)]
    pub(super) struct Cart {
        pub(super) skus: Vec<String>,
    }
}

/// Each reads what the other writes.
mod with_gift {
    use super::*;

    #[derive(Serialize, Deserialize, Shape)]
    pub(super) struct Add {
        pub(super) sku: String,
        #[serde(default)]
        pub(super) gift: bool,
    }
}

/// Neither reads what the other writes.
mod by_number {
    use super::*;

    #[derive(Serialize, Deserialize, Shape)]
    pub(super) struct Add {
        pub(super) sku: u64,
    }
}

fn program<M: Shape, S: Shape>(version: &str, more: &[&str]) -> Lock {
    let message = || describe_by(|types| Form::Tuple(vec![M::shape(types), Form::Unit]));
    let names = ["cart.add"].iter().chain(more);
    let schemas = KindSchemas {
        messages: names.map(|name| ((*name).to_owned(), message())).collect(),
        states: [(STATE.to_owned(), describe::<S>())].into(),
        ..KindSchemas::default()
    };
    let mut lock = Lock::default();
    lock.add("cart", parse(version).expect("valid"), schemas);
    lock
}

/// A lock file of a test's own.
struct File {
    _folder: tempfile::TempDir,
    path: PathBuf,
}

impl File {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("quark.lock");
        Self { _folder: folder, path }
    }

    fn of(program: &Lock) -> Self {
        let file = Self::new();
        check_against(program, &file.path, true).expect("recorded");
        file
    }

    fn differences(&self, program: &Lock) -> (Vec<Difference>, String) {
        let error = check_against(program, &self.path, false).expect_err("it differs");
        let text = error.to_string();
        let LockError::Differs { differences, .. } = error else {
            panic!("{error}");
        };
        (differences, text)
    }
}

#[test]
fn a_program_is_recorded_and_then_held_to_its_record() {
    let file = File::new();
    let program = program::<first::Add, first::Cart>("1.0.0", &[]);
    let (differences, text) = file.differences(&program);
    assert!(matches!(differences[..], [Difference::New { .. }]), "{text}");
    assert!(text.contains("QUARK_LOCK=record"), "{text}");
    assert!(!file.path.exists(), "nothing is written unasked");
    check_against(&program, &file.path, true).expect("recorded");
    check_against(&program, &file.path, false).expect("as recorded");
    assert_eq!(Lock::read(&file.path).expect("read"), program);
}

#[test]
fn a_compatible_change_with_a_newer_version_says_why_it_is_and_is_recorded_beside_the_old() {
    let file = File::of(&program::<first::Add, first::Cart>("1.0.0", &[]));
    let next = program::<with_gift::Add, first::Cart>("1.1.0", &["cart.clear"]);
    let (differences, text) = file.differences(&next);
    assert!(matches!(differences[..], [Difference::Compatible { .. }]), "{text}");
    for part in [
        "cart 1.1.0: compatible with 1.0.0",
        "message cart.add:",
        "- Add = { sku: text }",
        "+ Add = { sku: text, gift?: bool }",
        "message cart.clear: new",
    ] {
        assert!(text.contains(part), "{part:?} is missing in:\n{text}");
    }
    assert!(!text.contains("state"), "it has not changed:\n{text}");
    check_against(&next, &file.path, true).expect("recorded");
    let recorded = Lock::read(&file.path).expect("read");
    let versions: Vec<_> = recorded.kinds["cart"].keys().map(ToString::to_string).collect();
    assert_eq!(versions, ["1.0.0", "1.1.0"]);
    check_against(&next, &file.path, false).expect("as recorded");
}

#[test]
fn a_compatible_change_without_a_version_of_its_own_needs_the_next_minor() {
    let file = File::of(&program::<first::Add, first::Cart>("1.4.2", &[]));
    let changed = program::<with_gift::Add, first::Cart>("1.4.2", &[]);
    let (differences, text) = file.differences(&changed);
    assert!(matches!(differences[..], [Difference::NeedsVersion { .. }]), "{text}");
    assert!(
        text.contains("needs a newer version than what was recorded: 1.5.0"),
        "{text}"
    );
    let refused = check_against(&changed, &file.path, true).expect_err("it would hide the change");
    assert!(refused.to_string().contains("mend what is said above"), "{refused}");
}

#[test]
fn a_breaking_change_says_what_and_how_to_keep_it_and_is_not_recorded() {
    let file = File::of(&program::<first::Add, first::Cart>("1.0.0", &["cart.clear"]));
    let before = fs::read(&file.path).expect("there");
    let breaking = program::<by_number::Add, first::Cart>("1.1.0", &[]);
    let (differences, text) = file.differences(&breaking);
    assert!(matches!(differences[..], [Difference::Breaking { .. }]), "{text}");
    for part in [
        "cart 1.1.0: breaking, it and 1.0.0 cannot run in one cluster",
        "message cart.add: Add.sku: it was text and is u64; take a new field, and keep the old one beside it",
        "message cart.clear: it is not taken any more; keep its handler",
        "or make it version 2.0.0",
    ] {
        assert!(text.contains(part), "{part:?} is missing in:\n{text}");
    }
    check_against(&breaking, &file.path, true).expect_err("not as this version");
    assert_eq!(fs::read(&file.path).expect("there"), before);
    let major = program::<by_number::Add, first::Cart>("2.0.0", &[]);
    check_against(&major, &file.path, true).expect("no actor of 1 moves there");
}

/// What runs or is stored may be of any recorded version.
#[test]
fn a_version_is_compared_with_every_recorded_one_of_its_major() {
    let file = File::of(&program::<first::Add, first::Cart>("1.0.0", &[]));
    let second = program::<first::Add, first::Cart>("1.1.0", &["cart.clear"]);
    check_against(&second, &file.path, true).expect("recorded");
    let (_, text) = file.differences(&program::<by_number::Add, first::Cart>("1.2.0", &["cart.clear"]));
    assert!(text.contains("breaking, it and 1.0.0"), "{text}");
}

#[test]
fn a_kind_that_the_linker_left_out_is_noticed() {
    let file = File::of(&program::<first::Add, first::Cart>("1.0.0", &[]));
    let (differences, text) = file.differences(&Lock::default());
    assert!(matches!(differences[..], [Difference::Gone { .. }]), "{text}");
    assert!(text.contains("name its crate"), "{text}");
}

#[test]
fn a_file_that_a_merge_has_mixed_up_is_refused() {
    let file = File::of(&program::<first::Add, first::Cart>("1.0.0", &[]));
    let text = fs::read_to_string(&file.path).expect("there");
    fs::write(&file.path, text.replace("\"sku\"", "\"article\"")).expect("written");
    let error = Lock::read(&file.path).expect_err("its hash is another");
    assert!(error.to_string().contains("changed by hand, or by a merge"), "{error}");
}
