//! See `check_batch`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| checks::check_batch(data));
