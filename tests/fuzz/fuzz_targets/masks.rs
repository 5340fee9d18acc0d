//! `masks` of tests/src/fuzz/ under cargo-fuzz.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| conformance::fuzz::run("masks", input));
