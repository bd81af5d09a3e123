//! See `quark::fuzzing::documents`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| quark::fuzzing::documents(bytes));
