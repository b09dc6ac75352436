//! See `check_v2xml`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| checks::check_v2xml(data));
