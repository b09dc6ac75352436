//! See `check_mllp`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| checks::check_mllp(data));
