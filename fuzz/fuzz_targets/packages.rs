//! See `quark::fuzzing::packages`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| quark::fuzzing::packages(bytes));
