//! See `check_timestamp`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| checks::check_timestamp(data));
