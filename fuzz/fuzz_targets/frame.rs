//! See `quark::fuzzing::frame`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| quark::fuzzing::frame(bytes));
