//! See `quark::fuzzing::records`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| quark::fuzzing::records(bytes));
