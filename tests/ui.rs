//! Each mistake that a user can make in declaring an actor is a compile error that names the cure.
//!
//! The expected texts are in `tests/ui/*.stderr`. After a change, `TRYBUILD=overwrite cargo test --test ui` writes them
//! anew; read the difference.

#[test]
fn mistakes_name_their_cure() {
    let cases = trybuild::TestCases::new();
    cases.pass("tests/ui/pass_*.rs");
    cases.compile_fail("tests/ui/fail_*.rs");
}

#[test]
fn the_smallest_counter_is_under_25_lines() {
    let counter = include_str!("ui/pass_counter.rs");
    let lines = counter.lines().take_while(|line| !line.starts_with("fn main")).count();
    // The line before `main` is empty.
    assert!(lines - 1 < 25, "it has {}", lines - 1);
}
