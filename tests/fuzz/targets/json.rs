//! See `check_json`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| checks::check_json(data));
