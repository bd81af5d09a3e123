//! Each mistake that a user can make in declaring an actor is a compile error that names the cure.
//!
//! The expected texts are in `*.stderr`. After a change, `TRYBUILD=overwrite cargo test -p quark-ui-tests` writes them anew; read
//! the difference. What is right, `pass_*.rs`, are tests of their own.

#[test]
fn mistakes_name_their_cure() {
    let cases = trybuild::TestCases::new();
    cases.compile_fail("fail_*.rs");
}

#[test]
fn the_smallest_counter_is_under_25_lines() {
    let counter = include_str!("pass_counter.rs");
    let lines = counter.lines().take_while(|line| !line.starts_with("fn main")).count();
    // The line before `main` is empty.
    assert!(lines - 1 < 25, "it has {}", lines - 1);
}
