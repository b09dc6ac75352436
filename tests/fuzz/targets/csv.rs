//! See `check_csv`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| checks::check_csv(data));
