//! See `quark::fuzzing::names`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| quark::fuzzing::names(bytes));
